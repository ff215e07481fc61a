"""What the experiments with few labelled frames share: the frames of each seed, and results kept one by one."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from pawjax.engine.processes import here
from pawjax.engine.setup import Split, Training
from pawjax.engine.state import TrainState
from pawjax.files import write_json
from pawjax.progress import track

SHOWN = ("mean_error_px", "median_px", "rmse_px")

Results = dict[str, dict[str, float]]


def add_options(parser: argparse.ArgumentParser, labels: str) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", default=labels, help="numbers of labelled frames")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="frames whose errors are reported")


def first_frames(split: Split, n: int, seed: int, errors_on: str) -> Split:
    """The split with n train frames, drawn by the seed: fewer are a subset of more. Its dev frames are `errors_on`."""
    order = np.random.default_rng(seed).permutation(split["train"])
    return {"train": np.sort(order[:n]), "dev": split[errors_on], "test": split["test"]}


def trained(training: Training, state: TrainState, words: str) -> tuple[TrainState, float]:
    """The state after all steps, and the seconds that they took but for the first call, which compiles."""
    frames, stride, start = training.feed(state), training.config.steps_per_dispatch, 0.0
    for step in track(range(0, training.config.steps, stride), words):
        state, _ = jax.block_until_ready(training.program(state, next(frames), training.rates(step)))
        start = start or time.perf_counter()
    return state, time.perf_counter() - start


def errors_of(training: Training, state: TrainState) -> dict[str, float]:
    """The errors of the averaged weights on the dev frames."""
    errors = training.monitor.evaluate(here(state.eval_variables))
    return {name: errors[f"dev/{name}"] for name in SHOWN}


def collect(
    out: Path, ways: Sequence[str], labels: Sequence[int], seeds: int, result: Callable[[str, int, int], dict]
) -> Results:
    """Adds what out/results.json lacks, `result(way, labels, seed)`, one by one."""
    path = out / "results.json"
    out.mkdir(parents=True, exist_ok=True)
    results: Results = json.loads(path.read_text()) if path.exists() else {}
    for n in labels:
        for way in ways:
            for seed in range(seeds):
                name = name_of(way, n, seed)
                if name not in results:
                    results[name] = result(way, n, seed)
                    write_json(path, results)
                print(name, {key: round(value, 2) for key, value in results[name].items()}, flush=True)
    return results


def name_of(way: str, n: int, seed: int) -> str:
    return f"{way}, {n} labels, seed {seed}"


def values_of(results: Results, way: str, n: int, seeds: int, key: str) -> np.ndarray:
    """[seeds]"""
    return np.array([results[name_of(way, n, seed)][key] for seed in range(seeds)])


def print_table(results: Results, ways: Sequence[str], labels: Sequence[int], seeds: int) -> None:
    print("\n| labels | way | mean error, px | median | RMSE | seconds |\n|---|---|---|---|---|---|")
    for n in labels:
        for way in ways:
            of = {key: values_of(results, way, n, seeds, key) for key in (*SHOWN, "seconds")}
            spread = np.std(of["mean_error_px"], ddof=1) if seeds > 1 else 0
            print(
                f"| {n} | {way} | {of['mean_error_px'].mean():.2f} ± {spread:.2f} | {of['median_px'].mean():.2f} | "
                f"{of['rmse_px'].mean():.2f} | {of['seconds'].mean():.0f} |"
            )
