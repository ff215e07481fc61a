"""Schedules at their boundaries and the mask of weight decay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.engine.optim import kernels, make_optimizer, make_schedule
from pawjax.errors import InputError


def optimizer_config(**fields):
    config = default_config().optimizer
    config.update(fields)
    return config


def test_stepwise_is_deeplabcuts():
    schedule = make_schedule(optimizer_config(schedule="stepwise"), 1)
    steps = [0, 9_999, 10_000, 429_999, 430_000, 730_000, 2_000_000]
    np.testing.assert_allclose([schedule(s) for s in steps], [0.005, 0.005, 0.02, 0.02, 0.002, 0.001, 0.001])


def test_stepwise_scaled_ends_with_the_run():
    schedule = make_schedule(optimizer_config(schedule="stepwise_scaled"), 1030)
    np.testing.assert_allclose([schedule(s) for s in (9, 10, 429, 430, 730)], [0.005, 0.02, 0.02, 0.002, 0.001])


def test_cosine_and_warm_up():
    schedule = make_schedule(optimizer_config(schedule="cosine", learning_rate=1.0, warmup_steps=4), 100)
    np.testing.assert_allclose([schedule(s) for s in (0, 1, 3)], [0.25, 0.5, 1.0], rtol=1e-2)
    assert float(schedule(50)) == pytest.approx(0.5) and float(schedule(100)) == pytest.approx(0, abs=1e-6)


def test_weight_decay_spares_all_but_kernels():
    params = {"conv": {"kernel": jnp.ones(2), "scale": jnp.ones(2)}}
    assert kernels(params) == {"conv": {"kernel": True, "scale": False}}
    for name in ("sgd", "adamw"):
        config = optimizer_config(name=name, weight_decay=0.1, schedule="constant", learning_rate=1.0)
        optimizer = make_optimizer(config, 10)
        zero = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(zero, optimizer.init(params), params)
        assert (updates["conv"]["kernel"] < 0).all() and (updates["conv"]["scale"] == 0).all()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_momentum_is_the_share_of_the_past_in_a_step(name):
    """After a gradient of 1 one of 0: of sgd's sum a share of momentum is left, of adamw's mean the same."""
    optimizer = make_optimizer(
        optimizer_config(name=name, momentum=0.4, schedule="constant", learning_rate=1.0, weight_decay=0.0), 10
    )
    params = {"kernel": jnp.zeros(())}
    _, state = optimizer.update({"kernel": jnp.ones(())}, optimizer.init(params), params)
    updates, _ = optimizer.update({"kernel": jnp.zeros(())}, state, params)
    if name == "sgd":
        expected = -0.4
    else:  # both moments without the bias of their beginning, 1 - 0.4^2 and 1 - 0.999^2
        expected = -(0.4 * 0.6 / (1 - 0.4**2)) / np.sqrt(0.999 * 0.001 / (1 - 0.999**2))
    assert float(updates["kernel"]) == pytest.approx(expected, rel=1e-3)


PARAMS = {"backbone": {"stem": {"kernel": jnp.ones(3)}, "top": {"kernel": jnp.ones(3)}}, "head": {"bias": jnp.ones(3)}}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_groups_scale_freeze_and_unfreeze(name):
    common = dict(name=name, schedule="constant", learning_rate=0.1, weight_decay=0.1)
    groups = ((".*/stem/.*", 0.0, 0), ("backbone/.*", 0.5, 2))
    plain, grouped = (make_optimizer(optimizer_config(**common, **extra), 10) for extra in ({}, {"groups": groups}))
    states = plain.init(PARAMS), grouped.init(PARAMS)
    gradients = jax.tree.map(lambda x: 0.3 * x, PARAMS)
    for step in range(4):
        full, states_plain = plain.update(gradients, states[0], PARAMS)
        some, states_grouped = grouped.update(gradients, states[1], PARAMS)
        states = states_plain, states_grouped
        assert (some["backbone"]["stem"]["kernel"] == 0).all(), "the first group that matches decides"
        np.testing.assert_array_equal(
            some["backbone"]["top"]["kernel"], full["backbone"]["top"]["kernel"] * (0.5 if step >= 2 else 0)
        )
        np.testing.assert_array_equal(some["head"]["bias"], full["head"]["bias"])


@pytest.mark.parametrize(
    "groups, word", [((("stem/.*", 0.0, 0),), "no parameter matches 'stem/"), ((("(", 1.0, 0),), "groups")]
)
def test_groups_that_cannot_be_are_named(groups, word):
    with pytest.raises(InputError, match=word):
        make_optimizer(optimizer_config(groups=groups), 10).init(PARAMS)


@pytest.mark.parametrize(
    "fields, word", [({"name": "lion"}, "adamw"), ({"schedule": "step"}, "stepwise"), ({"warmup_steps": 10}, "warmup")]
)
def test_wrong_fields_are_named(fields, word):
    with pytest.raises(InputError, match=word):
        make_optimizer(optimizer_config(**fields), 10)
