"""The CPU version of the dense product against JAX's own, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pawjax.ops import dense
from pawjax.ops.chip import traced_for


@pytest.mark.parametrize("shape", [(7, 30, 11), (5, 3, 40), (1, 1, 1)])
def test_values_and_gradients_equal_jax(shape):
    n, inputs, outputs = shape
    rng = np.random.default_rng(n)
    x, dy = (jnp.asarray(rng.standard_normal((n, size)), jnp.float32) for size in (inputs, outputs))
    ours, plain = (nn.Dense(outputs, dot_general=form) for form in (dense.dot_general, None))
    params = plain.init(jax.random.key(0), x)

    def run(layer):
        y, pullback = jax.vjp(layer.apply, params, x)
        return y, *pullback(dy)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), run(ours), run(plain))


def test_input_gradient_reads_rows():
    x, weights = jnp.ones((6, 64)), jnp.ones((64, 32))

    def compiled():
        gradient = jax.grad(lambda x: dense.dot_general(x, weights, (((1,), (0,)), ((), ()))).sum())
        return jax.jit(gradient).lower(x).compile().as_text()

    assert "f32[64,6]" in compiled()
    with traced_for("cuda"):
        assert "f32[64,6]" not in compiled()
