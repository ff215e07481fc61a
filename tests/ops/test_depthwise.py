"""Depthwise convolutions in both forms against sums over their taps, forward and backward, and ReLU6."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import conv
from pawjax.ops.norm import batch_norm
from pawjax.ops.relu import rectify
from tests.ops import oracles
from tests.ops.test_conv import assert_close, random_arrays, values_and_gradients

CHANNELS = 5
# size of kernel, stride, dilation, padding ((top, bottom), (left, right)), height, width
CASES = [
    (3, 1, 1, ((1, 1), (1, 1)), 6, 9),
    (3, 2, 1, ((0, 1), (1, 1)), 8, 7),  # SAME on an even and an odd size
    (5, 1, 1, ((2, 2), (2, 2)), 7, 6),
    (5, 2, 1, ((1, 2), (2, 2)), 8, 9),
    (5, 1, 2, ((4, 4), (4, 4)), 9, 6),
    (3, 1, 1, ((1, 1), (1, 1)), 1, 2),  # a map smaller than the kernel
    (3, 2, 2, ((0, 3), (2, 0)), 9, 10),
    (1, 2, 1, ((0, 0), (0, 0)), 5, 6),  # pixels that no tap reads
]


def expected_of(x, kernel, dtype=jnp.float32, **options):
    """Output and gradients, from a dense kernel without taps between different channels."""
    dense = np.einsum("abic,cd->abcd", np.asarray(kernel, np.float64), np.eye(CHANNELS))
    y, dx, dense = oracles.convolution(x, dense, lambda shape: random_arrays(99, shape)[0].astype(dtype), **options)
    return y, dx, np.einsum("abcc->abc", dense)[:, :, None]


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("size, stride, dilation, padding, height, width", CASES)
def test_values_and_gradients_equal_sums_over_taps(size, stride, dilation, padding, height, width, on_cpu, monkeypatch):
    monkeypatch.setattr(conv, "on_cpu", lambda: on_cpu)
    x, kernel = random_arrays(0, (2, height, width, CHANNELS), (size, size, 1, CHANNELS))
    options = dict(stride=stride, padding=padding, dilation=dilation)
    actual = values_and_gradients(lambda x, k: conv.conv2d(x, k, **options), x, kernel)
    assert_close(actual, expected_of(x, kernel, **options), 2e-6)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPU only")
def test_bfloat16_is_kept_and_summed_in_float32():
    x, kernel = (a.astype(jnp.bfloat16) for a in random_arrays(1, (2, 8, 7, CHANNELS), (5, 5, 1, CHANNELS)))
    options = dict(stride=2, padding=((1, 2), (2, 2)), dilation=1)
    actual = values_and_gradients(lambda x, k: conv.conv2d(x, k, **options), x, kernel)
    assert all(a.dtype == jnp.bfloat16 for a in actual)
    assert_close(actual, expected_of(x, kernel, jnp.bfloat16, **options), 2**-8)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPU only")
def test_a_cpu_runs_no_grouped_convolution():
    x, kernel = random_arrays(2, (1, 8, 8, CHANNELS), (3, 3, 1, CHANNELS))
    gradients = jax.grad(lambda x, k: conv.conv2d(x, k, stride=2, padding=((0, 1),) * 2).sum(), (0, 1))
    assert "convolution" not in jax.jit(gradients).lower(x, kernel).as_text()


@pytest.mark.parametrize("ceiling", [6.0, np.inf])
def test_relu_with_a_ceiling_after_convolution_and_norm(ceiling):
    x, kernel, dy = random_arrays(3, (2, 6, 5, 3), (1, 1, 3, 4), (2, 6, 5, 4))
    x, kernel, bias = 3 * x, 2 * kernel, jnp.array([0.0, 3.0, 5.0, -2.0])
    assert_close(
        [conv.conv2d(x, kernel, bias, relu=True, ceiling=ceiling)],
        [np.clip(np.asarray(x) @ np.asarray(kernel[0, 0]) + bias, 0, ceiling)],
        1e-6,
    )
    scale = jnp.array([1.0, 3.0, 5.0, 8.0])
    y = conv.conv2d(x, kernel)

    def plain(y):
        mean, var = y.mean((0, 1, 2)), y.var((0, 1, 2))
        return rectify((y - mean) / jnp.sqrt(var + 1e-3) * scale + bias, ceiling)

    found, pullback = jax.vjp(lambda y: batch_norm(y, scale, bias, 1e-3, relu=True, ceiling=ceiling)[0], y)
    expected, expected_pullback = jax.vjp(plain, y)
    assert (float(found.max()) == 6) is (ceiling == 6)
    assert_close((found, *pullback(dy)), (expected, *expected_pullback(dy)), 1e-5)
