"""Splits frames into training, model selection (dev) and final evaluation (test)."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawjax.data.config import DataConfig
from pawjax.data.documentation import read_documentation
from pawjax.data.frames import LabelledFrames
from pawjax.data.names import frame_id
from pawjax.errors import InputError, listed, warn
from pawjax.files import regular, user_path, write_text

SPLITS = ("train", "dev", "test")
DRAWS = 20  # random assignments of videos to choose from

Split = dict[str, np.ndarray]  # frame rows by split name
NAMED = 3  # frames listed in a message


def split(config: DataConfig, frames: LabelledFrames) -> Split:
    """The rows of `frames` for train, dev and test: int64 arrays, sorted, disjoint, none empty.

    `config.split_file` is either JSON as written by `write_split` (frames it does not list are left out) or a
    DeepLabCut Documentation_data pickle (its test frames stay test, dev is drawn from its train frames); without a file
    the split is drawn from `split_fractions`, `split_by` and `split_seed`. Frames without any label are left out, with
    a warning, if `config.needs_labels`. A nonzero `n_train` keeps that many training frames; with the same
    `split_seed`, a smaller set is a subset of a larger one.
    Raises InputError for a file that does not match the frames, an empty split, or an `n_train` above the number of
    training frames.
    """
    fractions = config.split_fractions
    rng = np.random.default_rng(config.split_seed)
    path = user_path(config.split_file)
    if not config.split_file:
        everything = _leave_out_unlabelled({"all": np.arange(len(frames))}, config, frames)
        rows = _draw(everything["all"], fractions, frames.videos, config.split_by, rng)
        where = "config.data.split_fractions"
    elif path.suffix == ".pickle":
        rows = _leave_out_unlabelled(_read_documentation(path, frames), config, frames)
        rows |= _draw_dev(path, rows["train"], config, frames, rng)
        where = str(path)
    else:
        rows = _leave_out_unlabelled(_read_lists(path, frames), config, frames)
        where = str(path)
    empty = [name for name in SPLITS if len(rows[name]) == 0]
    if empty:
        raise InputError(
            f"{where}: the split leaves {' and '.join(empty)} empty ({len(frames)} frames of "
            f"{len(set(frames.videos))} videos, split by {config.split_by}); give each at least one labelled frame"
        )
    if config.n_train:
        n = len(rows["train"])
        if config.n_train > n:
            raise InputError(
                f"config.data.n_train = {config.n_train} must be at most {n}, the number of training frames"
            )
        order = np.random.default_rng(config.split_seed).permutation(np.sort(rows["train"]))
        rows["train"] = order[: config.n_train]
    return {name: np.sort(rows[name]) for name in SPLITS}


def read_split(path: Path, frames: LabelledFrames) -> Split:
    """The rows of `frames` in a run's own split file, as `write_split` wrote it: int64 arrays, sorted, disjoint.

    Raises InputError for a file that is damaged or does not match the frames.
    """
    return {name: np.sort(rows) for name, rows in _read_lists(path, frames).items()}


def write_split(path: Path, frames: LabelledFrames, rows: Split) -> None:
    """Writes the ids of each split as JSON, {"train": [...], "dev": [...], "test": [...]}, as a split file."""
    lists = {name: [frames.ids[row] for row in rows[name]] for name in SPLITS}
    write_text(path, json.dumps(lists, indent=0) + "\n")


def _leave_out_unlabelled(rows: Split, config: DataConfig, frames: LabelledFrames) -> Split:
    """The rows of frames about which something is known, if only those are of use."""
    if not config.needs_labels:
        return rows
    of_use = (frames.labelled | frames.absent).any(axis=(1, 2))
    kept = {name: some[of_use[some]] for name, some in rows.items()}
    n, n_kept = (sum(map(len, some.values())) for some in (rows, kept))
    if n_kept < n:
        warn(
            f"{n - n_kept} of {n} frames have no label of {listed(frames.bodyparts, NAMED)} and are left out of train, "
            f"dev and test; if the animal is not in them, config.data.unlabelled=negative trains on that"
        )
    return kept


def _draw(
    rows: np.ndarray, fractions: Sequence[float], videos: Sequence[str], by: str, rng: np.random.Generator
) -> Split:
    """Splits `rows` at random by the fractions, by frame or by whole videos."""
    if by == "video":
        return _draw_videos(rows, fractions, videos, rng)
    order = rng.permutation(rows)
    # Dev and test are rounded to whole frames, and training gets the rest: 1623 -> 973, 325, 325.
    dev, test = (int(np.floor(len(rows) * fraction + 0.5)) for fraction in fractions[1:])
    train = max(0, len(rows) - dev - test)
    return dict(zip(SPLITS, np.split(order, [train, train + dev]), strict=True))


def _draw_videos(
    rows: np.ndarray, fractions: Sequence[float], videos: Sequence[str], rng: np.random.Generator
) -> Split:
    """Draws several random assignments of whole videos and keeps the one closest to the fractions."""
    names, owner, counts = np.unique([videos[row] for row in rows], return_inverse=True, return_counts=True)
    targets = len(rows) * np.asarray(fractions, float)
    if len(names) < np.count_nonzero(targets):
        raise InputError(
            f"config.data.split_by=video: the frames come from {len(names)} video(s), and train, dev and test "
            f"need one each; label more videos, or split by frame"
        )
    best, best_error = None, np.inf
    for _ in range(DRAWS):
        assigned = _assign_videos(rng.permutation(len(names)), counts, targets)
        error = np.abs(np.bincount(assigned, counts, 3) - targets).sum()
        if error < best_error:
            best, best_error = assigned, error
    return {name: rows[best[owner] == index] for index, name in enumerate(SPLITS)}


def _assign_videos(order: np.ndarray, counts: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Index into SPLITS for every video.

    In `order`, each video goes to the split that lacks most frames, and the last ones to splits still empty.
    """
    assigned, filled, used = np.zeros(len(counts), int), np.zeros(3), targets == 0
    for position, video in enumerate(order):
        lack = targets - filled
        if np.count_nonzero(~used) == len(order) - position:
            lack = np.where(used, -np.inf, lack)
        index = int(np.argmax(np.where(targets > 0, lack, -np.inf)))
        assigned[video], used[index] = index, True
        filled[index] += counts[video]
    return assigned


