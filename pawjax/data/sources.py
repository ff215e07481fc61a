"""From `config.data` to labelled frames: read the labels, prepare the set on first use, load it."""

import dataclasses
import functools
import hashlib
import re
from pathlib import Path

import numpy as np

from pawjax.data import paw_on_ball
from pawjax.data.builders import (
    FORMAT_VERSION,
    READER_VERSION,
    DeepLabCut,
    LightningPose,
    PawOnBall,
    need_memory_for_frames,
    read_dataset,
    write_dataset,
)
from pawjax.data.config import DataConfig
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.data.frames import LabelledFrames
from pawjax.data.label_table import LabelTable, warn_of_zeros
from pawjax.data.lightning_pose import read_lightning_pose
from pawjax.data.pictures import Pictures, hash_pictures, inspect_pictures
from pawjax.data.prepared import prepare_once
from pawjax.errors import InputError, listed, warn
from pawjax.files import user_path
from pawjax.machine import cache_root

LISTED = 5  # labels outside their image listed in a message
PADDING_FACTOR, PADDING_BYTES = 4, 1e9  # frames that take more memory than both are warned of


def load(config: DataConfig) -> LabelledFrames:
    """Loads the labelled frames selected by `config`.

    On first use they are prepared as a TFDS dataset in <cache folder>/<source>-<name>/<key>; the key covers labels,
    image bytes, reader and record format. Nothing is written anywhere else. `config.unlabelled` decides which bodyparts
    are absent. Raises InputError for invalid files.
    """
    frames = _load_paw_on_ball(config) if config.source == "paw_on_ball" else _load_images(config)
    if config.unlabelled != "auto":
        absent = ~frames.labelled if config.unlabelled == "negative" else np.zeros_like(frames.labelled)
        frames = dataclasses.replace(frames, absent=absent)
    return frames.select_bodyparts(config.bodyparts)


def _load_paw_on_ball(config: DataConfig) -> LabelledFrames:
    scene = dataclasses.asdict(config.paw_on_ball)
    text = "x".join(map(str, scene.values()))
    folder = cache_root(config.cache) / f"paw_on_ball-{text}" / _key(READER_VERSION, text, _source_of_drawing())
    n_bytes = scene["n_frames"] * scene["height"] * scene["width"]
    fix = "make config.data.paw_on_ball.n_frames, height or width smaller"
    need_memory_for_frames(scene["n_frames"], scene["height"], scene["width"], 1, fix)
    prepare_once(folder, n_bytes, functools.partial(write_dataset, functools.partial(PawOnBall, **scene)))
    return read_dataset(folder)


def _source_of_drawing() -> str:
    """Source code of the `paw_on_ball` package: changing the drawing code rebuilds the dataset."""
    return "".join(file.read_text() for file in sorted(Path(paw_on_ball.__file__).parent.glob("*.py")))


def _load_images(config: DataConfig) -> LabelledFrames:
    root = user_path(config.path)
    if config.source == "deeplabcut":
        root = root.parent if root.name == "config.yaml" else root
        builder, table = DeepLabCut, read_deeplabcut(root, config.label_file)
    else:
        builder, table = LightningPose, read_lightning_pose(root)
    if np.isnan(table.keypoints).all():
        raise InputError(f"{table.source}: none of its {len(table.ids)} frames has a label; label some frames")
    warn_of_zeros(table)
    root = root.resolve()
    fingerprint = _fingerprint(table, hash_pictures(root, table.files), _marks(config, table))
    name = re.sub(r"[^\w.-]+", "_", root.name)
    folder = cache_root(config.cache) / f"{config.source}-{name}" / _key(fingerprint, *_other_ids(table))

    def make(private: Path) -> None:
        pictures = inspect_pictures(root, table.files)
        _refuse_labels_outside(table, pictures)
        _need_memory(root, table, pictures)
        write_dataset(functools.partial(builder, table, root, pictures, fingerprint), private)

    n_bytes = sum((root / file).stat().st_size for file in table.files)
    prepare_once(folder, n_bytes, make)
    frames = dataclasses.replace(read_dataset(folder), absent=table.absent)
    _warn_of_padding(root, frames)
    return frames


def _need_memory(root: Path, table: LabelTable, pictures: Pictures) -> None:
    """Refuses frames that exceed the memory once they are padded to the largest height and width."""
    height, width = map(int, pictures.sizes.max(axis=0))
    largest = table.ids[int(pictures.sizes.prod(axis=1, dtype=np.int64).argmax())]
    fix = f"make the images smaller or leave some out; the largest is {largest}"
    need_memory_for_frames(len(table.ids), height, width, pictures.channels, f"{fix} in {root}")


def _warn_of_padding(root: Path, frames: LabelledFrames) -> None:
    """Warns if most of the memory is padding, and names the image that causes it."""
    areas = frames.sizes.prod(axis=1, dtype=np.int64)
    factor = frames.images[..., 0].size / areas.sum()
    if factor > PADDING_FACTOR and frames.images.nbytes > PADDING_BYTES:
        largest = int(areas.argmax())
        height, width = frames.sizes[largest]
        warn(
            f"{root}: padding to {frames.images.shape[2]}x{frames.images.shape[1]} takes {factor:.0f} times the memory "
            f"of the images, {frames.images.nbytes / 1e9:.1f} GB in all: make large images such as "
            f"{frames.ids[largest]} ({width}x{height}) smaller"
        )


def _key(*words: str) -> str:
    """Name of a cache folder: a hash of `words`, which identify its content, and of the record format."""
    return hashlib.sha256(" ".join((FORMAT_VERSION, *words)).encode()).hexdigest()[:16]


def _other_ids(table: LabelTable) -> tuple[str, ...]:
    """The ids of the frames where the paths, which the fingerprint holds, have another Unicode form."""
    return table.ids if table.ids != table.files else ()


def _marks(config: DataConfig, table: LabelTable) -> bytes:
    """What absence adds to the labels: nothing where it follows from their gaps, or no table has a mark."""
    counts = config.unlabelled == "auto" and config.source == "lightning_pose" and table.absent.any()
    return np.packbits(table.absent).tobytes() if counts else b""


def _fingerprint(table: LabelTable, pictures: str, marks: bytes) -> str:
    words = [READER_VERSION, pictures, *table.bodyparts, *table.files]
    labels = np.ascontiguousarray(table.keypoints.astype("<f4")).tobytes()
    return hashlib.sha256("\n".join(words).encode() + labels + marks).hexdigest()


def _refuse_labels_outside(table: LabelTable, pictures: Pictures) -> None:
    """Refuses labels outside their image, which extends half a pixel beyond its outermost pixel centres.

    x = width and y = height are accepted: the far edge in tools that count from the corner.
    """
    limit = pictures.sizes[:, None, None, ::-1]  # (width, height)
    outside = ((table.keypoints < -0.5) | (table.keypoints > limit)).any(axis=-1)
    if not outside.any():
        return
    places = []
    for n, a, k in np.argwhere(outside):
        (x, y), (height, width) = table.keypoints[n, a, k], pictures.sizes[n]
        places.append(f"{table.bodyparts[k]} at ({x:g}, {y:g}) in {table.ids[n]} of {width}x{height}")
    raise InputError(
        f"{table.source}: {outside.sum()} labels lie outside their image: {listed(places, LISTED, '; ')}; "
        f"correct them or leave them empty"
    )
