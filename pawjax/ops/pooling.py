"""Max pooling with a deterministic gradient on every chip, and the repetition that undoes its change of size."""

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops import chains


def max_pool_3x3_stride2(
    x: jax.Array, *, rows: tuple[int, int] = (1, 1), columns: tuple[int, int] = (1, 1)
) -> jax.Array:
    """Maximum over 3x3 windows, stride 2: the stem of a ResNet.

    Written as selections among slices: the gradient then needs no select-and-scatter, which is slow on a CPU
    and has no deterministic GPU form. Among equal pixels the first one, row by row, gets the gradient, as in PyTorch.

    Args:
      x: [B, H, W, C], floating point.
      rows, columns: padding by minus infinity, (above, below) and (left, right).

    Returns:
      [B, H', W', C], H' = (H + above + below - 1) // 2, W' likewise; cell (i, j) is centred on pixel
      (2i + 1 - above, 2j + 1 - left).
    """

    def pool(x: jax.Array) -> jax.Array:
        for axis, padding in ((2, columns), (1, rows)):
            x = _pool_axis(x, axis, *padding)
        return x

    return chains.each(pool, x)


def subsample(x: jax.Array, stride: int) -> jax.Array:
    """Every stride-th pixel of x [B, H, W, C], both axes -> [B, ceil(H / stride), ceil(W / stride), C]."""
    return chains.each(lambda x: x[:, ::stride, ::stride], x)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Maximum over 2x2 windows, stride 2: VGG's. Form and gradient as in `max_pool_3x3_stride2`.

    Args:
      x: [B, H, W, C], floating point.

    Returns:
      [B, H // 2, W // 2, C]; an odd last row or column is dropped, as in PyTorch.
    """

    def pool(x: jax.Array) -> jax.Array:
        for axis in (2, 1):
            cells = x.shape[axis] // 2
            first, second = _pairs(lax.slice_in_dim(x, 0, 2 * cells, axis=axis), axis)
            x = jnp.where(first >= second, first, second)
        return x

    return chains.each(pool, x)


def repeat_2x2(x: jax.Array) -> jax.Array:
    """Every pixel of x [B, H, W, C] four times, as 2x2 pixels -> [B, 2H, 2W, C]: the inverse of a pool in size."""

    def repeat(x: jax.Array) -> jax.Array:
        batch, height, width, channels = x.shape
        cells = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
        return cells.reshape(batch, 2 * height, 2 * width, channels)

    return chains.each(repeat, x)


def _pool_axis(x, axis, before, after):
    """Cell i is the maximum of pixels 2i - before to 2i - before + 2."""
    cells = (x.shape[axis] + before + after - 1) // 2
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (before, 2 * cells + 2 - before - x.shape[axis], 0)
    even, odd = _pairs(lax.pad(x, jnp.array(-jnp.inf, x.dtype), padding), axis)
    before, after = lax.slice_in_dim(even, 0, cells, axis=axis), lax.slice_in_dim(even, 1, None, axis=axis)
    centre = lax.slice_in_dim(odd, 0, cells, axis=axis)
    later = jnp.where(centre >= after, centre, after)
    return jnp.where(before >= later, before, later)


def _pairs(x, axis):
    """The even and the odd slices along an axis."""
    pairs = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    return (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in range(2))
