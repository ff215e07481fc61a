"""RoI max pooling (Fast R-CNN, Girshick 2015): the maximum of each bin of a region whose edges are whole cells."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


def roi_pool(features: jax.Array, rois: jax.Array, bins: tuple[int, int], *, scale: float) -> jax.Array:
    """Maxima of each region's bins, rounded as in py-faster-rcnn and torchvision's roi_pool.

    A region covers the cells round(x1 * scale) to round(x2 * scale) inclusive, at least one (halves are rounded away
    from zero). Bin p of n along an axis of s cells runs from floor(p s / n) to ceil((p + 1) s / n); bins overlap.
    Cells off the map are ignored, and a bin that is entirely off the map is zero. (torchvision computes the bins in
    float32 and so adds a row or column of cells to some regions of 57 cells or more.)

    Args:
      features: [H, W, C] of one image, floating point; for a batch use `jax.vmap`.
      rois: [K, 4] xyxy, pixels of the image. No gradient flows into them.
      bins: rows and columns of the output, (7, 7) in most heads.
      scale: 1 / stride of the features.

    Returns:
      [K, bins[0], bins[1], C]. The gradient goes to the first maximum of a bin, row by row. It is a scatter, which on a
      GPU adds in a fixed order only with XLA's determinism flags.
    """
    edges = lax.round(rois.astype(jnp.float32) * scale).astype(jnp.int32)
    return _pool(tuple(bins), features, edges)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _pool(bins, features, edges):
    return _maxima(bins, features, edges)[0]


def _forward(bins, features, edges):
    maxima, cells = _maxima(bins, features, edges)
    return maxima, (features, cells)


def _backward(bins, residuals, cotangent):
    features, cells = residuals
    channels = features.shape[-1]
    gradient = jnp.zeros((features.shape[0] * features.shape[1], channels), cotangent.dtype)
    gradient = gradient.at[cells, jnp.arange(channels)].add(cotangent, mode="drop")
    return gradient.reshape(features.shape), None


_pool.defvjp(_forward, _backward)


def _maxima(bins, features, edges):
    """Maxima [K, *bins, C] of the bins, and their cells in the flattened map (H * W for an empty bin)."""
    height, width, channels = features.shape
    flat = features.reshape(height * width, channels)
    top, bottom = (edge[:, :, None] for edge in _bins(edges[:, 1::2], bins[0], height))
    left, right = (edge[:, None, :] for edge in _bins(edges[:, 0::2], bins[1], width))
    tallest, widest = (bottom - top).max(initial=0), (right - left).max(initial=0)

    def compare(n, best):
        maxima, cells = best
        row, column = top + n // widest, left + n % widest
        cell = row * width + column
        value = jnp.take(flat, cell, axis=0, mode="clip")
        larger = ((row < bottom) & (column < right))[..., None] & ((value > maxima) | (cells == height * width))
        return jnp.where(larger, value, maxima), jnp.where(larger, cell[..., None], cells)

    shape = (edges.shape[0], *bins, channels)
    # One round per cell of the largest bin: a handful, but unknown at compile time.
    nothing = jnp.zeros(shape, features.dtype), jnp.full(shape, height * width, jnp.int32)
    return lax.fori_loop(0, tallest * widest, compare, nothing)


def _bins(ends: jax.Array, bins: int, size: int) -> tuple[jax.Array, jax.Array]:
    """First cells and ends of the bins of regions from cell ends[:, 0] to ends[:, 1], clipped to the map: [K, bins]."""
    start = ends[:, :1]
    length = jnp.maximum(ends[:, 1:] - start + 1, 1)
    before = jnp.arange(bins) * length
    ceiling = -(-(before + length) // bins)
    return jnp.clip(start + before // bins, 0, size), jnp.clip(start + ceiling, 0, size)
