"""From `config.data` to labelled frames: read the labels, prepare the set on first use, load it."""

import difflib
import functools
import hashlib
import re
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from pawjax.data import paw_on_ball
from pawjax.data.builders import (
    READER_VERSION,
    DeepLabCut,
    LightningPose,
    PawOnBall,
    read_dataset,
    write_dataset,
)
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.data.frames import LabelledFrames
from pawjax.data.label_table import LabelTable
from pawjax.data.lightning_pose import read_lightning_pose
from pawjax.data.pictures import Pictures, hash_pictures, inspect_pictures
from pawjax.data.prepared import prepare_once
from pawjax.errors import InputError
from pawjax.machine import cache_root

SOURCES = ("paw_on_ball", "deeplabcut", "lightning_pose")
LISTED = 5  # labels outside their image that a message spells out


def load(config: ConfigDict) -> LabelledFrames:
    """The labelled frames that `config` (the part `config.data` of a config) names.

    On first use they are prepared as a TFDS set under the cache folder, in <source>-<name>/<key>, where the key covers
    labels, image bytes and reader version; nothing is written anywhere else. Raises InputError for anything wrong with
    the fields or the files.
    """
    if config.source not in SOURCES:
        near = difflib.get_close_matches(config.source, SOURCES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(SOURCES)}."
        raise InputError(f"config.data.source: there is no source '{config.source}'; {hint}")
    if config.source == "paw_on_ball":
        if config.path:
            raise InputError(
                f"config.data.path = '{config.path}' is not read by config.data.source = 'paw_on_ball', which is "
                "synthetic: say what lies there, --config.data.source=deeplabcut or lightning_pose"
            )
        frames = _load_paw_on_ball(config)
    else:
        frames = _load_images(config)
    return frames.select_bodyparts(tuple(config.bodyparts))


def _load_paw_on_ball(config: ConfigDict) -> LabelledFrames:
    for field, least in (("n_frames", 1), ("height", 1), ("width", 1), ("data_seed", 0)):
        if config[field] < least:
            raise InputError(f"config.data.{field}: is {config[field]}; it has to be at least {least}")
    scene = {"n_frames": config.n_frames, "height": config.height, "width": config.width, "seed": config.data_seed}
    text = "x".join(map(str, scene.values()))
    key = hashlib.sha256(f"{READER_VERSION} {text} {_source_of_drawing()}".encode()).hexdigest()[:16]
    folder = cache_root(config.cache) / f"paw_on_ball-{text}" / key
    n_bytes = config.n_frames * config.height * config.width
    prepare_once(folder, n_bytes, functools.partial(write_dataset, functools.partial(PawOnBall, **scene)))
    return read_dataset(folder)


def _source_of_drawing() -> str:
    """The text of the package that draws `paw_on_ball`: a change of the drawing prepares the set anew."""
    return "".join(file.read_text() for file in sorted(Path(paw_on_ball.__file__).parent.glob("*.py")))


def _load_images(config: ConfigDict) -> LabelledFrames:
    if not config.path:
        raise InputError(f"config.data.path: is empty; set it to the folder of the {config.source} data")
    root = Path(config.path).expanduser()
    if config.source == "deeplabcut":
        root = root.parent if root.name == "config.yaml" else root
        builder, table = DeepLabCut, read_deeplabcut(root, config.labels)
    else:
        builder, table = LightningPose, read_lightning_pose(root)
    if np.isnan(table.keypoints).all():
        raise InputError(f"{table.source}: none of its {len(table.ids)} frames has a label; label some frames")
    root = root.resolve()
    fingerprint = _fingerprint(table, hash_pictures(root, table.ids))
    name = re.sub(r"[^\w.-]+", "_", root.name)
    folder = cache_root(config.cache) / f"{config.source}-{name}" / fingerprint[:16]

    def make(private: Path) -> None:
        pictures = inspect_pictures(root, table.ids)
        _refuse_labels_outside(table, pictures)
        write_dataset(functools.partial(builder, table, root, pictures, fingerprint), private)

    n_bytes = sum((root / frame).stat().st_size for frame in table.ids)
    prepare_once(folder, n_bytes, make)
    return read_dataset(folder)


def _fingerprint(table: LabelTable, pictures: str) -> str:
    words = [READER_VERSION, pictures, *table.bodyparts, *table.ids]
    labels = np.ascontiguousarray(table.keypoints.astype("<f4")).tobytes()
    return hashlib.sha256("\n".join(words).encode() + labels).hexdigest()


def _refuse_labels_outside(table: LabelTable, pictures: Pictures) -> None:
    """Refuses labels off their picture, which reaches half a pixel beyond the centres of its outermost pixels.

    A point on the far edge as tools that count from the corner see it, x = width or y = height, is on the border.
    """
    limit = pictures.sizes[:, None, ::-1]  # (width, height)
    outside = ((table.keypoints < -0.5) | (table.keypoints > limit)).any(axis=-1)
    if not outside.any():
        return
    places = []
    for n, k in np.argwhere(outside)[:LISTED]:
        (x, y), (height, width) = table.keypoints[n, k], pictures.sizes[n]
        places.append(f"{table.bodyparts[k]} at ({x:g}, {y:g}) in {table.ids[n]} of {width}x{height}")
    more = f" and {outside.sum() - LISTED} more" if outside.sum() > LISTED else ""
    raise InputError(
        f"{table.source}: {outside.sum()} labels lie outside their image: {'; '.join(places)}{more}; "
        f"correct them or leave them empty"
    )
