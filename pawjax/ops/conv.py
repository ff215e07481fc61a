"""Convolutions in the form the chip likes; NHWC, kernels HWIO, padding as ((top, bottom), (left, right)).

On a GPU or TPU these are `lax.conv_general_dilated`. On a CPU XLA runs 1x1 convolutions and all kernel
gradients several times slower than the same arithmetic written as matrix products, so there the products are
written out. All forms agree to rounding, and there only reverse-mode differentiation works.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Winograd's transforms for 4 outputs of 3 taps from 6 inputs (Lavin and Gray 2016, "Fast algorithms for
# convolutional neural networks", section 4.3).
F4_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
F4_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32) / 24
F4_OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
SMALL_PRODUCT = 2**16  # inputs x outputs up to which a kernel gradient is cut into parts

Padding = tuple[tuple[int, int], tuple[int, int]]


def on_cpu() -> bool:
    """Whether the program being traced is meant for a CPU: the one switch between the two sets of forms.

    Read at trace time, not with `lax.platform_dependent`, so that other chips see plain XLA operations that are
    differentiated by JAX's own rules, in both modes.
    """
    return jax.default_backend() == "cpu"


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = ((0, 0), (0, 0)),
    dilation: int = 1,
) -> jax.Array:
    """Cross-correlates images with a kernel.

    Args:
      x: [B, H, W, I].
      kernel: [kh, kw, I, O], of the same dtype as `x`.
      stride: step in pixels, both axes.
      padding: rows and columns of zeros, ((top, bottom), (left, right)).
      dilation: distance in pixels between the kernel's taps.

    Returns:
      [B, H', W', O] in the dtype of `x`, H' = (H + top + bottom - dilation * (kh - 1) - 1) // stride + 1.
    """
    padding = tuple((int(lo), int(hi)) for lo, hi in padding)
    if on_cpu():
        dtype = jnp.promote_types(x.dtype, jnp.float32)  # CPUs gain nothing from less
        return _conv2d(x.astype(dtype), kernel.astype(dtype), stride, padding, dilation).astype(x.dtype)
    return _xla_conv(x, kernel, stride, padding, dilation)


def conv_transpose_3x3_stride2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles the size of maps by a transposed 3x3 convolution with stride 2.

    Tap (a, b) of cell (i, j) lands on pixel (2i + a, 2j + b), so the centre tap on (2i + 1, 2j + 1); what falls
    beyond the last row or column is cut. Equals `lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)`.

    Args:
      x: [B, H, W, I].
      kernel: [3, 3, O, I].

    Returns:
      [B, 2H, 2W, O].
    """
    if not on_cpu():
        return lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)
    batch, height, width, features = x.shape
    outputs = kernel.shape[2]
    weights = kernel.transpose(3, 0, 1, 2).reshape(features, 9 * outputs)
    taps = conv2d(x, weights[None, None]).reshape(batch, height, width, 3, 3, outputs)
    y = jnp.zeros((batch, 2 * height + 1, 2 * width + 1, outputs), x.dtype)
    for a in range(3):
        for b in range(3):
            y += lax.pad(
                taps[:, :, :, a, b],
                jnp.zeros((), x.dtype),
                ((0, 0, 0), (a, 2 - a, 1), (b, 2 - b, 1), (0, 0, 0)),
            )
    return y[:, : 2 * height, : 2 * width]


def _xla_conv(x, kernel, stride, padding, dilation):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv2d(x, kernel, stride, padding, dilation):
    if _is_product(kernel, padding):
        return _product(x[:, ::stride, ::stride], kernel[0, 0])
    return _xla_conv(x, kernel, stride, padding, dilation)


def _conv2d_forward(x, kernel, stride, padding, dilation):
    # Here and below: without a barrier XLA works out the additions that made an array again for its later readers.
    x = lax.optimization_barrier(x)
    return _conv2d(x, kernel, stride, padding, dilation), (x, kernel)


def _conv2d_backward(stride, padding, dilation, saved, dy):
    x, kernel = saved
    dy = lax.optimization_barrier(dy)
    if _is_product(kernel, padding):
        return (
            _spread(_product(dy, kernel[0, 0].T), stride, x.shape),
            _pixel_product(x[:, ::stride, ::stride], dy)[None, None],
        )
    (dx,) = jax.linear_transpose(lambda x: _xla_conv(x, kernel, stride, padding, dilation), x)(dy)
    if kernel.shape[:2] == (3, 3) and stride == 1 and min(kernel.shape[2:]) >= 32:
        return dx, _winograd_gradient(x, dy, padding, dilation)
    return dx, _tap_gradient(x, dy, kernel.shape, stride, padding, dilation)


_conv2d.defvjp(_conv2d_forward, _conv2d_backward)


def _is_product(kernel, padding):
    return kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0))


