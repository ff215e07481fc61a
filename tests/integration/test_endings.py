"""How a training ends other than by its last step, and how it goes on: with a tiny method that compiles fast."""

import json
import os
import re
import shutil
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from pawjax import cli, data, evaluate, train
from pawjax.engine import checkpoints, loop, parallel, runlog, setup
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from tests.integration.test_toy_method import record, registered, toy_config

assert registered  # the fixture that registers the method


def steps_on_disk(workdir: Path) -> list[str]:
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """{file: (bytes, time of change)}, also of folders."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run of 30 steps, not to be written to."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture
def run(whole, tmp_path) -> Path:
    """A copy of a run of 30 steps."""
    if not (whole / "run.json").exists():
        train_and_evaluate(toy_config(), whole)
    return shutil.copytree(whole, tmp_path / "run")


def test_refusal_waits_for_the_checkpoint_being_written(tmp_path, monkeypatch):
    """The loss is not finite at the first step after a checkpoint, which is still being written."""
    rename, check = os.rename, loop._fail_if_not_finite

    def rename_late(source, target):
        time.sleep(0.3)
        rename(source, target)

    def check_and_fail(training, state, sums):
        if int(state.step) > 10:
            raise InputError("the loss is not finite")
        check(training, state, sums)

    monkeypatch.setattr(os, "rename", rename_late)  # by which Orbax finishes a checkpoint
    monkeypatch.setattr(loop, "_fail_if_not_finite", check_and_fail)
    config = toy_config()
    config.log_every = 1
    with pytest.raises(InputError, match="not finite"):
        train_and_evaluate(config, tmp_path)
    assert steps_on_disk(tmp_path) == ["10"]
    runlog.lock_run(tmp_path).close()  # released after the checkpoint was written


@pytest.mark.parametrize(
    "where, error",
    [
        ("save", OSError(28, "No space left on device")),
        ("wait", ValueError("RESOURCE_EXHAUSTED: write failed [OS error 122: Disk quota exceeded]")),
        ("write", OSError(27, "File too large")),
    ],
)
def test_full_disk_is_one_sentence_wherever_it_is_met(where, error, run, monkeypatch):
    def no_room(*_):
        raise error

    monkeypatch.setattr(runlog.MetricsLog if where == "write" else checkpoints.Checkpoints, where, no_room)
    config = toy_config()
    config.steps = 40
    words = f"^(No space .*|Disk quota exceeded|File too large): cannot write to {run}, whose checkpoints are kept"
    with pytest.raises(InputError, match=words):
        train_and_evaluate(config, run)


def test_first_file_of_a_run_on_a_full_disk(tmp_path, monkeypatch, capsys):
    def no_room(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_room)
    assert cli.guarded(lambda: train_and_evaluate(toy_config(), tmp_path / "run") and None) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence.startswith(f"pawjax: No space left on device: cannot write to {tmp_path / 'run'}")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_folder_in_use_is_left_as_it_is(run):
    config = toy_config()
    config.steps, config.log_every = 40, 5  # both may change when a run is resumed
    with runlog.lock_run(run):
        before = content(run)
        time.sleep(0.02)
        with pytest.raises(InputError, match="another process is training in"):
            train_and_evaluate(config, run)
        assert content(run) == before


@pytest.mark.parametrize("module", [train, evaluate])
def test_signal_before_the_first_step_is_one_line(module, run, tmp_path, monkeypatch, capfd):
    def load(*_):
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(10)

    monkeypatch.setattr(data, "load", load)
    workdir, before = (run if module is evaluate else tmp_path / "new"), content(run)
    config = ["--config=configs/quickstart.py"] if module is train else []
    assert cli.call(module.ENTRY_POINT, [*config, f"--workdir={workdir}"]) == cli.STOPPED == 3
    assert capfd.readouterr().err == "pawjax: SIGHUP: stopping; a second signal ends it at once\n"
    assert not (tmp_path / "new").exists() and content(run) == before


def test_signal_during_compilation_leaves_a_checkpoint(tmp_path, monkeypatch):
    compile_training = parallel.compile_training

    def compile_and_interrupt(*arguments):
        program = compile_training(*arguments)

        def interrupted(*inputs):
            os.kill(os.getpid(), signal.SIGINT)
            return program(*inputs)

        return interrupted

    monkeypatch.setattr(parallel, "compile_training", compile_and_interrupt)
    assert int(train_and_evaluate(toy_config(), tmp_path).step) == 1
    assert steps_on_disk(tmp_path) == ["1"]


def test_start_from_a_damaged_run_is_one_sentence(run, tmp_path):
    for path in (run / "checkpoints").glob("*/model/manifest.ocdbt"):
        path.write_bytes(b"")
    config = toy_config()
    config.init_from = str(run)
    with pytest.raises(InputError, match=rf"config.init_from = '{run}': {run}/checkpoints/\d+ is damaged"):
        train_and_evaluate(config, tmp_path / "next")
    assert not (tmp_path / "next").exists()


def test_more_steps_lengthen_a_finished_run(run, tmp_path, capsys):
    config = toy_config()
    config.steps = 50
    (run / "eval").mkdir()
    train_and_evaluate(config, run)
    train_and_evaluate(config, tmp_path / "long")
    assert record(run)["params_sha256"] == record(tmp_path / "long")["params_sha256"]
    assert record(run)["steps"] == 50 and runlog.read_config(run).steps == 50
    logs = [(folder / "metrics.jsonl").read_text() for folder in (run, tmp_path / "long")]
    assert len({re.sub(r'"(seconds|images_per_second)": [\d.e-]+', "", log) for log in logs}) == 1
    assert "holds evaluations after 30 steps: repeat them after 50" in capsys.readouterr().err


def test_run_that_is_being_lengthened_is_not_finished(run, monkeypatch):
    def fail(*_):
        raise InputError("stopped here")

    monkeypatch.setattr(loop, "train", fail)
    config = toy_config()
    config.steps = 50
    with pytest.raises(InputError, match="stopped here"):
        train_and_evaluate(config, run)
    assert not record(run).keys() & set(runlog.END_FIELDS)
    assert json.loads((run / "config.json").read_text())["steps"] == 50


@pytest.mark.parametrize(
    "schedule, steps, words",
    [
        ("constant", 20, "has taken 30 steps: give at least as many"),
        ("cosine", 50, r"rate of the 30 steps taken .*'cosine'.*--config.init_from="),
        ("stepwise_scaled", 50, r"rate of the 30 steps taken .*'stepwise_scaled'"),
        ("stepwise", 50, None),
        ("stepwise", 30, None),
    ],
)
def test_steps_change_only_if_those_taken_stay(schedule, steps, words, tmp_path):
    config = toy_config()
    config.optimizer.schedule, config.optimizer.rates = schedule, ((0.1, 10), (0.01, 40), (0.001, 60))
    runlog.write_config(tmp_path, config)
    (tmp_path / "checkpoints" / "30").mkdir(parents=True)
    config.steps = steps
    before = content(tmp_path)
    with pytest.raises(InputError, match=words) if words else nullcontext():
        setup._check_steps(tmp_path, config)
    assert content(tmp_path) == before
