"""A run's calibration: fitted at every evaluation on dev, kept with its checkpoint, used unless told otherwise."""

import csv
import itertools
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import pawjax
from pawjax import metrics
from pawjax.engine.loop import train_and_evaluate
from pawjax.inference.evaluation import evaluate_run
from pawjax.inference.opening import predictor_of_run
from pawjax.inference.run import open_run
from pawjax.methods import METHODS, MethodEntry
from tests.integration.test_toy_method import Settings, Toy, toy_config

IMAGES = np.zeros((1, 64, 96, 1), np.uint8)


class Sure(Toy):
    """Has a likelihood of 0.75 everywhere."""

    def predict(self, variables, images):
        points = super().predict(variables, images)
        return points | {"likelihood": jnp.full_like(points["likelihood"], 0.75)}


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        entry = MethodEntry(Settings, lambda config, bodyparts: Sure(len(bodyparts), Settings.of(config)))
        patch.setitem(METHODS, "toy", entry)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run whose fits find 0.2 in its first evaluation of dev and train, and 0.3 in its second, which is worse."""
    workdir, count, config = tmp_path_factory.mktemp("runs") / "run", itertools.count(4), toy_config()
    config.steps = 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "fit_calibration", lambda p, right: (next(count) // 2 / 10, 0.5))
        train_and_evaluate(config, workdir)
    return workdir


def logged(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line.get("dev/temperature") for line in lines if "dev/rmse_px" in line}


def calibrated(temperature, bias):
    return 1 / (1 + np.exp(-bias - np.log(3) / temperature))  # 0.75 is odds of 3


def test_each_checkpoint_has_its_own(run):
    assert logged(run) == {10: 0.2, 20: 0.3} and open_run(run, "best").step == 10
    for which in ("best", "last"):
        opened = open_run(run, which)
        assert opened.config.predict.temperature == logged(run)[opened.step]
        assert opened.calibration_from == f"fitted on dev at step {opened.step}"
        assert predictor_of_run(opened).origin["temperature"] == str(logged(run)[opened.step])


def test_tracker_uses_it_unless_told_otherwise(run):
    own = calibrated(logged(run)[open_run(run).step], 0.5)
    for options, expected in (({}, own), ({"temperature": 0.0}, own), ({"temperature": 1.0}, 0.75)):
        _, likelihood = pawjax.load(run, **options)(IMAGES)
        np.testing.assert_allclose(likelihood, expected, rtol=1e-5)


def test_evaluation_says_which_it_used_and_what_fits(run, monkeypatch):
    seen = []
    monkeypatch.setattr(metrics, "fit_calibration", lambda p, right: seen.append(p[0]) or (0.9, 0.1))
    step = open_run(run).step
    evaluate_run(run, "dev", "best")
    evaluate_run(run, "dev", "best", temperature=2.0)
    assert seen == [0.75, 0.75], "fitted to what the network says, not to what another temperature made of it"
    for name, used, bias, origin in (
        ("dev", logged(run)[step], 0.5, f"fitted on dev at step {step}"),
        ("dev-temperature=2.0", 2.0, 0.0, "set by the config or a flag"),
    ):
        numbers = json.loads((run / "eval" / name / "metrics.json").read_text())
        assert (numbers["predict"]["temperature"], numbers["calibration_from"]) == (used, origin)
        assert (numbers["reliability"]["temperature"], numbers["reliability"]["bias"]) == (0.9, 0.1)
        assert numbers["reliability"]["bins"][0]["likelihood"] == pytest.approx(calibrated(used, bias), abs=1e-4)
        with (run / "eval" / name / "predictions.csv").open(newline="") as file:
            row = next(csv.DictReader(file))
        assert float(next(row[name] for name in row if "likelihood" in name)) == pytest.approx(
            calibrated(used, bias), abs=1e-4
        )


def test_end_of_a_training_says_what_was_fitted(tmp_path, monkeypatch, capsys):
    config = toy_config()
    config.steps = 10
    train_and_evaluate(config, tmp_path / "few")  # four points
    assert "likelihoods: not calibrated, because dev has only 4 points, and 30 are needed" in capsys.readouterr().err
    opened = open_run(tmp_path / "few")
    assert (opened.config.predict.temperature, opened.calibration_from) == (1.0, "none was fitted on dev at step 10")
    monkeypatch.setattr(metrics, "fit_calibration", lambda p, right: (0.4, 0.3))
    train_and_evaluate(config, tmp_path / "enough")
    assert "calibrated on 4 points of dev at step 10, the best (temperature 0.4, bias 0.3)" in capsys.readouterr().err
    config.predict.temperature = 2.0
    train_and_evaluate(config, tmp_path / "set")
    assert "likelihoods" not in capsys.readouterr().err and logged(tmp_path / "set") == {10: None}
    assert open_run(tmp_path / "set").config.predict.temperature == 2.0
