"""Convolutions in the form that suits the chip; NHWC, kernels HWIO, padding as ((top, bottom), (left, right)).

On a GPU or TPU these are `lax.conv_general_dilated`. On a CPU XLA runs 1x1 convolutions, kernel gradients and the
input gradients of strided convolutions several times slower than the same arithmetic written as matrix products, so
there they are written as products, wide 3x3 convolutions use Winograd's form, and depthwise convolutions that of
`pawjax.ops.depthwise`. All forms agree to rounding; on a CPU only reverse-mode differentiation works.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops import chains, winograd
from pawjax.ops.chip import on_cpu
from pawjax.ops.depthwise import depthwise
from pawjax.ops.relu import rectify

WINOGRAD_CHANNELS = 128  # minimum for Winograd's fewer products to outweigh its passes over memory
WINOGRAD_GRADIENT_CHANNELS = 32  # the same for kernel gradients, whose plain form is slower

Padding = tuple[tuple[int, int], tuple[int, int]]


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int = 1,
    padding: Padding = ((0, 0), (0, 0)),
    dilation: int = 1,
    relu: bool = False,
    ceiling: float = math.inf,
) -> jax.Array:
    """Cross-correlates images with a kernel, and optionally adds a bias and applies a ReLU.

    Args:
      x: [B, H, W, I].
      kernel: [kh, kw, I, O], or [kh, kw, 1, I] for a depthwise convolution; used in the dtype of `x`.
      bias: [O], or None.
      stride: step in pixels, both axes.
      padding: rows and columns of zeros, ((top, bottom), (left, right)).
      dilation: distance in pixels between the kernel's taps.
      relu: whether to apply a ReLU.
      ceiling: of the ReLU, see `pawjax.ops.relu`.

    Returns:
      [B, H', W', O] in the dtype of `x`, H' = (H + top + bottom - dilation * (kh - 1) - 1) // stride + 1.
    """
    padding = tuple((int(lo), int(hi)) for lo, hi in padding)
    kernel = kernel.astype(x.dtype)

    def apply(x: jax.Array) -> jax.Array:
        y = _convolve(x, kernel, stride, padding, dilation)
        y = y if bias is None else y + bias.astype(x.dtype)
        return rectify(y, ceiling) if relu else y

    return chains.each(apply, x)


def conv_transpose_3x3_stride2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles the size of maps by a transposed 3x3 convolution with stride 2.

    Tap (a, b) of cell (i, j) lands on pixel (2i + a, 2j + b), so the centre tap on (2i + 1, 2j + 1); taps
    beyond the last row or column are cropped. Equals
    `lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)`.

    Args:
      x: [B, H, W, I].
      kernel: [3, 3, O, I].

    Returns:
      [B, 2H, 2W, O].
    """
    if not on_cpu():
        return lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)
    height, width, channels = 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]

    def apply(x: jax.Array) -> jax.Array:
        return _place_taps(x, kernel, (x.shape[0], height, width, channels), 2, ((0, 1), (0, 1)))

    return chains.each(apply, x)


def _convolve(x, kernel, stride, padding, dilation):
    if not on_cpu():
        return _xla_conv(x, kernel, stride, padding, dilation)
    dtype = jnp.promote_types(x.dtype, jnp.float32)  # CPUs gain nothing from lower precision
    form = depthwise if x.shape[-1] > kernel.shape[2] else _conv2d
    return form(x.astype(dtype), kernel.astype(dtype), stride, padding, dilation).astype(x.dtype)


def _xla_conv(x, kernel, stride, padding, dilation):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv2d(x, kernel, stride, padding, dilation):
    if _is_product(kernel, padding):
        return jnp.dot(x[:, ::stride, ::stride], kernel[0, 0])
    if _is_winograd(kernel, stride, WINOGRAD_CHANNELS):
        return winograd.conv3x3(x, winograd.transform_kernel(kernel), padding, dilation)
    return _xla_conv(x, kernel, stride, padding, dilation)


def _conv2d_forward(x, kernel, stride, padding, dilation):
    # Here and below: without a barrier XLA recomputes the additions behind an array for its later consumers.
    x = lax.optimization_barrier(x)
    if _is_product(kernel, padding):
        return _product(x[:, ::stride, ::stride], kernel[0, 0]), (x, kernel)
    if _is_winograd(kernel, stride, WINOGRAD_CHANNELS):
        tiles = winograd.transform_input(x, padding, dilation)  # saved: the kernel's gradient is a product of them too
        shape = winograd.output_shape(x, padding, dilation)
        return winograd.correlate(tiles, winograd.transform_kernel(kernel), shape, dilation), (tiles, kernel)
    return _conv2d(x, kernel, stride, padding, dilation), (x, kernel)


