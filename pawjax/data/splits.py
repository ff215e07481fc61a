"""Which frames are for training, which for choosing a model (dev) and which for judging it once (test)."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from pawjax.data.documentation import read_documentation
from pawjax.data.frames import LabelledFrames
from pawjax.data.label_table import frame_id
from pawjax.errors import InputError

PARTS = ("train", "dev", "test")
DRAWS = 20  # orders of the videos to choose from

Split = dict[str, np.ndarray]


def split(config: ConfigDict, frames: LabelledFrames) -> Split:
    """The rows of `frames` for train, dev and test: int64 arrays, sorted, disjoint, none empty.

    `config` is the part `config.data` of a config. Its `split` names a file, either JSON as `write_split` makes it
    (frames it does not list are left out) or a DeepLabCut Documentation_data pickle (its test part stays, dev is
    drawn from its train part); without a file the split is drawn from `split_fractions`, `split_by` and `split_seed`.
    Of the training frames `n_train` are kept, where it is not 0; fewer are always among more of the same `split_seed`.
    Raises InputError for a file that does not fit the frames, fractions that are none, a part that is left empty, or
    an `n_train` that is not there.
    """
    fractions = _checked_fractions(config.split_fractions)
    if config.split_by not in ("frame", "video"):
        raise InputError(f"config.data.split_by: '{config.split_by}' is unknown; choose 'frame' or 'video'")
    if config.split_seed < 0:
        raise InputError(f"config.data.split_seed: is {config.split_seed}; it has to be 0 or more")
    rng = np.random.default_rng(config.split_seed)
    path = Path(config.split).expanduser()
    if not config.split:
        parts = _draw(np.arange(len(frames)), fractions, frames.videos, config.split_by, rng)
        where = "config.data.split_fractions"
    elif path.suffix == ".pickle":
        parts = _split_of_documentation(path, fractions, frames, config.split_by, rng)
        where = str(path)
    else:
        parts = _read_lists(path, frames)
        where = str(path)
    empty = [name for name in PARTS if len(parts[name]) == 0]
    if empty:
        raise InputError(
            f"{where}: the split leaves {' and '.join(empty)} empty ({len(frames)} frames of "
            f"{len(set(frames.videos))} videos, split by {config.split_by}); give every part at least one frame"
        )
    if config.n_train:
        if not 0 < config.n_train <= len(parts["train"]):
            n = len(parts["train"])
            raise InputError(f"config.data.n_train: is {config.n_train}; the split has {n} training frames")
        order = np.random.default_rng(config.split_seed).permutation(np.sort(parts["train"]))
        parts["train"] = order[: config.n_train]
    return {name: np.sort(parts[name]) for name in PARTS}


def write_split(path: Path, frames: LabelledFrames, parts: Split) -> None:
    """Writes the ids of each part as JSON, {"train": [...], "dev": [...], "test": [...]}: a `config.data.split`."""
    lists = {name: [frames.ids[row] for row in parts[name]] for name in PARTS}
    Path(path).write_text(json.dumps(lists, indent=0) + "\n")


def _checked_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    train, dev, test = fractions if len(fractions) == 3 else (0, 0, 0)
    if min(train, dev, test) < 0 or abs(train + dev + test - 1) > 1e-6:
        raise InputError(
            f"config.data.split_fractions: {tuple(fractions)} are not three shares (train, dev, test) that sum to 1"
        )
    return train, dev, test


def _draw(
    rows: np.ndarray, fractions: Sequence[float], videos: Sequence[str], by: str, rng: np.random.Generator
) -> Split:
    """Divides `rows` at random by the fractions of the parts, frame by frame or in whole videos."""
    if by == "video":
        return _draw_videos(rows, fractions, videos, rng)
    order = rng.permutation(rows)
    # What is held out is rounded to whole frames, and training gets the rest: 1623 -> 973, 325, 325.
    dev, test = (int(np.floor(len(rows) * fraction + 0.5)) for fraction in fractions[1:])
    train = max(0, len(rows) - dev - test)
    return dict(zip(PARTS, np.split(order, [train, train + dev]), strict=True))


def _draw_videos(
    rows: np.ndarray, fractions: Sequence[float], videos: Sequence[str], rng: np.random.Generator
) -> Split:
    """Of a few random assignments of whole videos, the one whose numbers of frames come closest to the fractions."""
    names, owner, counts = np.unique([videos[row] for row in rows], return_inverse=True, return_counts=True)
    wanted = len(rows) * np.asarray(fractions, float)
    if len(names) < np.count_nonzero(wanted):
        raise InputError(
            f"config.data.split_by=video: the frames come from {len(names)} video(s), and train, dev and test "
            f"need one each; label more videos, or split by frame"
        )
    best, best_error = None, np.inf
    for _ in range(DRAWS):
        parts = _deal(rng.permutation(len(names)), counts, wanted)
        error = np.abs(np.bincount(parts, counts, 3) - wanted).sum()
        if error < best_error:
            best, best_error = parts, error
    return {name: rows[best[owner] == part] for part, name in enumerate(PARTS)}


def _deal(order: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A part for every video, in `order`: the one that lacks most frames, and at last those that have none yet."""
    parts, have, used = np.zeros(len(counts), int), np.zeros(3), wanted == 0
    for position, video in enumerate(order):
        lack = wanted - have
        if np.count_nonzero(~used) == len(order) - position:
            lack = np.where(used, -np.inf, lack)
        part = int(np.argmax(np.where(wanted > 0, lack, -np.inf)))
        parts[video], used[part] = part, True
        have[part] += counts[video]
    return parts


