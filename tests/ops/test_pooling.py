"""The maximum over 3x3 windows against XLA's reduce_window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pawjax.ops.pooling import max_pool_3x3_stride2


def xla(x):
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), pads)


@pytest.mark.parametrize("shape", [(2, 8, 10, 3), (1, 9, 7, 4), (1, 1, 2, 1)])
def test_values_and_gradients(shape):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.permutation(np.prod(shape)).reshape(shape), jnp.float32)  # no ties
    np.testing.assert_array_equal(max_pool_3x3_stride2(x), xla(x))
    weights = jnp.asarray(rng.standard_normal(xla(x).shape), jnp.float32)
    found = jax.grad(lambda x: (max_pool_3x3_stride2(x) * weights).sum())(x)
    np.testing.assert_allclose(found, jax.grad(lambda x: (xla(x) * weights).sum())(x), atol=1e-6)


def test_negative_maps_keep_their_border():
    assert (np.asarray(max_pool_3x3_stride2(-jnp.ones((1, 4, 4, 1)))) == -1).all()


def test_no_select_and_scatter():
    text = jax.jit(jax.grad(lambda x: max_pool_3x3_stride2(x).sum())).lower(jnp.ones((1, 8, 8, 2))).as_text()
    assert "select_and_scatter" not in text
