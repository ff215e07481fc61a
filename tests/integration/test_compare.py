"""Comparison of runs end to end, refused input, and network cost against a count by hand."""

import csv
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax import cli, compare
from pawjax.config import default_config
from pawjax.engine import parallel, runlog
from pawjax.engine.loop import train_and_evaluate
from pawjax.engine.state import create_state
from pawjax.engine.step import FINITE
from pawjax.errors import InputError
from pawjax.inference import comparison
from pawjax.inference.comparison import collect_runs, network_cost, run_names
from pawjax.report.comparison import write_comparison
from pawjax.run_files import split_sha256
from tests.tiny import tiny_config


def read(path: Path):
    return json.loads(path.read_text())


def contents(workdir: Path) -> dict[str, bytes]:
    """Every file of a run outside eval/."""
    files = [path for path in sorted(workdir.rglob("*")) if path.is_file() and "eval" not in path.parts]
    return {str(path.relative_to(workdir)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two runs called seed0, the second a copy of the first. Their steps learn nothing, to save compiling."""
    folder = tmp_path_factory.mktemp("compare")
    config = tiny_config()
    config.steps, config.scale = 3, 0.75

    def step(state, *_):
        return state.replace(step=state.step + 1), {"loss": jnp.zeros(()), "not_finite": jnp.array(FINITE)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "compile_training", lambda *_, **__: step)
        patch.setattr(parallel, "make_state", jax.jit(create_state, static_argnums=(0, 1, 2, 4)))  # on one device
        train_and_evaluate(config, folder / "one" / "seed0")
    shutil.copytree(folder / "one", folder / "two")
    return [folder / "one" / "seed0", folder / "two" / "seed0"]


@pytest.fixture()
def copies(runs, tmp_path) -> list[Path]:
    """Private copies of the files of both runs, for tests to damage."""
    for name in ("a", "b"):
        shutil.copytree(runs[0], tmp_path / name, ignore=shutil.ignore_patterns("checkpoints", "eval"))
    return [tmp_path / "a", tmp_path / "b"]


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(read(path) | values))


def change_split(workdir: Path, **lists) -> None:
    """Makes these lists the run's own, as if it had been trained with them."""
    change(workdir / "split.json", **lists)
    split = read(workdir / "split.json")
    counts = {f"n_{name}": len(frames) for name, frames in split.items()}
    known = read(workdir / "run.json")["data"]
    change(workdir / "run.json", data=known | counts, split_sha256=split_sha256(split))


def test_comparison_of_two_runs(runs, tmp_path, capsys, monkeypatch):
    before = [contents(run) for run in runs]
    shutil.rmtree(runs[1] / "eval", ignore_errors=True)
    first = collect_runs(runs[:1])
    progress = capsys.readouterr().err
    assert [f"seed0: evaluating {split}" in progress for split in ("train", "dev", "test")] == [True] * 3
    shutil.copytree(runs[0] / "eval", runs[1] / "eval")
    monkeypatch.setattr(comparison, "evaluate_run", lambda *_, **__: pytest.fail("an existing evaluation was repeated"))
    rows = collect_runs(runs)
    assert [row.name for row in rows] == ["one/seed0", "two/seed0"]
    assert rows[0].metrics == first[0].metrics and rows[0].parameters == first[0].parameters
    write_comparison(tmp_path / "out", rows)
    with (tmp_path / "out" / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    for run, row in zip(runs, table, strict=True):
        for split in ("train", "dev", "test"):
            metrics = read(run / "eval" / split / "metrics.json")
            assert metrics["split"] == split and float(row[f"{split}_rmse_px"]) == metrics["rmse_px"]
            assert float(row[f"{split}_mean_error_px"]) == metrics["mean_error_px"]
        for key in ("median_px", "p95_px", "n_over_50px", "n_points"):
            assert float(row[f"test_{key}"]) == metrics[key]
        assert float(row["test_ms_per_frame"]) == pytest.approx(1000 * metrics["seconds"] / 4)
        assert float(row["training_seconds"]) == read(run / "run.json")["seconds"]
        assert float(row["flops_per_frame"]) == network_cost(runlog.read_config(run), ("paw",), (1, 48, 72, 1))[1]
    assert [contents(run) for run in runs] == before
    errors = rows[0].test_errors
    assert np.sqrt((errors**2).mean()) == pytest.approx(rows[0].metrics["test"]["rmse_px"], rel=1e-4)


def test_evaluate_repeats_all_evaluations(runs, monkeypatch):
    collect_runs(runs[:1])
    asked = []
    monkeypatch.setattr(
        comparison, "evaluate_run", lambda _, split, checkpoint, **__: asked.append((split, checkpoint))
    )
    collect_runs(runs[:1], evaluate=True)
    assert asked == [("train", "best"), ("dev", "best"), ("test", "best")]


def test_incomplete_evaluation_is_repeated(runs, monkeypatch):
    collect_runs(runs[:1])
    (runs[0] / "eval" / "dev" / "metrics.json").rename(runs[0] / "eval" / "dev" / "kept")
    asked = []

    def evaluated(workdir, split, checkpoint, data_folder):
        asked.append(split)
        (workdir / "eval" / split / "kept").rename(workdir / "eval" / split / "metrics.json")

    monkeypatch.setattr(comparison, "evaluate_run", evaluated)
    collect_runs(runs[:1])
    assert asked == ["dev"]


def test_bad_arguments_are_refused(copies, tmp_path, capsys):
    def refused(*arguments: str) -> str:
        assert cli.call(compare.ENTRY_POINT, list(arguments)) == 2
        return capsys.readouterr().err

    assert "run to compare" in refused("--out=x")
    assert "nowhere is not the folder" in refused("/nowhere", "--out=x")
    sentence = refused(*map(str, copies), f"--out={copies[1] / 'comparison'}")
    assert "lies in the run" in sentence and not (copies[1] / "comparison").exists()


def test_unfinished_run_is_refused(copies):
    run = read(copies[1] / "run.json")
    del run["steps"]
    (copies[1] / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"the training of .*b has not finished"):
        collect_runs(copies)


def test_missing_split_is_refused(copies):
    (copies[1] / "split.json").unlink()
    with pytest.raises(InputError, match=r"b/split.json is missing: restore it from a copy, or remove it"):
        collect_runs(copies)


@pytest.mark.parametrize("field, value", [("fingerprint", "0"), ("bodyparts", ["tail"])])
def test_runs_on_other_data_are_refused(copies, field, value):
    change(copies[1] / "run.json", data=read(copies[1] / "run.json")["data"] | {field: value})
    with pytest.raises(InputError, match=r"^b was trained on other .* than a: only runs on the same data"):
        collect_runs(copies)


def test_other_held_out_frames_are_refused(copies):
    split = read(copies[1] / "split.json")
    change_split(copies[1], dev=split["dev"][:-1], test=[*split["test"][2:], split["dev"][-1]])
    with pytest.raises(InputError, match="^b and a have different splits .1 dev frames and 3 test frames differ"):
        collect_runs(copies)


def test_fewer_training_frames_are_accepted_and_others_refused(runs, copies):
    split = read(copies[0] / "split.json")
    collect_runs(runs[:1])  # evaluates it
    for copy in copies:
        shutil.copytree(runs[0] / "eval", copy / "eval")
    change_split(copies[0], train=split["train"][:3])
    assert len(collect_runs(copies)) == len(collect_runs(copies[::-1])) == 2
    change_split(copies[0], train=[*split["train"][:3], "new"])
    with pytest.raises(InputError, match="^a and b have different splits .1 train frames differ"):
        collect_runs(copies)


def test_changed_data_is_refused(copies, monkeypatch):
    monkeypatch.setattr(comparison, "evaluate_run", lambda *_, **__: pytest.fail("evaluated before refusing"))
    for copy in copies:  # both alike, so that only the frames can reveal it
        change(copy / "run.json", data=read(copy / "run.json")["data"] | {"fingerprint": "0"})
    with pytest.raises(InputError, match="are not those that .*a was trained on"):
        collect_runs(copies)


def test_run_names_are_as_short_as_possible(tmp_path):
    paths = [Path("x/r50/seed0"), Path("y/r50/seed0"), Path("y/r101/seed0"), Path("quickstart")]
    assert run_names(paths) == ["x/r50/seed0", "y/r50/seed0", "r101/seed0", "quickstart"]
    with pytest.raises(InputError, match="are the same run"):
        run_names([tmp_path / "run", tmp_path / "other" / ".." / "run"])
    with pytest.raises(InputError, match="no run to compare"):
        run_names([])


def test_parameters_of_resnet50():
    parameters, flops = network_cost(default_config(), ("paw",), (1, 32, 48, 1))
    backbone = 25_557_032 - 2048 * 1000 - 1000  # torchvision's ResNet-50 minus its classifier
    assert parameters == backbone + (9 * 2048 + 1) + (9 * 2048 * 2 + 2)
    assert network_cost(default_config(), ("paw",), (2, 32, 48, 1))[1] == 2 * flops > 0


def test_flops_count_every_view():
    config = tiny_config()
    flops = network_cost(config, ("paw",), (1, 64, 96, 1))[1]
    config.predict.flip = True
    assert network_cost(config, ("paw",), (1, 64, 96, 1))[1] == pytest.approx(2 * flops, rel=1e-4)


def test_evaluations_of_different_checkpoints_do_not_mix(runs, copies):
    collect_runs(runs[:1])
    shutil.copytree(runs[0] / "eval", copies[0] / "eval")
    assert [path.name for path in collect_runs(copies[:1])[0].pictures] == ["worst_frames.png"]
    (copies[0] / "eval" / "test" / "proposals.png").touch()  # as from an evaluation with --boxes
    assert [path.name for path in collect_runs(copies[:1])[0].pictures] == ["worst_frames.png", "proposals.png"]
    metrics = copies[0] / "eval" / "dev" / "metrics.json"
    change(metrics, step=read(metrics)["step"] + 1)
    with pytest.raises(InputError, match="different checkpoints, train at step .* compare with --evaluate"):
        collect_runs(copies[:1])


def test_an_evaluation_of_an_earlier_best_checkpoint_is_repeated(runs, capsys):
    """A run that was trained further has another best checkpoint than its evaluations."""
    collect_runs(runs[:1])
    metrics = runs[0] / "eval" / "dev" / "metrics.json"
    step = read(metrics)["step"]
    change(metrics, step=step - 1)
    assert collect_runs(runs[:1])[0].metrics["dev"]["step"] == step
    said = capsys.readouterr().err
    assert f"is of step {step - 1}, the best checkpoint now of step {step}" in said and "seed0: evaluating dev" in said
