"""Max pooling and its gradient, ties included, against XLA's reduce_window."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pawjax.ops.pooling import max_pool_2x2, max_pool_3x3_stride2, repeat_2x2


def same(x):
    """TensorFlow's SAME padding: even sizes are padded at the end only."""
    rows, columns = ((0 if size % 2 == 0 else 1, 1) for size in x.shape[1:3])
    return max_pool_3x3_stride2(x, rows=rows, columns=columns)


def reference(x, size=3, padding=((0, 0), (1, 1), (1, 1), (0, 0))):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, 2, 2, 1), padding)


POOLS = {
    "3x3": (max_pool_3x3_stride2, reference),
    "3x3 same": (same, partial(reference, padding="SAME")),
    "2x2": (max_pool_2x2, partial(reference, size=2, padding="VALID")),
}


@pytest.mark.parametrize("height, width", [(8, 8), (7, 8), (9, 5), (1, 1), (2, 3)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("pool", POOLS)
def test_pooling_and_its_gradient_equal_xla(pool, height, width, tied):
    ours, theirs = POOLS[pool]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, height, width, 3)).astype(np.float32)
    x = np.maximum(np.round(x), 0) if tied else x  # as after a ReLU; XLA picks the first in row-major order too
    y, pullback = jax.vjp(ours, x)
    expected, expected_pullback = jax.vjp(theirs, jnp.asarray(x))
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    np.testing.assert_allclose(pullback(dy)[0], expected_pullback(dy)[0], atol=1e-6)


@pytest.mark.parametrize("pool", POOLS)
def test_gradient_needs_no_select_and_scatter(pool):
    ours, theirs = POOLS[pool]
    x = jnp.zeros((1, 8, 8, 2))
    lowered = jax.jit(jax.grad(lambda x: ours(x).sum())).lower(x).as_text()
    assert "select_and_scatter" in jax.jit(jax.grad(lambda x: theirs(x).sum())).lower(x).as_text()
    assert "select_and_scatter" not in lowered


def test_pooling_keeps_bfloat16():
    assert max_pool_3x3_stride2(jnp.ones((1, 4, 4, 1), jnp.bfloat16)).dtype == jnp.bfloat16


def test_repetition_makes_four_pixels_of_one():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(repeat_2x2(x), x.repeat(2, axis=1).repeat(2, axis=2))