def _read_lists(path: Path, frames: LabelledFrames) -> Split:
    regular(path)
    try:
        lists = json.loads(regular(path).read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: nested thousands deep
        raise InputError(
            f"{path}: cannot be read as the split ({error}); restore it, or correct config.data.split_file"
        ) from error
    if not isinstance(lists, dict) or any(
        not isinstance(lists.get(name), list) or not all(isinstance(frame, str) for frame in lists[name])
        for name in SPLITS
    ):
        raise InputError(f"{path}: has no lists of frames named 'train', 'dev' and 'test'; add the one that is missing")
    row_of = {frame: row for row, frame in enumerate(frames.ids)}
    ids = {name: [frame_id(frame) for frame in lists[name]] for name in SPLITS}
    named = [frame for name in SPLITS for frame in ids[name]]
    unknown = [frame for frame in named if frame not in row_of]
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} of its frames are not among the labelled ones: {listed(unknown, NAMED)}; "
            f"correct the lists, or config.data.path"
        )
    repeated = [frame for frame, times in Counter(named).items() if times > 1]
    if repeated:
        raise InputError(f"{path}: {listed(repeated, NAMED)} is listed more than once; keep each frame in one split")
    return {name: np.array([row_of[frame] for frame in ids[name]], int) for name in SPLITS}


def _read_documentation(path: Path, frames: LabelledFrames) -> Split:
    """The rows of `frames` that a Documentation_data pickle names for 'train' and 'test', sorted."""
    ids = dict(zip(("train", "test"), read_documentation(path, frames.ids), strict=True))
    row_of = {frame: row for row, frame in enumerate(frames.ids)}
    unknown = [frame for frame in (*ids["train"], *ids["test"]) if frame not in row_of]
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} of its frames are not among the labelled ones: {listed(unknown, NAMED)}; "
            f"create the training dataset of this project again, or correct config.data.split_file"
        )
    return {name: np.sort(np.array([row_of[frame] for frame in some], int)) for name, some in ids.items()}


def _draw_dev(
    path: Path, pool: np.ndarray, config: DataConfig, frames: LabelledFrames, rng: np.random.Generator
) -> Split:
    """Divides the training frames of a pickle into 'train' and 'dev'."""
    train, dev, _ = config.split_fractions
    shares = (train / max(train + dev, 1e-9), dev / max(train + dev, 1e-9), 0.0)
    rows = _draw(pool, shares, frames.videos, config.split_by, rng)
    print(
        f"{path.name} has no dev split: {len(rows['dev'])} of its {len(pool)} training frames became dev "
        f"(config.data.split_seed, split_fractions)",
        file=sys.stderr,
    )
    return {name: rows[name] for name in ("train", "dev")}
