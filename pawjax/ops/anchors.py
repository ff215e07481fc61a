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
      height, width: map size in cells.
      stride: cell spacing in pixels.
      sizes: in pixels.
      ratios: height / width.
      center: pixel at the centre of cell (0, 0), on both axes: the backbone's `cell_center`.

    Returns:
      float32 [height * width * A, 4] xyxy, cells row by row, the A = len(sizes) * len(ratios) anchors of a
      cell together.
    """
    x, y = jnp.meshgrid(jnp.arange(width) * stride + center, jnp.arange(height) * stride + center, indexing="xy")
    cells = jnp.stack([x, y, x, y], axis=-1).astype(jnp.float32)
    return (cells[:, :, None] + _around_zero(sizes, ratios)).reshape(-1, 4)


def inside_image(anchors: jax.Array, height: int, width: int) -> jax.Array:
    """bool [...]: whether anchors [..., 4] lie within the image; py-faster-rcnn trains only on these."""
    return (anchors[..., :2] >= 0).all(axis=-1) & (anchors[..., 2:] < jnp.array([width, height])).all(axis=-1)


def _around_zero(sizes, ratios):
    """Anchors of a cell centred on (0, 0): float32 [A, 4], all ratios of the first size first."""
    sizes, ratios = np.asarray(sizes, np.float64)[:, None], np.asarray(ratios, np.float64)
    width = np.sqrt(sizes**2 / ratios)
    height = width * ratios
    return (np.stack([-width, -height, width, height], axis=-1) / 2).reshape(-1, 4).astype(np.float32)
