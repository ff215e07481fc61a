"""Motion capture files (.bvh) as positions of joints."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError

PLACES = {"Xposition": 0, "Yposition": 1, "Zposition": 2}
AXES = {"Xrotation": "X", "Yrotation": "Y", "Zrotation": "Z"}


class Motion(NamedTuple):
    """Names of J joints, the index of each one's parent (-1 for the root), positions [T, J, 3] in the file's unit."""

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    positions: np.ndarray


def read_bvh(path: Path) -> Motion:
    """Reads a file and computes where its joints are. Raises InputError for a file that is none."""
    words = path.read_text().split()
    if "MOTION" not in words or words[0] != "HIERARCHY":
        raise InputError(f"{path}: is no .bvh file: it has no HIERARCHY and MOTION")
    names, parents, offsets, channels, open_, i = [], [], [], [], [], 0
    while words[i] != "MOTION":
        word = words[i]
        if word in ("ROOT", "JOINT", "End"):
            parents.append(open_[-1] if open_ else -1)
            names.append(words[i + 1] if word != "End" else "")
            offsets.append(np.zeros(3))
            channels.append([])
        elif word == "{":
            open_.append(len(names) - 1)
        elif word == "}":
            open_.pop()
        elif word == "OFFSET":
            offsets[open_[-1]] = np.array(words[i + 1 : i + 4], float)
        elif word == "CHANNELS":
            channels[open_[-1]] = words[i + 2 : i + 2 + int(words[i + 1])]
        i += 1
    values = np.array(words[words.index("Time:", i) + 2 :], float).reshape(
        int(words[words.index("Frames:", i) + 1]), -1
    )
    positions, turns, column = np.zeros((len(values), len(names), 3)), [], 0
    for k, (parent, offset, kinds) in enumerate(zip(parents, offsets, channels, strict=True)):
        own = dict(zip(kinds, values[:, column : column + len(kinds)].T, strict=True))
        column += len(kinds)
        shift = np.tile(offset, (len(values), 1))
        for kind, axis in PLACES.items():
            shift[:, axis] += own.get(kind, 0)
        order = [kind for kind in kinds if kind in AXES]
        turn = Rotation.identity(len(values))
        if order:
            angles = np.stack([own[kind] for kind in order], 1)
            turn = Rotation.from_euler("".join(AXES[kind] for kind in order), angles, degrees=True)
        if parent < 0:
            positions[:, k] = shift
        else:
            positions[:, k] = positions[:, parent] + turns[parent].apply(shift)
            turn = turns[parent] * turn
        turns.append(turn)
    kept = [k for k, name in enumerate(names) if name]  # the ends have no name
    return Motion(
        tuple(names[k] for k in kept),
        tuple(kept.index(parents[k]) if parents[k] >= 0 else -1 for k in kept),
        positions[:, kept],
    )
