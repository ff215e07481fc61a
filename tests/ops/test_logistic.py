"""The loss of a logistic regression: its gradient and Hessian against JAX's, and scipy's optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pawjax.ops import logistic


def problem(seed, n=40, p=5, spread=1.0):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(np.concatenate([rng.normal(size=(n, p - 1)), np.ones((n, 1))], axis=1) * spread, jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, n), jnp.float32)
    l2 = jnp.asarray(np.append(np.full(p - 1, 0.1), 0.0), jnp.float32)
    return jnp.asarray(rng.normal(size=p), jnp.float32), x, y, l2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_gradient_and_hessian_are_those_of_autodiff(seed, spread):
    w, x, y, l2 = problem(seed, spread=spread)
    expected = jax.grad(logistic.loss)(w, x, y, l2)
    np.testing.assert_allclose(logistic.gradient(w, x, y, l2), expected, rtol=1e-3, atol=1e-4 * spread)
    expected = jax.hessian(logistic.loss)(w, x, y, l2)
    np.testing.assert_allclose(logistic.hessian(w, x, l2), expected, rtol=1e-3, atol=1e-4 * spread**2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_hessian_is_symmetric_and_positive_semi_definite(seed, spread):
    """Without a penalty, where a saturated example has no curvature left."""
    w, x, *_ = problem(seed, n=3, spread=spread)  # of rank 3 at most
    found = np.asarray(logistic.hessian(w, x, 0.0), np.float64)
    np.testing.assert_allclose(found, found.T, rtol=1e-5, atol=1e-6 * np.abs(found).max())
    assert np.linalg.eigvalsh((found + found.T) / 2).min() >= -1e-5 * np.abs(found).max()


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_nothing_overflows(logit):
    w, x, y = jnp.array([logit]), jnp.ones((2, 1)), jnp.array([0.0, 1.0])
    assert float(logistic.loss(w, x, y, 0.0)) == pytest.approx(5000)
    assert float(jnp.abs(logistic.gradient(w, x, y, 0.0))[0]) == pytest.approx(0.5)
    assert float(logistic.hessian(w, x, 0.0)[0, 0]) == 0


def test_the_gradient_vanishes_at_the_optimum_of_scipy():
    _, x, y, l2 = problem(3)

    def by_hand(w):
        z = np.asarray(x, np.float64) @ w
        return np.mean(np.logaddexp(0, z) - np.asarray(y) * z) + np.sum(np.asarray(l2) * w**2) / 2

    best = minimize(by_hand, np.zeros(5), tol=1e-12)
    w = jnp.asarray(best.x, jnp.float32)
    assert float(logistic.loss(w, x, y, l2)) == pytest.approx(best.fun, rel=1e-6)
    assert float(jnp.abs(logistic.gradient(w, x, y, l2)).max()) < 1e-5
