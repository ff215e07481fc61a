"""A training step gives the same numbers on any number of devices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax import data
from pawjax.data.augment import Augment
from pawjax.data.batches import make_store
from pawjax.engine import parallel
from pawjax.engine.host_stream import stream_batches
from pawjax.engine.state import TrainState, stream
from pawjax.engine.step import FINITE, train_step
from pawjax.engine.sums import MetricSums, sum_of_steps
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.optim import Optimizer, make_optimizer
from tests.tiny import tiny_config

N_STEPS = 3


@pytest.fixture(scope="module")
def store_of_frames():
    config = tiny_config()
    frames = data.load(data.DataConfig.of(config))
    return make_store(frames, np.arange(9), 1.0), frames.bodyparts


@pytest.fixture(scope="module")
def run(store_of_frames):
    """The state after `N_STEPS` on `n_devices` devices, cached by arguments."""
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


def train(mode, store_of_frames, microbatches=1, n_steps=1, streamed=False, **fields):
    store, bodyparts = store_of_frames
    config = tiny_config()
    config.update_from_flattened_dict(fields)
    # SGD: AdamW normalises each gradient, which would amplify the rounding of a tiny one into a whole step.
    config.optimizer.update({"name": "sgd"})
    method, optimizer = make_method(config, bodyparts), make_optimizer(Optimizer.of(config))
    options = parallel.StepOptions(Augment(), 4, 0.9, microbatches, n_steps, streamed)
    program = parallel.compile_training(mode, method, optimizer, options)
    state = parallel.make_state(method, optimizer, 0, {"image": np.zeros((1, 64, 96, 1), np.uint8)}, True)
    frames, rates = itertools.repeat(parallel.replicate(store)), np.full(n_steps, 0.05, np.float32)
    if streamed:
        frames = stream_batches(store, stream(state.key, "order"), 0, 4, lambda x: parallel.put_batch(mode, x))
    sums = MetricSums()
    for _ in range(N_STEPS // n_steps):
        state, metrics = jax.block_until_ready(program(state, next(frames), rates))
        sums.add(metrics, n_steps)
    assert sums.n_steps == N_STEPS and sums.first_not_finite() is None
    return jax.device_get(state), sums.take_means()


@pytest.mark.parametrize("mode, n_devices", [("jit", 4), ("pmap", 4)])
def test_number_of_devices_does_not_matter(mode, n_devices, run):
    assert_same(run("jit", 1), run(mode, n_devices))


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_number_of_devices_does_not_matter_to_a_detector(mode, run):
    """Its samples are drawn per image, and its NMS iterates to a fixed point."""
    fields = {"method": "faster_rcnn", "model.backbone": "vgg16", "faster_rcnn.dropout": 0.5}
    fields |= {
        "faster_rcnn.box": (24.0, 24.0),
        "faster_rcnn.anchor_sizes": (24.0,),
        "faster_rcnn.proposals_after": (50, 20),
    }
    one = run("jit", 1, **fields)
    assert {"loss/rpn_box", "loss/head_box"} < one[1].keys() and one[1]["loss/head_box"] > 0
    assert_same(one, run(mode, 4, **fields))


def assert_same(one, other):
    (one, one_means), (other, other_means) = one, other
    assert int(other.step) == N_STEPS
    assert other_means.keys() == one_means.keys()
    for name, value in one_means.items():
        np.testing.assert_allclose(other_means[name], value, rtol=1e-5, err_msg=name)
    for tree in ("extra", "params"):
        for a, b in zip(jax.tree.leaves(getattr(one, tree)), jax.tree.leaves(getattr(other, tree)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode, n_devices, microbatches", [("jit", 1, 4), ("pmap", 2, 2)])
def test_microbatches_add_up_to_the_batch(mode, n_devices, microbatches, run):
    frozen = {"model.norm": "frozen"}
    assert_same(run("jit", 1, **frozen), run(mode, n_devices, microbatches=microbatches, **frozen))


@pytest.mark.parametrize("mode, n_devices", [("jit", 4), ("pmap", 4)])
def test_streamed_and_resident_batches_are_equal(mode, n_devices, run):
    """To rounding: two programs, of which the faster code generators of real runs make the same bits."""
    assert_same(run(mode, n_devices), run(mode, n_devices, streamed=True))


@pytest.mark.parametrize("mode, n_devices", [("pmap", 4)])
def test_several_steps_per_dispatch(mode, n_devices, run):
    assert_same(run(mode, n_devices), run(mode, n_devices, n_steps=3))


def test_indivisible_batch_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [None] * 4)
    with pytest.raises(InputError, match="multiple of the 4 devices"):
        parallel.compile_training("jit", None, None, parallel.StepOptions(Augment(), 6))
    with pytest.raises(InputError, match="4 devices times config.microbatches = 3"):
        parallel.compile_training("jit", None, None, parallel.StepOptions(Augment(), 8, microbatches=3))
    monkeypatch.setattr(jax, "devices", lambda: [None])
    with pytest.raises(InputError, match="config.batch_size = 8 must be a multiple of config.microbatches = 3$"):
        parallel.compile_training("jit", None, None, parallel.StepOptions(Augment(), 8, microbatches=3))


def test_collections_are_opaque_to_the_step():
    """Methods name their collections freely; those that a step does not update are kept."""

    class Counter:
        loss_weights = {"error": 2.0}

        def loss(self, variables, batch):
            total = jnp.sum(batch["image"] * variables["params"]["w"] * variables["gains"]["g"])
            return {"error": (total, jnp.float32(batch["image"].size))}, {"seen": {"n": variables["seen"]["n"] + 1}}

    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params={"w": jnp.float32(1.0)},
        extra={"seen": {"n": jnp.int32(0)}, "gains": {"g": jnp.float32(3.0)}},
        opt_state=make_optimizer(Optimizer(momentum=0.0)).init({"w": jnp.float32(1.0)}),
        average={},
        key=jax.random.key(0),
    )
    batch = {"image": jnp.array([1.0, 2.0, 3.0, 4.0])}
    for microbatches in (1, 2):
        optimizer = make_optimizer(Optimizer(momentum=0.0))
        after, metrics = train_step(state, batch, 0.5, method=Counter(), optimizer=optimizer, microbatches=microbatches)
        # The mean of x is 2.5: the loss is 2 * 2.5 * w * 3, its gradient 15.
        assert (float(metrics["loss"]), float(metrics["loss/error"]), float(metrics["gradient_norm"])) == (15, 7.5, 15)
        assert float(after.params["w"]) == 1 - 0.5 * 15 and int(after.step) == 1
        assert after.extra == {"seen": {"n": microbatches}, "gains": {"g": 3.0}}
        assert after.eval_variables == {"params": after.params, **after.extra}


def test_no_gradients_are_computed_for_frozen_parameters():
    """The backward pass through them, most of a frozen backbone's work, is not even traced."""

    @jax.custom_vjp
    def double(x):
        return 2 * x

    def backward(*_):
        raise AssertionError("a gradient was asked for")

    double.defvjp(lambda x: (double(x), None), backward)

    class Two:
        loss_weights = {"error": 1.0}

        def loss(self, variables, batch):
            below, above = variables["params"]["backbone"]["w"], variables["params"]["head"]["w"]
            return {"error": (jnp.sum(double(batch["image"] * below) * above), jnp.float32(1))}, {}

    groups = (("backbone/.*", 0.0, 0),)
    params = {"backbone": {"w": jnp.float32(3.0)}, "head": {"w": jnp.float32(1.0)}}
    optimizer = make_optimizer(Optimizer(momentum=0.0, groups=groups))
    state = TrainState(jnp.int32(0), params, {}, optimizer.init(params), {}, jax.random.key(0))
    batch = {"image": jnp.array([1.0, 2.0])}
    after, metrics = train_step(state, batch, 0.5, method=Two(), optimizer=optimizer, groups=groups)
    assert float(metrics["gradient_norm"]) == 18, "2 * (1 + 2) * 3"
    assert (float(after.params["backbone"]["w"]), float(after.params["head"]["w"])) == (3, 1 - 0.5 * 18)
    with pytest.raises(AssertionError, match="a gradient was asked for"):
        train_step(state, batch, 0.5, method=Two(), optimizer=optimizer)


def test_sums_name_the_first_non_finite_step():
    sums = MetricSums()
    losses = [1.0, np.nan, np.inf]
    for step, loss in enumerate(losses):
        sums.add({"loss": jnp.float32(loss), "not_finite": jnp.int32(FINITE if np.isfinite(loss) else step)}, 1)
        assert sums.first_not_finite() == (1 if step else None)
    stacked = {"loss": jnp.array([1.0, 2.0]), "not_finite": jnp.array([FINITE, 8])}
    assert {name: float(value) for name, value in sum_of_steps(stacked).items()} == {"loss": 3.0, "not_finite": 8}


def test_taking_means_resets_the_sums():
    sums = MetricSums()
    for loss in (1.0, 2.0, 6.0):
        sums.add({"loss": jnp.float32(loss), "not_finite": jnp.int32(FINITE)}, 1)
    assert sums.take_means() == {"loss": 3.0} and sums.n_steps == 0 and sums.first_not_finite() is None
    sums.add({"loss": jnp.float32(8.0), "not_finite": jnp.int32(FINITE)}, 2)  # sums of two steps
    assert sums.take_means() == {"loss": 4.0}
