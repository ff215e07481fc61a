"""Convolutions in their fast forms against XLA's own: values and both gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pawjax.ops.conv import conv2d

# (height, width, in, out, kernel, stride, padding, dilation)
CASES = [
    (9, 12, 5, 7, 1, 1, 0, 1),
    (9, 12, 5, 7, 1, 2, 0, 1),
    (11, 8, 4, 6, 3, 1, 1, 1),
    (11, 8, 4, 6, 3, 2, 1, 1),
    (12, 10, 4, 6, 3, 2, 1, 1),
    (13, 9, 3, 5, 3, 1, 2, 2),
    (21, 18, 3, 8, 7, 2, 3, 1),
    (16, 20, 32, 48, 3, 1, 1, 1),
    (17, 13, 40, 32, 3, 1, 2, 2),
    (15, 22, 64, 64, 3, 2, 1, 1),
    (10, 14, 96, 160, 1, 1, 0, 1),
    (4, 5, 600, 520, 1, 1, 0, 1),
]


def xla(x, kernel, stride, padding, dilation):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def close(found, expected, tolerance):
    error = np.abs(np.asarray(found, np.float32) - np.asarray(expected, np.float32)).max()
    assert error <= tolerance * np.abs(np.asarray(expected, np.float32)).max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case):
    height, width, inputs, outputs, size, stride, padding, dilation = case
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((3, height, width, inputs)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((size, size, inputs, outputs)), jnp.float32)
    pads = ((padding, padding), (padding, padding))

    def ours(x, kernel):
        return conv2d(x, kernel, stride=stride, padding=pads, dilation=dilation)

    expected, pull_back = jax.vjp(lambda x, k: xla(x, k, stride, padding, dilation), x, kernel)
    found, our_pull_back = jax.jit(lambda x, k: jax.vjp(ours, x, k))(x, kernel)
    assert found.shape == expected.shape
    close(found, expected, 1e-5)
    dy = jnp.asarray(rng.standard_normal(expected.shape), jnp.float32)
    for ours_, theirs in zip(our_pull_back(dy), pull_back(dy), strict=True):
        assert ours_.shape == theirs.shape
        close(ours_, theirs, 1e-4)


@pytest.mark.parametrize("size, stride", [(1, 1), (3, 1), (3, 2)])
def test_bfloat16(size, stride):
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((2, 12, 12, 32)), jnp.bfloat16)
    kernel = jnp.asarray(rng.standard_normal((size, size, 32, 32)) / 10, jnp.bfloat16)
    pad = size // 2

    def loss(x, kernel):
        y = conv2d(x, kernel, stride=stride, padding=((pad, pad), (pad, pad)))
        assert y.dtype == jnp.bfloat16
        return (y.astype(jnp.float32) ** 2).sum()

    def exact(x, kernel):
        return (xla(x.astype(jnp.float32), kernel.astype(jnp.float32), stride, pad, 1) ** 2).sum()

    for found, expected in zip(jax.grad(loss, (0, 1))(x, kernel), jax.grad(exact, (0, 1))(x, kernel), strict=True):
        assert found.dtype == jnp.bfloat16
        close(found, expected, 0.05)
