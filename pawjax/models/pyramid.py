"""Top-down pathway: the features of several strides merged at the finest one, as in FPN (Lin et al. 2017)."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.models.layers import ConvNorm


def top_down(
    levels: Mapping[int, jax.Array], laterals: Mapping[int, ConvNorm], center: Callable[[int], float], train: bool
) -> jax.Array:
    """Sums the levels, each through its lateral layer, from the coarsest to the finest.

    Args:
      levels: {stride: [B, H / stride, W / stride, C]}, from `pawjax.models.backbones`.
      laterals: {stride: layer} of the levels to merge, each stride twice the next finer one's.
      center: the backbone's `cell_center`.
      train: see `ConvNorm`.

    Returns:
      [B, H / stride, W / stride, C'] at the finest stride, its cells centred as the backbone's.
    """
    coarsest, *finer = sorted(laterals, reverse=True)
    total = laterals[coarsest](levels[coarsest], train, relu=False)
    for stride in finer:
        level = laterals[stride](levels[stride], train, relu=False)
        shift = (center(2 * stride) - center(stride)) / stride
        total = level + doubled(doubled(total, level.shape[1], 1, shift), level.shape[2], 2, shift)
    return total


def doubled(x: jax.Array, size: int, axis: int, shift: float) -> jax.Array:
    """Interpolates an axis linearly to `size` cells, twice as many.

    Cell i has the same centre as position 2i + shift of the result, 0 <= shift <= 1. Repeating cells, as in FPN, would
    be a shift of 1/2.
    """
    after = jnp.concatenate([lax.slice_in_dim(x, 1, None, axis=axis), lax.slice_in_dim(x, -1, None, axis=axis)], axis)
    before = jnp.concatenate([lax.slice_in_dim(x, 0, 1, axis=axis), lax.slice_in_dim(x, 0, -1, axis=axis)], axis)
    pairs = jnp.stack([_between(x, before, shift / 2), _between(x, after, (1 - shift) / 2)], axis + 1)
    return lax.slice_in_dim(pairs.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :]), 0, size, axis=axis)


def _between(x: jax.Array, y: jax.Array, share: float) -> jax.Array:
    """The point at this share of the way from x to y."""
    return x if share == 0 else ((1 / share - 1) * x + y) * share
