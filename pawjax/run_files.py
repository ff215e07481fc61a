"""The one door through which the files of a run are read: each has a shape, and a damaged file is one sentence.

Checkpoints are read by `pawjax.engine.checkpoints`; no program reads the pictures and boxes.json.
"""

import csv
import hashlib
import json
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pawjax.errors import InputError, warn
from pawjax.files import read_json, regular

DEEPEST = 20  # levels of nesting, several times what a run needs
MOST = 2**53  # of a count: whole numbers up to here are exact in JSON
LARGEST = float(np.finfo(np.float32).max)  # of a number
RESTORE = "restore it from a copy, or train again in another folder"
REDRAW = "restore it from a copy, or remove it and give the training command again, which writes it anew"
RELEARN = "restore it from a copy, or remove it, and it is learned again from the run's labels"
EVALUATE = "evaluate again"


class Damaged(InputError):
    """A file of a run that is missing, cannot be read, or does not have the shape that pawjax wrote.

    Attributes:
      what: the message without the fix.
    """

    def __init__(self, what: str, fix: str = ""):  # absl raises what a config file raised with one argument
        super().__init__(f"{what}: {fix}" if fix else what)
        self.what = what


class Kind(NamedTuple):
    """What a value may be, in words and as a check."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that float32 holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(item, str) for item in value)


def _are_edges(value: Any) -> bool:
    def is_edge(edge: Any) -> bool:
        if not isinstance(edge, dict):
            return False
        names, places, variances = (("parent", "child"), ("x", "y"), ("x_variance", "y_variance"))
        if "distance" in edge or "distance_variance" in edge:  # older versions wrote none
            places, variances = (*places, "distance"), (*variances, "distance_variance")
        return (
            all(isinstance(edge.get(name), str) for name in names)
            and all(_is_number(edge.get(name)) for name in places)
            and all(_is_number(edge.get(name)) and edge[name] > 0 for name in variances)
            and _is_count(edge.get("frames"))
        )

    return isinstance(value, list) and all(map(is_edge, value))


ANY = Kind("any value", lambda value: True)
TEXT = Kind("a string", lambda value: isinstance(value, str))
TEXTS = Kind("a list of strings", _are_texts)
COUNT = Kind("a whole number from 0", _is_count)
NUMBER = Kind("a finite number from 0", lambda value: _is_number(value) and value >= 0)
EDGES = Kind("a list of connections, with all numbers that pawjax wrote", _are_edges)
ERROR = Kind("a finite number from 0, or null", lambda value: value is None or NUMBER.fits(value))
LOGGED = Kind("a number, or null", lambda value: _is_number(value) or value is None or _is_infinite(value))

# The fields that every version of pawjax wrote and that this one reads. Types of a config are checked by its sections.
CONFIG = dict.fromkeys(
    (
        *("seed", "steps", "batch_size", "method", "scale", "dtype", "parallel", "pcutoff"),
        *(f"data.{field}" for field in ("source", "path", "bodyparts", "split_fractions", "split_by", "split_seed")),
        *("model.norm", "augment.rotation", "augment.scale"),
        *(f"optimizer.{field}" for field in ("name", "schedule", "rates", "learning_rate", "ema_decay")),
    ),
    ANY,
)
RUN = {
    **{"command": TEXTS, "device": TEXT, "n_devices": COUNT},
    **{"data.source": TEXT, "data.fingerprint": TEXT, "data.bodyparts": TEXTS},
    **{f"data.n_{split}": COUNT for split in ("train", "dev", "test")},
}
CRITERION, BY_DEFAULT = "dev/criterion", "dev/rmse_px"  # of an evaluated checkpoint; see `criterion_of`
END = {"steps": COUNT, "seconds": NUMBER}  # of run.json, once the run is finished
SPLIT = dict.fromkeys(("train", "dev", "test"), TEXTS)
TREE = {"edges": EDGES}
EVALUATION = {
    **dict.fromkeys(("rmse_px", "mean_error_px", "median_px", "p95_px"), ERROR),
    **dict.fromkeys(("n_over_50px", "n_points", "n_images"), COUNT),
    **{"seconds": NUMBER, "device": TEXT},
}


def read_config(path: Path) -> dict[str, Any]:
    """config.json as written, perhaps by an older version. Raises Damaged if it lacks what every version wrote."""
    return _read(path, CONFIG, RESTORE)


def read_run(path: Path) -> dict[str, Any]:
    """run.json. Raises Damaged."""
    values = _read(path, RUN, RESTORE)
    if "steps" in values:
        _check(path, values, END, RESTORE)
    for name, kind in (("split_sha256", TEXT), ("minutes", NUMBER), ("stopped_early", TEXT)):
        if name in values:  # not in older runs, or not in all
            _check(path, values, {name: kind}, RESTORE)
    return values


def read_split(path: Path, run: Mapping[str, Any]) -> dict[str, list[str]]:
    """split.json: the frames of 'train', 'dev' and 'test'.

    Args:
      path: the file.
      run: the content of run.json.

    Raises Damaged, and InputError for frames that are not those that the run was trained with.
    """
    lists = _read(path, SPLIT, REDRAW)
    found = split_sha256(lists)
    same = all(len(lists[name]) == run["data"][f"n_{name}"] for name in SPLIT)
    if not same or run.get("split_sha256", found) != found:
        raise InputError(f"{path} is not the split that the run began with, and may mix train and test: {REDRAW}")
    return lists


def read_tree(path: Path, bodyparts: Sequence[str]) -> dict[str, Any]:
    """tree.json: the connections of a tree over the bodyparts, from its root on. Raises Damaged."""
    values = _read(path, TREE, RELEARN)
    reached: set[str] = set()
    for edge in values["edges"]:
        parent, child = edge["parent"], edge["child"]
        if child in reached or parent == child or (reached and parent not in reached):
            raise Damaged(f"{path} is damaged, its connection from '{parent}' to '{child}' is of no tree", RELEARN)
        reached |= {parent, child}
    if reached != set(bodyparts):
        raise Damaged(f"{path} is damaged, it does not connect {', '.join(bodyparts)}", RELEARN)
    return values


def split_sha256(lists: Mapping[str, Sequence[str]]) -> str:
    """Hash of a split's frames, in whatever order they are listed, with accents in whatever Unicode form."""
    names = {split: sorted(unicodedata.normalize("NFC", frame) for frame in lists[split]) for split in SPLIT}
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def read_log(path: Path) -> list[dict[str, float | None]]:
    """The records of metrics.jsonl: a 'step' and numbers by name, NaN and infinities included, null for unknown.

    Other lines are left out with a warning that counts them, except a last one that a killed run left unfinished. A
    missing log is empty, with a warning. Raises InputError if the path is no file.
    """
    try:
        lines = [line for line in _regular(path, RESTORE).read_bytes().splitlines() if line.strip()]
    except FileNotFoundError:
        warn(f"{path} is missing: there is no learning curve of the training so far")
        return []
    records = [_record(line) for line in lines]
    garbled = sum(record is None for record in records[:-1])
    if garbled:
        warn(f"{path}: {garbled} of its {len(lines)} lines are garbled and left out")
    return [record for record in records if record is not None]


