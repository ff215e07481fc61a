"""Max pooling whose gradient is the same on every run, on every chip."""

import jax
import jax.numpy as jnp
from jax import lax


def max_pool_3x3_stride2(x: jax.Array) -> jax.Array:
    """Maximum over 3x3 windows, stride 2, padded by one on each side (the stem of torchvision's ResNet).

    Written as selections among slices: the gradient then needs no select-and-scatter, which is slow on a CPU
    and has no deterministic GPU form. Among equal pixels the first one, row by row, gets the gradient, as in PyTorch.

    Args:
      x: [B, H, W, C], floating point.

    Returns:
      [B, ceil(H / 2), ceil(W / 2), C]; cell (i, j) is centred on pixel (2i, 2j).
    """
    return _pool_axis(_pool_axis(x, 2), 1)


def _pool_axis(x, axis):
    cells = (x.shape[axis] + 1) // 2
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (2, 2 * cells - x.shape[axis], 0)
    pairs = lax.pad(x, jnp.array(-jnp.inf, x.dtype), padding)
    pairs = pairs.reshape(*x.shape[:axis], cells + 1, 2, *x.shape[axis + 1 :])
    even, odd = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in range(2))
    before, after = lax.slice_in_dim(odd, 0, cells, axis=axis), lax.slice_in_dim(odd, 1, None, axis=axis)
    centre = lax.slice_in_dim(even, 1, None, axis=axis)
    later = jnp.where(centre >= after, centre, after)
    return jnp.where(before >= later, before, later)
