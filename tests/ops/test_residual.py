"""The residual sum equals its formula, and compiled programs compute each sum once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.residual import add, add_relu

UNITS = 4


def arrays(shape, dtype, n):
    """Small whole numbers, so that many sums are zero."""
    values = np.random.default_rng(0).integers(-2, 3, (n, *shape))
    return [jnp.asarray(value, dtype) for value in values]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sum_and_gradients_equal_the_formula(dtype):
    x, y, dz = arrays((2, 3, 5, 4), dtype, 3)
    z, pullback = jax.vjp(add_relu, x, y)
    expected, expected_pullback = jax.vjp(lambda x, y: jax.nn.relu(x + y), x, y)
    assert z.dtype == dtype
    np.testing.assert_array_equal(z, expected)
    for actual, reference in zip(pullback(dz), expected_pullback(dz), strict=True):
        np.testing.assert_array_equal(actual, reference)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPU only")
@pytest.mark.parametrize("sum_of, operation", [(add_relu, " maximum("), (add, " add(")])
def test_chained_sums_are_not_recomputed(sum_of, operation):
    x, *weights = arrays((64, 64), jnp.float32, UNITS + 1)

    def units(x, weights):
        for weight in weights:
            x = sum_of(x, x @ weight)
        return x

    program = jax.jit(units).lower(x, weights).compile().as_text()
    assert program.count(operation) == UNITS
