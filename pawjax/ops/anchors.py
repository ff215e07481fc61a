"""Anchors: the boxes a region proposal network starts from (Faster R-CNN, Ren et al. 2015), xyxy in pixels.

A ratio is height / width; a size is the square root of the area, in pixels. Boxes are not rounded, and sizes are the
outer loop within a cell, as in detectron2.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def grid_anchors(
    height: int,
    width: int,
    stride: int,
    *,
    sizes: Sequence[float],
    ratios: Sequence[float],
    center: float = 0.0,
) -> jax.Array:
    """The anchors of a whole feature map.

    Args:
      height, width: of the map, in cells.
      stride: pixels from cell to cell.
      sizes: in pixels.
      ratios: height / width.
      center: pixel that cell (0, 0) is centred on, on both axes: `cell_center` of the backbone.

    Returns:
      float32 [height * width * A, 4] xyxy, cells row by row, the A = len(sizes) * len(ratios) of a cell together.
    """
    x, y = jnp.meshgrid(jnp.arange(width) * stride + center, jnp.arange(height) * stride + center, indexing="xy")
    cells = jnp.stack([x, y, x, y], axis=-1).astype(jnp.float32)
    return (cells[:, :, None] + _around_zero(sizes, ratios)).reshape(-1, 4)


def inside_image(anchors: jax.Array, height: int, width: int) -> jax.Array:
    """bool [...]: anchors [..., 4] whose corners are pixels of the image; py-faster-rcnn trains on no others."""
    return (anchors[..., :2] >= 0).all(axis=-1) & (anchors[..., 2:] < jnp.array([width, height])).all(axis=-1)


def _around_zero(sizes, ratios):
    """The anchors of a cell at (0, 0): float32 [A, 4], the ratios of the first size first."""
    sizes, ratios = np.asarray(sizes, np.float64)[:, None], np.asarray(ratios, np.float64)
    width = np.sqrt(sizes**2 / ratios)
    height = width * ratios
    return (np.stack([-width, -height, width, height], axis=-1) / 2).reshape(-1, 4).astype(np.float32)
