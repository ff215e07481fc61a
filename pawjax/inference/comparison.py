"""Prepares training runs for a comparison: checks that they share frames, evaluates them, counts their cost."""

import os.path
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import run_files
from pawjax.data.batches import scaled_size
from pawjax.engine.checkpoints import best_step
from pawjax.errors import InputError, warn
from pawjax.inference.evaluation import evaluate_run, evaluation_folder
from pawjax.inference.flops import count_flops
from pawjax.inference.run import RunFiles, read_run_files
from pawjax.inference.views import make_predict
from pawjax.methods import make_method
from pawjax.report.comparison import SPLITS, ComparedRun
from pawjax.report.curves import Series, read_metrics

PICTURES = ("worst_frames.png", "proposals.png")  # the second exists only with --boxes


class Evaluation(NamedTuple):
    """What a comparison reads of one evaluation: the content of metrics.json, and the errors [n_points] px."""

    metrics: dict[str, Any]
    errors: np.ndarray


def collect_runs(workdirs: Sequence[Path], evaluate: bool = False, data_folder: str = "") -> list[ComparedRun]:
    """The comparison's data of each run, in the order given.

    Existing evaluations are reused; missing, damaged and outdated ones, or all with `evaluate`, are made from the best
    checkpoint on dev and announced on stderr. Only `eval/` is written.

    Args:
      workdirs: the run folders.
      evaluate: whether to evaluate every run again.
      data_folder: where the data of the runs are now; '' for where they were.

    Raises InputError, before anything is evaluated, for no run or one given twice; a folder that is not a finished
    run, or a damaged one; data, bodyparts or splits that differ (train splits may be subsets of the largest one);
    missing data.
    """
    names = run_names(workdirs)
    runs = [_read_finished(workdir, data_folder) for workdir in workdirs]
    splits = [run.split_lists() for run in runs]
    curves = [read_metrics(workdir / "metrics.jsonl") for workdir in workdirs]
    _check_data(names, [run.record for run in runs])
    _check_splits(names, splits)
    sizes, channels = _test_frames(runs[0])
    costs = []
    for run in runs:
        scaled = [scaled_size(tuple(size), run.config.scale) for size in np.unique(sizes, axis=0).tolist()]
        shape = (1, *map(max, zip(*scaled, strict=True)), channels)  # as `make_store` pads frames of several sizes
        costs.append(network_cost(run.config, run.bodyparts, shape))
    kept = [{} if evaluate else _kept_evaluations(name, run.workdir) for name, run in zip(names, runs, strict=True)]
    parts = zip(names, runs, curves, costs, kept, strict=True)
    return [_collect(name, run, curve, cost, _evaluate(name, run, kept)) for name, run, curve, cost, kept in parts]


def run_names(workdirs: Sequence[Path]) -> list[str]:
    """The folders' names, preceded by as many parent folders as make them unique.

    Raises InputError for no folder, or the same one twice.
    """
    if not workdirs:
        raise InputError("no run to compare: python -m pawjax.compare RUN RUN ... --out=FOLDER")
    given: dict[Path, Path] = {}
    for workdir in workdirs:
        if (other := given.setdefault(workdir.resolve(), workdir)) is not workdir:
            raise InputError(f"{workdir} and {other} are the same run: give each run once")
    parts = [Path(os.path.abspath(workdir)).parts for workdir in workdirs]  # a link keeps its name
    depths = [1] * len(parts)
    while True:
        names = [str(Path(*part[-n:])) for part, n in zip(parts, depths, strict=True)]
        clashing = [names.count(name) > 1 for name in names]
        if not any(clashing):
            return names
        depths = [n + clash for n, clash in zip(depths, clashing, strict=True)]


def network_cost(config: ConfigDict, bodyparts: tuple[str, ...], shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """Number of trained parameters, and `count_flops` of predicting one batch of the given shape.

    Parameters include heads used only in training, but no batch statistics. The program maps uint8 images at the
    network's scale to keypoints, with all views of `config.predict`; what depends only on the variables
    (`method.fold`), and its structure, are left out.

    Args:
      config: the run's.
      bodyparts: names of the K points.
      shape: (B, H, W, C) of the images.
    """
    method = make_method(config, bodyparts)
    batch = {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)}
    variables = jax.eval_shape(method.init, jax.random.key(0), batch)
    images = jax.ShapeDtypeStruct(shape, np.uint8)
    flops = count_flops(make_predict(method, config, bodyparts), variables, images)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"])), flops


def _read_finished(workdir: Path, data_folder: str) -> RunFiles:
    """Raises InputError unless the run is finished."""
    if not workdir.is_dir():
        raise InputError(f"{workdir} is not the folder of a finished training run: no such folder")
    run = read_run_files(workdir, data_folder)
    if "steps" not in run.record:
        raise InputError(f"the training of {workdir} has not finished (no 'steps' in run.json): run its command again")
    return run


