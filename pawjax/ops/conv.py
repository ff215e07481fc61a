"""Convolutions in the form the chip likes; NHWC, kernels HWIO, padding as ((top, bottom), (left, right)).

On a GPU or TPU these are `lax.conv_general_dilated`. On a CPU XLA runs 1x1 convolutions, the weight gradients of
large maps and the base-dilated convolutions of strided gradients several times slower than the same arithmetic
written as matrix products, so there the products are written out. All forms agree to rounding.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]


def on_cpu() -> bool:
    """Whether the program being traced is meant for a CPU: the one switch between the two sets of forms.

    Read at trace time, not with `lax.platform_dependent`, so that other chips see plain XLA operations which XLA's
    own rules differentiate in both modes.
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
      [B, H', W', O] with H' = (H + top + bottom - dilation * (kh - 1) - 1) // stride + 1, in the dtype of `x`.
    """
    padding = tuple((int(lo), int(hi)) for lo, hi in padding)
    if on_cpu():
        return _conv2d(x, kernel, stride, padding, dilation)
    return _xla_conv(x, kernel, stride, padding, dilation)


def conv_transpose_3x3_stride2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles the size of maps by a transposed 3x3 convolution with stride 2.

    The centre tap of cell (i, j) lands on (2i + 1, 2j + 1); a tap (a, b) on (2i + a, 2j + b), what falls beyond the
    last row or column is cut. Equals `lax.conv_transpose(x, kernel, (2, 2), "SAME", transpose_kernel=True)`.

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
    return _conv2d(x, kernel, stride, padding, dilation), (x, kernel)


def _conv2d_backward(stride, padding, dilation, saved, dy):
    x, kernel = saved
    if _is_product(kernel, padding):
        dx = _spread(_product(dy, kernel[0, 0].T), stride, x.shape)
    else:
        (dx,) = jax.linear_transpose(lambda x: _xla_conv(x, kernel, stride, padding, dilation), x)(dy)
    return dx, _kernel_gradient(x, dy, kernel, stride, padding, dilation)


_conv2d.defvjp(_conv2d_forward, _conv2d_backward)


def _is_product(kernel, padding):
    return kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0))


def _product(x, weights):
    """[..., I] x [I, O] -> [..., O], accumulated in float32."""
    return lax.dot_general(
        x, weights, (((x.ndim - 1,), (0,)), ((), ())), preferred_element_type=jnp.float32
    ).astype(x.dtype)


def _spread(x, stride, shape):
    """Puts the pixels of x on every stride-th pixel of a map of zeros of the given shape."""
    if stride == 1:
        return x
    pads = [(0, shape[axis] - (x.shape[axis] - 1) * stride - 1, stride - 1) for axis in (1, 2)]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))


def _kernel_gradient(x, dy, kernel, stride, padding, dilation):
    """One product per tap: the input shifted by the tap, transposed, times the output's gradient."""
    rows, columns = kernel.shape[:2]
    _, height, width, _ = dy.shape
    if padding != ((0, 0), (0, 0)):
        x = jnp.pad(x, ((0, 0), *(tuple(max(p, 0) for p in pair) for pair in padding), (0, 0)))
    taps = []
    for a in range(rows):
        for b in range(columns):
            top, left = a * dilation, b * dilation
            shifted = x[
                :,
                top : top + (height - 1) * stride + 1 : stride,
                left : left + (width - 1) * stride + 1 : stride,
            ]
            taps.append(_split_product(shifted, dy))
    return jnp.stack(taps).reshape(kernel.shape).astype(kernel.dtype)


def _split_product(x, dy):
    """Sum over pixels of x [..., I] times dy [..., O] -> float32 [I, O].

    One tall product leaves cores idle when I and O are small, so the pixels are cut into parts, the parts multiplied
    as a batch, and summed.
    """
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    pixels = x.shape[0]
    parts = next(p for p in (8, 7, 6, 5, 4, 3, 2, 1) if pixels % p == 0)
    x, dy = x.reshape(parts, pixels // parts, -1), dy.reshape(parts, pixels // parts, -1)
    return lax.dot_general(x, dy, (((1,), (1,)), ((0,), (0,))), preferred_element_type=jnp.float32).sum(0)