def _read_lists(path: Path, frames: LabelledFrames) -> Split:
    try:
        lists = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as the split ({error}); correct config.data.split") from error
    if not isinstance(lists, dict) or any(
        not isinstance(lists.get(name), list) or not all(isinstance(frame, str) for frame in lists[name])
        for name in PARTS
    ):
        raise InputError(f"{path}: has no lists of frames named 'train', 'dev' and 'test'; add the one that is missing")
    row_of = {frame: row for row, frame in enumerate(frames.ids)}
    ids = {name: [frame_id(frame) for frame in lists[name]] for name in PARTS}
    listed = [frame for name in PARTS for frame in ids[name]]
    unknown = [frame for frame in listed if frame not in row_of]
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} of its frames are not among the labelled ones: {_some(unknown)}; "
            f"correct the lists, or config.data.path"
        )
    repeated = [frame for frame, times in Counter(listed).items() if times > 1]
    if repeated:
        raise InputError(f"{path}: {_some(repeated)} is listed more than once; keep each frame in one part")
    return {name: np.array([row_of[frame] for frame in ids[name]], int) for name in PARTS}


def _split_of_documentation(
    path: Path, fractions: Sequence[float], frames: LabelledFrames, by: str, rng: np.random.Generator
) -> Split:
    train_ids, test_ids = read_documentation(path, frames.ids)
    row_of = {frame: row for row, frame in enumerate(frames.ids)}
    unknown = [frame for frame in (*train_ids, *test_ids) if frame not in row_of]
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} of its frames are not among the labelled ones: {_some(unknown)}; "
            f"create the training dataset of this project again, or correct config.data.split"
        )
    pool = np.sort([row_of[frame] for frame in train_ids]).astype(int)
    train, dev, _ = fractions
    shares = (train / max(train + dev, 1e-9), dev / max(train + dev, 1e-9), 0.0)
    parts = _draw(pool, shares, frames.videos, by, rng)
    print(
        f"{path.name} has no dev part: {len(parts['dev'])} of its {len(pool)} training frames became dev "
        f"(config.data.split_seed, split_fractions)",
        file=sys.stderr,
    )
    return {**parts, "test": np.array([row_of[frame] for frame in test_ids], int)}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
