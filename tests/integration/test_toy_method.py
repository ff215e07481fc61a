"""A method defined here is registered, trained, resumed, evaluated and loaded."""

import dataclasses
import json
import os
import signal
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pawjax
from pawjax import data
from pawjax.config import check_config, default_config
from pawjax.data.config import DataConfig
from pawjax.engine import checkpoints
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference.evaluation import evaluate_run
from pawjax.methods import METHODS, Method, MethodEntry
from pawjax.sections import Section


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """`start`: initial position of every point, as a fraction of the frame."""

    section: ClassVar[str] = "toy"

    start: float = 0.25

    def __post_init__(self):
        self.require_range("start", 0, 1)


@dataclasses.dataclass(frozen=True)
class Toy(Method):
    """Learns one fixed position for each bodypart and counts the training frames."""

    n_keypoints: int
    settings: Settings

    @property
    def loss_weights(self):
        return {"distance": 1.0}

    def init(self, key, batch):
        place = jnp.full((self.n_keypoints, 2), self.settings.start)
        return {"params": {"place": place}, "shown": {"frames": jnp.zeros(())}}

    def loss(self, variables, batch):
        height, width = batch["image"].shape[1:3]
        errors = (batch["keypoints"][:, 0] / jnp.array([width, height]) - variables["params"]["place"]) ** 2
        weights = batch["labelled"][:, 0] * batch["weight"][:, None]
        shown = {"frames": variables["shown"]["frames"] + batch["weight"].sum()}
        return {"distance": ((errors.sum(-1) * weights).sum(), weights.sum())}, {"shown": shown}

    def predict(self, variables, images):
        n, height, width, _ = images.shape
        points = jnp.tile(variables["params"]["place"] * jnp.array([width, height]), (n, 1, 1))
        return {"keypoints": points, "likelihood": jnp.full(points.shape[:2], 0.5)}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    entry = MethodEntry(Settings, lambda config, bodyparts: Toy(len(bodyparts), Settings.of(config)))
    monkeypatch.setitem(METHODS, "toy", entry)


def toy_config():
    config = default_config()
    config.method = "toy"
    config.steps, config.batch_size = 30, 4
    config.log_every, config.eval_every, config.checkpoint_every = 10, 10, 10
    config.data.paw_on_ball.update(n_frames=20, height=64, width=96)
    config.optimizer.schedule, config.optimizer.learning_rate = "constant", 0.05
    return config


def record(workdir):
    return json.loads((workdir / "run.json").read_text())


def test_toy_method_trains_resumes_and_predicts(tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    state = train_and_evaluate(toy_config(), whole)
    assert float(state.extra["shown"]["frames"]) == 30 * 4
    assert np.abs(np.asarray(state.params["place"]) - 0.25).max() > 0.01

    save = checkpoints.Checkpoints.save

    def save_and_stop(self, *arguments):
        monkeypatch.setattr(checkpoints.Checkpoints, "save", save)  # a second signal ends the process
        save(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_stop)
    assert int(train_and_evaluate(toy_config(), stopped).step) < 30
    resumed = train_and_evaluate(toy_config(), stopped)
    assert record(stopped)["params_sha256"] == record(whole)["params_sha256"]
    assert float(resumed.extra["shown"]["frames"]) == 30 * 4

    numbers = evaluate_run(whole, "test", "last")
    frames = data.load(DataConfig.of(toy_config()))
    tracker = pawjax.load(whole, "last")
    keypoints, likelihood = tracker(frames.images[:3])
    expected = jax.device_get(state.params["place"]) * [96, 64]
    np.testing.assert_allclose(keypoints, np.tile(expected, (3, 1, 1)), rtol=1e-5)
    assert (likelihood == 0.5).all() and numbers["n_images"] == 4


def test_toy_settings_are_checked_and_other_fields_refused(tmp_path):
    config = toy_config()
    config.toy.start = 2.0
    with pytest.raises(InputError, match="config.toy.start = 2.0 must be at most 1"):
        check_config(config)
    config.toy.start, config.steps, config.eval_every = 0.5, 10, 10
    train_and_evaluate(config, tmp_path)
    for field, value in (("decode", "votes"), ("proposals", 5)):
        with pytest.raises(InputError, match=field):
            pawjax.load(tmp_path, **{field: value})
    with pytest.raises(InputError, match="instances"):
        pawjax.load(tmp_path).detect(np.zeros((1, 8, 8, 1), np.uint8))


def test_method_without_a_loss_is_named():
    class Lossless(Toy):
        loss = Method.loss

    with pytest.raises(TypeError, match="Lossless .*abstract method '?loss"):
        Lossless(1, Settings())
