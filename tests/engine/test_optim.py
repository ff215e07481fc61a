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


@pytest.mark.parametrize(
    "fields, word", [({"name": "lion"}, "adamw"), ({"schedule": "step"}, "stepwise"), ({"warmup_steps": 10}, "warmup")]
)
def test_wrong_fields_are_named(fields, word):
    with pytest.raises(InputError, match=word):
        make_optimizer(optimizer_config(**fields), 10)
