"""Runs whose length follows from a time, or from dev, end and resume as exactly as those of a given number of steps."""

import os
import signal

import pytest

from pawjax import cli, train
from pawjax.engine import checkpoints, pilot, runlog
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference.run import read_run_files
from pawjax.metrics import summarize
from tests.integration.test_endings import content
from tests.integration.test_toy_method import record, registered, toy_config

assert registered  # the fixture that registers the method


def config_of(**fields):
    config = toy_config()
    config.optimizer.schedule, config.eval_every, config.checkpoint_every = "cosine", 40, 40
    config.update(fields)
    return config


@pytest.fixture
def speed(monkeypatch):
    """A step takes 0.2 s, an evaluation a second; `speed.clear()` forbids to measure it again."""
    speed = [0.2, 1.0]
    monkeypatch.setattr(pilot, "measure", lambda *_: tuple(speed) if speed else pytest.fail("measured again"))
    return speed


def test_minutes_become_steps_that_stay(speed, tmp_path, monkeypatch, capsys):
    config, killed = config_of(minutes=0.5), tmp_path / "killed"
    save = checkpoints.Checkpoints.save

    def save_and_stop(self, *arguments):
        checkpoints.Checkpoints.save = save  # a second signal ends the process
        save(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_stop)
    assert int(train_and_evaluate(config, killed).step) == 41
    said = capsys.readouterr().err
    steps = runlog.read_config(killed).steps
    assert 41 < steps < 0.97 * 30 / (0.2 + 1 / 40), "30 s less the time to compile"
    assert f"config.steps = {steps}, because they take 0.5 minutes: a step takes 0.2 s, an evaluation 1 s" in said
    assert record(killed)["chosen"]["steps"]["value"] == steps and record(killed)["minutes"] == 0.5
    speed.clear()
    train_and_evaluate(config, killed)
    assert record(killed)["steps"] == steps and "config.steps" not in capsys.readouterr().err
    train_and_evaluate(config_of(steps=steps), tmp_path / "given")
    assert record(tmp_path / "given")["params_sha256"] == record(killed)["params_sha256"]
    assert "chosen" not in record(tmp_path / "given")
    train_and_evaluate(runlog.read_config(killed), tmp_path / "repeat")  # as --config=RUN/config.json
    assert record(tmp_path / "repeat")["params_sha256"] == record(killed)["params_sha256"]
    before = content(killed)
    with pytest.raises(InputError, match=rf"began with config.minutes = 0.5, not 0.7, and has {steps} steps"):
        train_and_evaluate(config_of(minutes=0.7), killed)
    longer = config_of(minutes=0.0)
    longer.steps = steps + 1
    with pytest.raises(
        InputError, match=rf"minutes = 0.5, which are missing now, and has {steps} steps: give the same"
    ):
        train_and_evaluate(longer, killed)
    with pytest.raises(InputError, match="given began without config.minutes, not 0.5"):
        train_and_evaluate(config, tmp_path / "given")
    assert content(killed) == before


def test_too_few_minutes_are_one_sentence(speed, tmp_path):
    config = config_of(minutes=0.1)
    config.optimizer.warmup_steps = 500
    with pytest.raises(
        InputError, match=r"leaves time for \d+ steps, and at least 501 are needed .*give at least [\d.]+ minutes$"
    ):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_measuring_leaves_the_run_as_it_was(tmp_path, monkeypatch):
    times = []
    monkeypatch.setattr(pilot, "steps_within", lambda *values: times.append(values) or 60)
    train_and_evaluate(config_of(minutes=100.0), tmp_path / "timed")
    train_and_evaluate(config_of(steps=60), tmp_path / "given")
    assert record(tmp_path / "given")["params_sha256"] == record(tmp_path / "timed")["params_sha256"]
    ((left, per_step, per_evaluation, every, multiple),) = times
    assert 5000 < left < 0.97 * 6000 and 0 < per_step < 10 and 0 < per_evaluation < 10 and (every, multiple) == (40, 1)


def test_open_fields_are_filled_in_the_config_of_the_run(tmp_path, capsys):
    config = config_of(steps=0, batch_size=0, scale=0.0)
    config.automatic.epochs, config.automatic.steps, config.automatic.batch_sizes = 10, (1, 100), (1, 4)
    config.steps_per_dispatch = 2
    train_and_evaluate(config, tmp_path)
    run = read_run_files(tmp_path)
    assert (run.config.scale, run.config.batch_size, run.config.steps) == (1.0, 4, 30)  # 12 training frames
    assert set(run.record["chosen"]) == {"scale", "batch_size", "steps"} and run.record["steps"] == 30
    said = capsys.readouterr().err
    assert all(said.count(f"config.{field} = ") == 1 for field in run.record["chosen"])
    train_and_evaluate(config, tmp_path)
    assert "config." not in capsys.readouterr().err
    config.scale = 0.5
    with pytest.raises(InputError, match="scale is 1.0 there and 0.5 here"):
        train_and_evaluate(config, tmp_path)


@pytest.fixture
def rising(monkeypatch):
    """Errors on dev that rise from the second evaluation on."""
    errors = iter([5.0, 4.0, *range(5, 99)])

    def risen(*arguments, **options):
        values = summarize(*arguments, **options)
        return values | {"rmse_px": float(next(errors)) / 2}

    monkeypatch.setattr("pawjax.metrics.summarize", risen)


def test_early_end_is_said_and_stays(rising, tmp_path, capsys):
    config = config_of(steps=320, patience=2)
    state = train_and_evaluate(config, tmp_path)
    end = record(tmp_path)
    assert int(state.step) == end["steps"] == 120 and "was least at step 40" in end["stopped_early"]
    assert "training ends at step 120: the error on dev (rmse) was least at step 40" in capsys.readouterr().err
    assert int(train_and_evaluate(config, tmp_path).step) == 120 and record(tmp_path).keys() == end.keys()
    config.patience = 4
    assert int(train_and_evaluate(config, tmp_path).step) == 200 and record(tmp_path)["steps"] == 200
    config.patience = 0
    train_and_evaluate(config, tmp_path)
    assert record(tmp_path)["steps"] == 320 and "stopped_early" not in record(tmp_path)


def test_early_end_is_no_interruption(rising, tmp_path, capsys):
    (tmp_path / "toy.py").write_text(
        "from tests.integration.test_minutes import config_of\n\n"
        "def get_config():\n    return config_of(steps=320, patience=2)\n"
    )
    words = [f"--config={tmp_path / 'toy.py'}", f"--workdir={tmp_path / 'run'}"]
    assert cli.call(train.ENTRY_POINT, words) == 0
    assert capsys.readouterr().out.startswith("step 120 of 320 -> ")
