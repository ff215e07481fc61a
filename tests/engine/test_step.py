"""One step, the same numbers however many devices share it."""

import itertools

import jax
import numpy as np
import pytest
from pawjax.engine.feed import stream_batches
from pawjax.engine.optim import make_optimizer

from pawjax import data
from pawjax.data.augment import Augment
from pawjax.data.batches import make_store
from pawjax.engine import parallel
from pawjax.engine.state import stream
from pawjax.errors import InputError
from pawjax.methods import make_method
from tests.tiny import tiny_config

N_STEPS = 3


@pytest.fixture(scope="module")
def store_of_frames():
    config = tiny_config()
    frames = data.load(config.data)
    return make_store(frames, np.arange(9), 1.0), frames.bodyparts


@pytest.fixture(scope="module")
def run(store_of_frames):
    """The state after `N_STEPS` on that many devices; what was asked for before is not worked out again."""
    states = {}

    def cached(mode, n_devices, **options):
        devices, name = jax.devices()[:n_devices], (mode, n_devices, *sorted(options.items()))
        if len(devices) < n_devices:
            pytest.skip(f"needs {n_devices} (virtual) devices")
        if name not in states:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(jax, "devices", lambda: devices)
                states[name] = train(mode, store_of_frames, **options)
        return states[name]

    return cached


def train(mode, store_of_frames, accumulate=1, steps=1, streamed=False, **fields):
    store, bodyparts = store_of_frames
    config = tiny_config()
    config.update_from_flattened_dict(fields)
    # Plain gradients: AdamW divides each by its own size, which turns the rounding of a tiny one into a whole step.
    config.optimizer.update({"name": "sgd", "schedule": "constant", "learning_rate": 0.05, "warmup_steps": 0})
    method, optimizer = make_method(config, bodyparts), make_optimizer(config.optimizer, 10)
    program = parallel.compile_training(
        mode,
        method=method,
        optimizer=optimizer,
        settings=Augment(),
        batch_size=4,
        ema_decay=0.9,
        accumulate=accumulate,
        steps=steps,
        streamed=streamed,
    )
    state = parallel.make_state(method, optimizer, 0, {"image": np.zeros((1, 64, 96, 1), np.uint8)}, True)
    frames = itertools.repeat(parallel.replicate(store))
    if streamed:
        frames = stream_batches(store, stream(state.key, "order"), 0, 4, lambda x: parallel.put_batch(mode, x))
    for _ in range(N_STEPS // steps):
        state = jax.block_until_ready(program(state, next(frames)))
    return jax.device_get(state)


@pytest.mark.parametrize("mode, n_devices", [("jit", 4), ("pmap", 4)])
def test_the_devices_do_not_matter(mode, n_devices, run):
    assert_same(run("jit", 1), run(mode, n_devices))


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_the_devices_do_not_matter_to_a_detector(mode, run):
    """Whose samples are drawn at random, of each image for itself, and whose proposals end in a fixed point."""
    fields = {"method": "faster_rcnn", "detector.backbone": "vgg16", "detector.dropout": 0.5}
    fields |= {"detector.box": (24.0, 24.0), "detector.anchor_sizes": (24.0,), "detector.proposals_after": (50, 20)}
    one = run("jit", 1, **fields)
    assert {"loss/rpn_box", "loss/head_box"} < one.window.keys() and one.window["loss/head_box"] > 0
    assert_same(one, run(mode, 4, **fields))


def assert_same(one, other):
    assert int(other.step) == N_STEPS
    assert other.window.keys() == one.window.keys()
    for name, value in one.window.items():
        np.testing.assert_allclose(other.window[name], value, rtol=1e-5, err_msg=name)
    for tree in ("batch_stats", "params"):
        for a, b in zip(jax.tree.leaves(getattr(one, tree)), jax.tree.leaves(getattr(other, tree)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode, n_devices, accumulate", [("jit", 1, 4), ("pmap", 2, 2)])
def test_parts_add_up_to_the_batch(mode, n_devices, accumulate, run):
    frozen = {"model.norm": "frozen"}
    assert_same(run("jit", 1, **frozen), run(mode, n_devices, accumulate=accumulate, **frozen))


@pytest.mark.parametrize("mode, n_devices", [("jit", 4), ("pmap", 4)])
def test_streamed_frames_are_the_same_batches(mode, n_devices, run):
    resident, streamed = run(mode, n_devices), run(mode, n_devices, streamed=True)
    jax.tree.map(np.testing.assert_array_equal, without_key(resident), without_key(streamed))


@pytest.mark.parametrize("mode, n_devices", [("pmap", 4)])
def test_several_steps_at_once(mode, n_devices, run):
    assert_same(run(mode, n_devices), run(mode, n_devices, steps=3))


def without_key(state):
    return state.replace(key=jax.random.key_data(state.key))


def test_a_batch_that_the_devices_do_not_divide(monkeypatch):
    with pytest.raises(InputError, match="multiple of the 4 devices"):
        monkeypatch.setattr(jax, "devices", lambda: [None] * 4)
        parallel.compile_training("jit", method=None, optimizer=None, settings=Augment(), batch_size=6, ema_decay=0.0)
    with pytest.raises(InputError, match="4 devices times config.accumulate = 3"):
        parallel.compile_training(
            "jit", method=None, optimizer=None, settings=Augment(), batch_size=8, ema_decay=0.0, accumulate=3
        )