def _check_data(names: Sequence[str], records: Sequence[dict[str, Any]]) -> None:
    for name, record in zip(names[1:], records[1:], strict=True):
        for field, words in (("fingerprint", "other frames or labels"), ("bodyparts", "other bodyparts")):
            if record["data"][field] != records[0]["data"][field]:
                raise InputError(
                    f"{name} was trained on {words} than {names[0]}: only runs on the same data can be compared"
                )


def _check_splits(names: Sequence[str], splits: Sequence[dict[str, list[str]]]) -> None:
    """Dev and test must hold the same frames; train may be a subset of the largest one (data.n_train)."""
    largest = max(range(len(splits)), key=lambda i: len(splits[i]["train"]))
    for name, frames in zip(names, splits, strict=True):
        differing = {split: len(set(frames[split]) ^ set(splits[0][split])) for split in ("dev", "test")}
        reference = names[0]
        if not any(differing.values()):
            differing = {"train": len(set(frames["train"]) - set(splits[largest]["train"]))}
            reference = names[largest]
        if any(differing.values()):
            counts = " and ".join(f"{n} {split} frames" for split, n in differing.items() if n)
            raise InputError(
                f"{name} and {reference} have different splits ({counts} differ): "
                "train them with the same config.data.split_file"
            )


def _test_frames(run: RunFiles) -> tuple[np.ndarray, int]:
    """(height, width) int [N, 2] in px of the original test frames, and their number of channels."""
    frames = run.frames()
    return np.asarray(frames.sizes)[run.split(frames)["test"]], frames.images.shape[-1]


def _kept_evaluations(name: str, workdir: Path) -> dict[str, Evaluation]:
    """The whole evaluations of a run, by split; damaged and outdated ones are left out, with a warning."""
    kept, best = {}, best_step(workdir)
    for split in SPLITS:
        folder = evaluation_folder(workdir, split, "best", {})
        if all((folder / file).is_file() for file in ("metrics.json", "predictions.csv", "worst_frames.png")):
            try:
                found = _read_evaluation(folder)
            except run_files.Damaged as error:
                warn(f"{error.what}: the evaluation is made anew")
                continue
            if best not in (None, step := found.metrics.get("step", best)):
                warn(f"{folder} is of step {step}, the best checkpoint now of step {best}: the evaluation is made anew")
                continue
            kept[split] = found
    _check_steps(name, kept)
    return kept


def _evaluate(name: str, run: RunFiles, kept: dict[str, Evaluation]) -> dict[str, Evaluation]:
    """The evaluations of a run on all splits: those kept, and new ones."""
    evaluations = {}
    for split in SPLITS:
        if split not in kept:
            print(f"{name}: evaluating {split}", file=sys.stderr, flush=True)
            evaluate_run(run.workdir, split, "best", data_folder=run.config.data.path)
        folder = evaluation_folder(run.workdir, split, "best", {})
        evaluations[split] = kept[split] if split in kept else _read_evaluation(folder)
    _check_steps(name, evaluations)
    return evaluations


def _read_evaluation(folder: Path) -> Evaluation:
    metrics = run_files.read_evaluation(folder)
    return Evaluation(metrics, run_files.read_errors(folder / "predictions.csv", metrics["n_points"]))


def _check_steps(name: str, evaluations: dict[str, Evaluation]) -> None:
    steps = {split: found.metrics.get("step", "unknown") for split, found in evaluations.items()}
    if len(set(map(str, steps.values()))) > 1:
        listed = ", ".join(f"{split} at step {step}" for split, step in steps.items())
        raise InputError(f"{name} was evaluated with different checkpoints, {listed}: compare with --evaluate")


def _collect(
    name: str, run: RunFiles, curves: dict[str, Series], cost: tuple[int, int], evaluations: dict[str, Evaluation]
) -> ComparedRun:
    record, tested_on = run.record, evaluations["test"].metrics["device"]
    n_devices = f"{record['n_devices']} x " if record["n_devices"] > 1 else ""
    folder = evaluation_folder(run.workdir, "test", "best", {})
    return ComparedRun(
        name=name,
        metrics={split: evaluation.metrics for split, evaluation in evaluations.items()},
        test_errors=evaluations["test"].errors,
        curves=curves,
        pictures=tuple(path for name in PICTURES if (path := folder / name).is_file()),
        n_train=record["data"]["n_train"],
        seconds=record["seconds"],
        parameters=cost[0],
        flops=cost[1],
        device=n_devices + record["device"] + ("" if tested_on == record["device"] else f"; tested on {tested_on}"),
        command=_as_typed(record["command"]),
    )


def _as_typed(command: Sequence[str]) -> tuple[str, ...]:
    """A run's command as typed: 'train.py' becomes 'python -m pawjax.train'."""
    program = ("python", "-m", "pawjax.train") if command[0] == "train.py" else (command[0],)
    return (*program, *command[1:])
