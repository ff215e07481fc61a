"""Losses against scipy, hand values and torch's formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from pawjax import losses


def test_sigmoid_cross_entropy_equals_scipy_without_overflow():
    logits = np.random.default_rng(0).normal(0, 5, 50).astype(np.float32)
    targets = np.random.default_rng(1).uniform(size=50).astype(np.float32)
    expected = -targets * special.log_expit(logits) - (1 - targets) * special.log_expit(-logits)
    np.testing.assert_allclose(losses.sigmoid_cross_entropy(logits, targets), expected, rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda z: losses.sigmoid_cross_entropy(z, 1.0))
    assert np.isfinite([gradient(-1e4), gradient(1e4), gradient(0.0)]).all()


@pytest.mark.parametrize("error, value", [(0.5, 0.125), (-0.5, 0.125), (1.0, 0.5), (3.0, 2.5), (-3.0, 2.5)])
def test_huber_by_hand_and_scipy(error, value):
    assert float(losses.huber(jnp.float32(error))) == pytest.approx(value)
    assert special.huber(1.0, error) == pytest.approx(value)


def test_weighted_sum_counts_broadcast_weights():
    total, count = losses.weighted_sum(jnp.ones((2, 3, 4)), jnp.array([1.0, 0.0])[:, None, None])
    assert (float(total), float(count)) == (12, 12)


def test_total_of_empty_terms_is_zero():
    terms = {"a": (jnp.float32(6), jnp.float32(3)), "b": (jnp.float32(0), jnp.float32(0))}
    assert float(losses.weighted_total(terms, {"a": 0.5, "b": 10.0})) == 1