def criterion_of(evaluated: Mapping[str, float]) -> float:
    """The number by which a checkpoint's evaluation during training is judged; the least is the best.

    `config.checkpoint_by` decides: for 'rmse', and in older runs, it is the RMSE on dev.
    """
    return float(evaluated[CRITERION if CRITERION in evaluated else BY_DEFAULT])


def read_evaluation(folder: Path) -> dict[str, Any]:
    """metrics.json of an evaluation. Raises Damaged."""
    path = folder / "metrics.json"
    values = _read(path, EVALUATION, EVALUATE)
    if not values["n_images"]:
        raise Damaged(f"{path} is damaged, n_images is 0", EVALUATE)
    return values


def read_errors(path: Path, n_points: int) -> np.ndarray:
    """The errors in predictions.csv: [n_points] px, frame by frame, labelled points only.

    Raises Damaged, also if there are not `n_points` of them.
    """
    try:
        with _regular(path, EVALUATE).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        columns = [i for i, name in enumerate(header) if name.endswith("_error_px")]
        errors = np.array([float(row[i]) for row in rows for i in columns if row[i]])
    except FileNotFoundError as error:
        raise Damaged(f"{path} is missing", EVALUATE) from error
    except (ValueError, IndexError, csv.Error) as error:
        raise Damaged(f"{path} is damaged ({error})", EVALUATE) from error
    if not ((errors >= 0) & (errors <= LARGEST)).all():
        raise Damaged(f"{path} is damaged, it has errors that are not finite numbers from 0", EVALUATE)
    if len(errors) != n_points:
        raise Damaged(f"{path} has {len(errors)} errors but metrics.json beside it counts {n_points} points", EVALUATE)
    return errors


def _read(path: Path, shape: Mapping[str, Kind], fix: str) -> dict[str, Any]:
    """The content of a JSON file. Raises Damaged, and InputError for what is no file, which nothing may replace."""
    _regular(path, fix)
    try:
        values = read_json(path, fix)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Damaged(f"{path} is missing", fix) from error
    except InputError as error:
        raise Damaged(str(error).removesuffix(f": {fix}"), fix) from error
    if not isinstance(values, dict) or not _is_flat(values, DEEPEST):
        raise Damaged(f"{path} is damaged, it does not hold the fields that pawjax wrote", fix)
    _check(path, values, shape, fix)
    return values


def _check(path: Path, values: Mapping[str, Any], shape: Mapping[str, Kind], fix: str) -> None:
    """Raises Damaged unless each field, named as 'data.source', is there and of its kind."""
    for name, kind in shape.items():
        value: Any = values
        for word in name.split("."):
            if not isinstance(value, dict) or word not in value:
                raise Damaged(f"{path} is damaged, it has no {name}", fix)
            value = value[word]
        if not kind.fits(value):
            shown = json.dumps(value)
            shown = shown if len(shown) < 50 else f"{shown[:50]}..."
            raise Damaged(f"{path} is damaged, {name} = {shown} must be {kind.words}", fix)


def _regular(path: Path, fix: str) -> Path:
    try:
        return regular(path)
    except InputError as error:
        raise InputError(f"{path} is not a file but a folder, pipe or device: {fix}") from error


def _is_flat(value: Any, levels: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_flat(item, levels - 1) for item in items)


def _record(line: bytes) -> dict[str, float | None] | None:
    """A line of metrics.jsonl, or None if it is garbled."""
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    fits = (
        isinstance(record, dict)
        and _is_count(record.get("step"))
        and NUMBER.fits(record.get("seconds", 0))
        and all(LOGGED.fits(value) for value in record.values())
    )
    return record if fits else None