def _conv2d_backward(stride, padding, dilation, saved, dy):
    x, kernel = saved  # x as tiles if the forward pass used Winograd's form
    dy = lax.optimization_barrier(dy)
    if _is_product(kernel, padding):
        return (
            _spread(_product(dy, kernel[0, 0].T), stride, x.shape),
            _pixel_product(x[:, ::stride, ::stride], dy)[None, None],
        )
    if _is_winograd(kernel, stride, WINOGRAD_CHANNELS):
        mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
        opposite = tuple((2 * dilation - lo, 2 * dilation - hi) for lo, hi in padding)
        dx = winograd.conv3x3(dy, winograd.transform_kernel(mirrored), opposite, dilation)
        return dx, winograd.kernel_gradient(x, dy, dilation)
    dx = _input_gradient(dy, kernel, x, stride, padding, dilation)
    if _is_winograd(kernel, stride, WINOGRAD_GRADIENT_CHANNELS):
        return dx, winograd.kernel_gradient(winograd.transform_input(x, padding, dilation), dy, dilation)
    return dx, _tap_gradient(x, dy, kernel.shape, stride, padding, dilation)


_conv2d.defvjp(_conv2d_forward, _conv2d_backward)


def _is_product(kernel, padding):
    return kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0))


def _is_winograd(kernel, stride, channels):
    return kernel.shape[:2] == (3, 3) and stride == 1 and min(kernel.shape[2:]) >= channels


def _product(x, weights):
    """[B, H, W, I] x [I, O] -> [B, H, W, O], with x in the same shape as in `_pixel_product`.

    XLA recomputes an array for each shape in which it is read.
    """
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], -1)


def _spread(x, stride, shape):
    """Places the pixels of x on every stride-th pixel of a zero map of the given shape."""
    if stride == 1:
        return x
    pads = [(0, shape[axis] - (x.shape[axis] - 1) * stride - 1, stride - 1) for axis in (1, 2)]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))


def _pixel_product(x, dy):
    """Sum over pixels of x [..., I] times dy [..., O] -> [I, O], computed with the wider factor on the right."""
    if x.shape[-1] > dy.shape[-1]:
        return lax.optimization_barrier(_pixel_product(dy, x)).T  # without a barrier XLA would swap the two again
    return x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])


def _input_gradient(dy, kernel, x, stride, padding, dilation):
    if stride > 1 and dilation == 1:
        return _place_taps(dy, kernel, x.shape, stride, padding)
    (dx,) = jax.linear_transpose(lambda x: _xla_conv(x, kernel, stride, padding, dilation), x)(dy)
    return dx


def _place_taps(dy, kernel, shape, stride, padding):
    """Input gradient, of the given shape, of a strided convolution: one product, then each tap shifted into place."""
    rows, columns, inputs, outputs = kernel.shape
    weights = kernel.transpose(3, 0, 1, 2).reshape(outputs, -1)
    taps = conv2d(dy, weights[None, None]).reshape(*dy.shape[:3], rows, columns, inputs)
    size = [shape[1 + axis] + sum(padding[axis]) for axis in range(2)]
    extent = [(dy.shape[1 + axis] - 1) * stride + 1 for axis in range(2)]
    dx = jnp.zeros((shape[0], *size, inputs), dy.dtype)
    for a in range(rows):
        for b in range(columns):
            margins = [(tap, size[axis] - extent[axis] - tap, stride - 1) for axis, tap in enumerate((a, b))]
            dx += lax.pad(taps[:, :, :, a, b], jnp.zeros((), dy.dtype), ((0, 0, 0), *margins, (0, 0, 0)))
    (top, _), (left, _) = padding
    return dx[:, top : top + shape[1], left : left + shape[2]]


def _tap_gradient(x, dy, shape, stride, padding, dilation):
    """Kernel gradient of the given shape: shifted inputs times the output's gradient, one row of taps at a time.

    A row's shifts are concatenated as channels, so that even a stem's three channels give wide products.
    """
    rows, columns = shape[:2]
    bottom, right = ((size - 1) * stride + 1 for size in dy.shape[1:3])
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    starts = range(0, columns * dilation, dilation)
    shifted = jnp.concatenate([x[:, :, start : start + right : stride] for start in starts], axis=-1)
    starts = range(0, rows * dilation, dilation)
    taps = [_pixel_product(shifted[:, start : start + bottom : stride], dy) for start in starts]
    return jnp.stack(taps).reshape(shape)
