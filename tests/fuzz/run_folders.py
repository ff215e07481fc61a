"""Damaged run folders: what evaluating, comparing, loading and resuming make of them."""

import json
import random
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.damage import OF_CONTENT, OF_FILES, Damage, Truth, choose
from tests.tiny import tiny_config

WRONG: tuple[Any, ...] = (None, True, -1, 0, 1e308, "", "x", "\0", [], {}, [[]], {"a": 3}, "1", 3)
COMMON = ("config.json", "run.json")
READS = {  # by door; checkpoint 3 is the best on dev, 6 the last
    "evaluate": (*COMMON, "split.json", "checkpoints/3/model", "checkpoints/3"),
    "compare": (*COMMON, "split.json", "metrics.jsonl", "eval"),
    "load": (*COMMON, "checkpoints/6/model", "checkpoints/6"),
    "resume": (*COMMON, "split.json", "metrics.jsonl", "checkpoints/6/train", "checkpoints/6"),
}


def make(folder: Path) -> None:
    """Trains a tiny run and evaluates it on all splits."""
    from pawjax.engine.loop import train_and_evaluate
    from pawjax.inference.evaluation import evaluate_run

    train_and_evaluate(tiny_config(), folder / "run")
    for split in ("train", "dev", "test"):
        evaluate_run(folder / "run", split, "best")


def damage(folder: Path, rng: np.random.Generator) -> Damage:
    """Damages one file of the run among those that one of the doors reads."""
    run, door = folder / "run", choose(rng, sorted(READS))
    place = choose(rng, READS[door])
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.suffix != ".png"]
    path = choose(rng, [path for path in files if path.relative_to(run).is_relative_to(place)])
    name = f"{door}, {path.relative_to(run)}"
    (folder / "door").write_text(door)
    if path.suffix == ".json" and rng.random() < 0.6:
        return Damage(f"{name}: {_of_json(path, rng)}", Truth.UNKNOWN)
    change = choose(rng, OF_CONTENT * 2 + OF_FILES)
    change(path, rng)
    keeps = "checkpoints" in path.parts or path.name == "split.json"
    return Damage(f"{name}: {change.__name__}", Truth.REFUSED if keeps else Truth.UNKNOWN)


def load(folder: Path) -> Hashable:
    """What one of the doors, or each in turn for the good run, returns."""
    door = folder / "door"
    doors = (door.read_text(),) if door.exists() else tuple(READS)
    return tuple((name, _OPEN[name](folder / "run")) for name in doors)


def same(good: Hashable, value: Hashable) -> bool:
    """Whether the one door returned what it returns for the good run."""
    return set(value) <= set(good)


def _evaluate(run: Path) -> Hashable:
    from pawjax.inference.evaluation import evaluate_run

    numbers = evaluate_run(run, "dev", "best")
    return tuple(numbers[name] for name in ("n_images", "n_points", "rmse_px", "max_px"))


def _compare(run: Path) -> Hashable:
    from pawjax.inference.comparison import collect_runs

    (one,) = collect_runs([run])
    return tuple(one.metrics[split]["rmse_px"] for split in ("train", "dev", "test")), one.parameters, one.n_train


def _load(run: Path) -> Hashable:
    import pawjax

    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    keypoints, likelihood = pawjax.load(run, "last")(images)
    return keypoints.tobytes(), likelihood.tobytes()


def _resume(run: Path) -> Hashable:
    from pawjax.engine.loop import train_and_evaluate

    train_and_evaluate(tiny_config(), run)
    return json.loads((run / "run.json").read_text())["params_sha256"]


_OPEN = {"evaluate": _evaluate, "compare": _compare, "load": _load, "resume": _resume}


def _of_json(path: Path, rng: np.random.Generator) -> str:
    """Gives a random value of the file, or all of it, another value."""
    content, wrong = json.loads(path.read_text()), choose(rng, WRONG)
    places = list(_places(content))
    if not places or rng.random() < 0.2:
        path.write_text(json.dumps(wrong))
        return f"all = {wrong!r}"
    *parents, last = choose(rng, places)
    inner = content
    for key in parents:
        inner = inner[key]
    if rng.random() < 0.3:
        del inner[last]
        wrong = "removed"
    else:
        inner[last] = wrong
    path.write_text(json.dumps(content))
    return f"{'.'.join(map(str, (*parents, last)))} = {wrong!r}"


def _places(value: Any, path: tuple = ()) -> Any:
    """Keys that lead to each value within nested dicts and lists; at most a few of a long list."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    items = list(items)
    for key, inner in items if len(items) < 40 else random.Random(0).sample(items, 10):
        yield (*path, key)
        yield from _places(inner, (*path, key))