def _product(x, weights):
    """[..., I] x [I, O] -> [..., O]."""
    return lax.dot_general(x, weights, (((x.ndim - 1,), (0,)), ((), ())))


def _spread(x, stride, shape):
    """Puts the pixels of x on every stride-th pixel of a map of zeros of the given shape."""
    if stride == 1:
        return x
    pads = [(0, shape[axis] - (x.shape[axis] - 1) * stride - 1, stride - 1) for axis in (1, 2)]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))


def _pixel_product(x, dy):
    """Sum over pixels of x [..., I] times dy [..., O] -> [I, O].

    The wider factor goes on the right. One tall product leaves cores idle when I x O is small: there the pixels
    are cut into parts, the parts multiplied as a batch, and summed.
    """
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    pixels, inputs, outputs = *x.shape, dy.shape[1]
    if inputs > outputs:
        return _pixel_product(dy, x).T
    parts = math.gcd(pixels, 4) if inputs * outputs <= SMALL_PRODUCT else 1
    x, dy = x.reshape(parts, -1, inputs), dy.reshape(parts, -1, outputs)
    return lax.dot_general(x, dy, (((1,), (1,)), ((0,), (0,)))).sum(0)


def _tap_gradient(x, dy, shape, stride, padding, dilation):
    """Gradient of a kernel of the given shape: shifted inputs times the output's gradient, one row of taps at a time.

    A row's shifts lie side by side as channels, which makes wide products out of a stem's three channels.
    """
    rows, columns = shape[:2]
    bottom, right = ((size - 1) * stride + 1 for size in dy.shape[1:3])
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    starts = range(0, columns * dilation, dilation)
    shifted = jnp.concatenate([x[:, :, start : start + right : stride] for start in starts], axis=-1)
    starts = range(0, rows * dilation, dilation)
    taps = [_pixel_product(shifted[:, start : start + bottom : stride], dy) for start in starts]
    return jnp.stack(taps).reshape(shape)


def _winograd_gradient(x, dy, padding, dilation):
    """Kernel gradient of a 3x3 convolution, stride 1: 36 products over a sixteenth of the pixels, not 9 over all.

    Rounding is about 1e-5 of the largest entry, ten times that of the plain sum.
    """
    inputs, outputs = x.shape[-1], dy.shape[-1]
    counts = [-(-size // (4 * dilation)) for size in dy.shape[1:3]]
    before = [lo for lo, _ in padding]
    left = _transform_tiles(x, F4_INPUT, counts, before, dilation).reshape(36, -1, inputs)
    right = _transform_tiles(dy, F4_OUTPUT.T, counts, (0, 0), dilation).reshape(36, -1, outputs)
    products = lax.dot_general(left, right, (((1,), (1,)), ((0,), (0,))))
    gather = np.einsum("ia,jb->abji", F4_KERNEL, F4_KERNEL).reshape(9, 36)
    return (gather.astype(x.dtype) @ products.reshape(36, -1)).reshape(3, 3, inputs, outputs)


def _transform_tiles(x, matrix, counts, before, dilation):
    """Applies a transform to the rows and columns of tiles of x [B, H, W, C], one tile every 4 pixels.

    Returns [columns' transform, rows' transform, B, tile rows, dilation, tile columns, dilation, C]. The barrier
    keeps XLA from fusing the two axes, which would do the first one again for every term of the second.
    """
    rows = _transform_axis(x, matrix, 1, counts[0], before[0], dilation)
    return _transform_axis(lax.optimization_barrier(rows), matrix, 4, counts[1], before[1], dilation)


def _transform_axis(x, matrix, axis, count, before, dilation):
    """Cuts an axis into `count` overlapping tiles, one every 4 taps, and multiplies each by matrix [out, taps].

    The taps are `dilation` pixels apart, and the interleaved grids that this leaves become an axis of their own, so
    that no pixel is moved to gather a grid. `before` zeros precede the axis, as many as needed follow.

    Returns [out, ..., count, dilation, ...].
    """
    taps, block = matrix.shape[1], 4 * dilation
    blocks = count + (taps - 1) // 4
    margins = [(0, 0, 0)] * x.ndim
    margins[axis] = (before, blocks * block - before - x.shape[axis], 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), margins)
    x = x.reshape(*x.shape[:axis], blocks, block, *x.shape[axis + 1 :])

    def tap(index):
        start, offset = divmod(index, 4)
        run = lax.slice_in_dim(x, start, start + count, axis=axis)
        return lax.slice_in_dim(run, offset * dilation, (offset + 1) * dilation, axis=axis + 1)

    values = [tap(index) for index in range(taps)]
    terms = [[value * factor for value, factor in zip(values, row, strict=True) if factor] for row in matrix.tolist()]
    return jnp.stack([sum(row[1:], row[0]) for row in terms])
