"""Trains the smoke version of every config for one step: method, backbone, losses and optimizer fit together."""

import math
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import jax
import numpy as np
import pytest

from pawjax import data
from pawjax.config import check_config
from pawjax.data.augment import Augment
from pawjax.data.batches import make_store
from pawjax.engine.state import create_state
from pawjax.engine.step import batch_of_step, train_step
from pawjax.methods import make_method
from pawjax.models.resnet import UNITS
from pawjax.optim import Optimizer, make_optimizer

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    path.relative_to(ROOT / "configs")
    for path in (ROOT / "configs").rglob("*.py")
    if "get_config" in path.read_text() and not path.stem.startswith("pose3d_")  # which train nothing
)


def smoke_of(path: Path):
    """The smoke version of a config, with even smaller frames."""
    spec = spec_from_file_location(path.stem, ROOT / "configs" / path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("smoke")
    config.data.source, config.data.path, config.data.bodyparts = "paw_on_ball", "", ()
    config.data.paw_on_ball.update(height=48, width=64, n_frames=5)
    config.model.stem_channels, config.batch_size = 2, 2  # too few channels for the algorithms that compile slowly
    settings = config.faster_rcnn
    settings.proposals_before, settings.proposals_after = (40, 20), (20, 10)
    settings.head_sampled = min(settings.head_sampled, 16)
    return config


@pytest.fixture(autouse=True)
def fewer_units(monkeypatch):
    """One unit per block, or the twelve of block 3 that intermediate supervision needs, to save compile time."""
    for depth in UNITS:
        monkeypatch.setitem(UNITS, depth, (1, 1, 12 if depth == 101 else 1, 1))


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_one_step_of_the_smoke_version_changes_the_weights(path):
    config = smoke_of(path)
    check_config(config)
    frames = data.load(data.DataConfig.of(config))
    store = make_store(frames, np.arange(len(frames)), config.scale)
    optimizer = make_optimizer(Optimizer.of(config))
    method, augment, decay = make_method(config, frames.bodyparts), Augment.of(config), config.optimizer.ema_decay

    # Three programs: configs that share a network, or an augmentation, share its compiled program.
    state = jax.jit(lambda: create_state(method, optimizer, config.seed, {"image": store.image}, decay > 0))()
    batch = jax.jit(lambda key, store: batch_of_step(key, 0, store, augment, config.batch_size))(state.key, store)
    step = jax.jit(partial(train_step, method=method, optimizer=optimizer, ema_decay=decay))
    before, (after, metrics) = jax.device_get((state, step(state, batch, 1e-3)))
    assert math.isfinite(metrics["loss"]) and metrics["loss"] > 0
    assert math.isfinite(metrics["gradient_norm"]) and metrics["gradient_norm"] > 0
    moved = jax.tree.map(lambda old, new: (old != new).any(), before.params, after.params)
    assert any(jax.tree.leaves(moved)) and int(after.step) == 1
