"""A prior as a file: NumPy's npz, whose arrays have the names of the fields, `noise.inlier` and so on.

Of limbs and pose states that are None there are no arrays. `np.load(path)["limbs.length"]` shows one.
"""

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pawjax.errors import InputError, shown
from pawjax.files import regular, replacing
from pawjax.pose3d.parameters import Limbs, Noise, PoseStates, Prior, check_prior

FORMAT = "pawjax prior 1"
FIX = "give the prior.npz of an earlier call, or learn it again"
PARTS = {"noise": Noise, "limbs": Limbs, "states": PoseStates}


def save_prior(path: str | Path, prior: Prior) -> None:
    """Writes a prior, replacing the file atomically. Raises InputError if it is no valid prior."""
    check_prior(prior)
    arrays = {"format": np.asarray(FORMAT), "bodyparts": np.asarray(prior.bodyparts)}
    arrays["step_variance"] = np.asarray(prior.step_variance)
    for part in PARTS:
        if (values := getattr(prior, part)) is not None:
            for field in dataclasses.fields(values):
                arrays[f"{part}.{field.name}"] = np.asarray(getattr(values, field.name))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_prior(path: str | Path) -> Prior:
    """The prior of a file by `save_prior`. Raises InputError if it is another file, damaged or no valid prior."""
    path = regular(Path(path))
    if not path.exists():
        raise InputError(f"{path}: there is no such file: {FIX}")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no prior by pawjax, or damaged: {FIX}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())}): {FIX}") from error
    if str(arrays.get("format")) != FORMAT:
        raise InputError(f"{path} is no prior by pawjax (format {shown(str(arrays.get('format')))}): {FIX}")
    try:
        prior = Prior(
            arrays["step_variance"],
            **{part: _part(kind, part, arrays) for part, kind in PARTS.items()},
            bodyparts=tuple(map(str, arrays["bodyparts"])),
        )
        check_prior(prior)
    except (KeyError, TypeError, ValueError) as error:  # the last: InputError too
        raise InputError(f"{path}: the prior is damaged ({error}): {FIX}") from error
    return prior


def _part(kind, part, arrays):  # noqa: ANN001, ANN202
    if part != "noise" and not any(name.startswith(f"{part}.") for name in arrays):
        return None
    values = {field.name: arrays[f"{part}.{field.name}"] for field in dataclasses.fields(kind)}
    static = {field.name for field in dataclasses.fields(kind) if field.metadata.get("static")}
    return kind(**{name: tuple(map(int, value)) if name in static else value for name, value in values.items()})
