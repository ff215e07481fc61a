"""Every convolution algorithm against sums over its taps, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pawjax.ops import conv
from tests.ops import oracles


def random_arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def values_and_gradients(function, x, kernel):
    """Output, input gradient and kernel gradient for a fixed random output gradient."""

    def run(x, kernel):
        y, pullback = jax.vjp(function, x, kernel)
        return y, *pullback(random_arrays(99, y.shape)[0].astype(y.dtype))

    return jax.jit(run)(x, kernel)


def expected_of(x, kernel, **options):
    """The same three from `oracles.convolution`."""
    return oracles.convolution(x, kernel, lambda shape: random_arrays(99, shape)[0], **options)


def assert_close(actual, expected, tolerance):
    """The tolerance is relative to the largest entry of each array."""
    for a, e in zip(actual, expected, strict=True):
        a, e = np.asarray(a, np.float64), np.asarray(e, np.float64)
        assert a.shape == e.shape
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * np.abs(e).max())


# size of kernel, stride, padding ((top, bottom), (left, right)), dilation, height, width, inputs, outputs
CASES = [
    (1, 1, ((0, 0), (0, 0)), 1, 5, 4, 7, 3),  # product, fewer outputs than inputs
    (1, 1, ((0, 0), (0, 0)), 1, 6, 5, 200, 400),  # product too large to split
    (1, 2, ((0, 0), (0, 0)), 1, 9, 8, 3, 5),  # the strided shortcut, odd and even
    (1, 2, ((0, 0), (0, 0)), 1, 8, 7, 5, 3),
    (1, 1, ((1, 0), (0, 2)), 1, 4, 5, 3, 4),  # 1x1 with padding is not a plain product
    (3, 1, ((1, 1), (1, 1)), 1, 9, 7, 5, 6),  # taps
    (3, 2, ((1, 1), (1, 1)), 1, 9, 8, 5, 6),
    (3, 2, ((0, 1), (0, 1)), 1, 8, 7, 40, 33),  # TF's padding
    (3, 1, ((2, 2), (2, 2)), 2, 9, 8, 5, 6),
    (7, 2, ((3, 3), (3, 3)), 1, 15, 14, 3, 8),  # the stem
    (3, 1, ((1, 1), (1, 1)), 1, 8, 8, 32, 32),  # Winograd's kernel gradient, whole tiles
    (3, 1, ((1, 1), (1, 1)), 1, 9, 11, 33, 40),  # partial tiles
    (3, 1, ((2, 2), (2, 2)), 2, 11, 13, 32, 36),  # dilated
    (3, 1, ((0, 0), (0, 0)), 1, 10, 7, 40, 32),
    (3, 1, ((0, 2), (1, 0)), 1, 6, 7, 32, 32),
    (3, 1, ((0, 0), (1, 1)), 3, 10, 12, 32, 32),
    (3, 1, ((1, 1), (1, 1)), 1, 1, 2, 32, 32),  # a map smaller than a tile
    (3, 1, ((1, 1), (1, 1)), 1, 8, 8, 128, 128),  # Winograd in all three directions, whole tiles
    (3, 1, ((1, 1), (1, 1)), 1, 9, 11, 128, 130),
    (3, 1, ((2, 2), (2, 2)), 2, 11, 13, 130, 128),
    (3, 1, ((0, 2), (1, 0)), 1, 6, 7, 128, 128),
    (3, 1, ((0, 0), (1, 1)), 3, 10, 12, 128, 128),
]


@pytest.mark.parametrize("size, stride, padding, dilation, height, width, inputs, outputs", CASES)
def test_conv2d_and_gradients_equal_sums_over_taps(size, stride, padding, dilation, height, width, inputs, outputs):
    x, kernel = random_arrays(0, (2, height, width, inputs), (size, size, inputs, outputs))
    actual = values_and_gradients(
        lambda x, k: conv.conv2d(x, k, stride=stride, padding=padding, dilation=dilation), x, kernel
    )
    expected = expected_of(x, kernel, stride=stride, padding=padding, dilation=dilation)
    assert_close(actual, expected, 2e-5)


@pytest.mark.parametrize("seed", range(6))
def test_conv2d_of_random_shapes(seed):
    rng = np.random.default_rng(seed)
    rows, columns, stride, dilation = rng.integers(1, 4, 4)
    low, high = rng.integers(0, 3, 2), rng.integers(0, 3, 2)
    padding = tuple((int(a), int(b)) for a, b in zip(low, high, strict=True))
    height, width = (int(dilation * (taps - 1) + rng.integers(1, 9)) for taps in (rows, columns))
    inputs, outputs = (int(v) for v in rng.integers(1, 40, 2))
    x, kernel = random_arrays(seed, (3, height, width, inputs), (rows, columns, inputs, outputs))
    stride, dilation = int(stride), int(dilation)
    actual = values_and_gradients(
        lambda x, k: conv.conv2d(x, k, stride=stride, padding=padding, dilation=dilation), x, kernel
    )
    expected = expected_of(x, kernel, stride=stride, padding=padding, dilation=dilation)
    assert_close(actual, expected, 2e-5)


@pytest.mark.parametrize("size, channels", [(1, 8), (3, 8), (3, 32)])
def test_conv2d_keeps_bfloat16_and_sums_in_float32(size, channels):
    x, kernel = random_arrays(1, (2, 8, 7, channels), (size, size, channels, channels))
    x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    margin = ((size // 2, size // 2),) * 2
    actual = values_and_gradients(lambda x, k: conv.conv2d(x, k, padding=margin), x, kernel)
    assert all(a.dtype == jnp.bfloat16 for a in actual)
    expected = oracles.convolution(
        x, kernel, lambda shape: random_arrays(99, shape)[0].astype(jnp.bfloat16), stride=1, padding=margin, dilation=1
    )
    assert_close(actual, expected, 2**-8)


@pytest.mark.parametrize("height, width, inputs, outputs", [(5, 4, 7, 3), (1, 1, 2, 1), (3, 6, 4, 12)])
def test_transposed_convolution_equals_xla(height, width, inputs, outputs):
    x, kernel = random_arrays(3, (2, height, width, inputs), (3, 3, outputs, inputs))
    actual = values_and_gradients(conv.conv_transpose_3x3_stride2, x, kernel)
    expected = values_and_gradients(
        lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME", transpose_kernel=True), x, kernel
    )
    assert actual[0].shape == (2, 2 * height, 2 * width, outputs)
    assert_close(actual, expected, 2e-5)


def test_transposed_convolution_centres_cell_i_on_pixel_2i_plus_1():
    x = jnp.zeros((1, 4, 5, 1)).at[0, 1, 3, 0].set(1.0)
    kernel = jnp.arange(9.0).reshape(3, 3, 1, 1)
    y = conv.conv_transpose_3x3_stride2(x, kernel)[0, :, :, 0]
    assert y[3, 7] == kernel[1, 1, 0, 0]
    np.testing.assert_array_equal(y[2:5, 6:9], kernel[:, :, 0, 0])
    assert y.sum() == kernel.sum()
