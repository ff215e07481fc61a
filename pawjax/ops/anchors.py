"""Anchors: the boxes a region proposal network starts from (Faster R-CNN, Ren et al. 2015), xyxy in pixels.

Three lineages make them in three ways, which differ in rounding, in their order within a cell and in where the first
cell lies. A ratio is height / width everywhere; a size is the square root of the area, in pixels.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def py_faster_rcnn_cell(sizes: Sequence[float], ratios: Sequence[float], stride: int) -> np.ndarray:
    """Anchors of py-faster-rcnn around (0, 0): ratio outer, size inner.

    A square seed of `stride` pixels gets each ratio, its sides rounded, and then grows by size / stride, so 128 at
    ratio 0.5 and stride 16 is 184 x 96. Its boxes are inclusive: x2 - x1 is one less than the width.

    Returns:
      float32 [len(ratios) * len(sizes), 4].
    """
    ratios, growth = np.asarray(ratios, np.float64)[:, None], np.asarray(sizes, np.float64) / stride
    width = np.round(np.sqrt(stride**2 / ratios))
    height = np.round(width * ratios)
    return _around_zero(width * growth - 1, height * growth - 1)


def torchvision_cell(sizes: Sequence[float], ratios: Sequence[float], stride: int) -> np.ndarray:
    """Anchors of torchvision around (0, 0): ratio outer, size inner, half sides rounded to whole pixels (ties to even).

    Returns:
      float32 [len(ratios) * len(sizes), 4]; they do not depend on the stride.
    """
    del stride
    root, sizes = np.sqrt(np.asarray(ratios, np.float32))[:, None], np.asarray(sizes, np.float32)
    return np.round(_around_zero(sizes * (1 / root), sizes * root))


def detectron2_cell(sizes: Sequence[float], ratios: Sequence[float], stride: int) -> np.ndarray:
    """Anchors of detectron2 around (0, 0): size outer, ratio inner, not rounded.

    Returns:
      float32 [len(sizes) * len(ratios), 4]; they do not depend on the stride.
    """
    del stride
    sizes, ratios = np.asarray(sizes, np.float64)[:, None], np.asarray(ratios, np.float64)
    width = np.sqrt(sizes**2 / ratios)
    return _around_zero(width, width * ratios)


CELLS = {"py_faster_rcnn": py_faster_rcnn_cell, "torchvision": torchvision_cell, "detectron2": detectron2_cell}
BACKBONES = {"vgg16": 0.5, "resnet": 0.0}  # (stride - 1) times this is the centre of the first cell


def first_center(backbone: str, stride: int) -> float:
    """The pixel, on both axes, that cell (0, 0) of a backbone's map is centred on; cell i is at that + i * stride.

    The 2x2 pools of 'vgg16' put it at (stride - 1) / 2, as py-faster-rcnn has it; the symmetric padding of 'resnet' at
    0, as torchvision and detectron2 have it. Pixel centres lie at whole numbers. ValueError for another backbone.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone is {backbone!r}; known are {', '.join(BACKBONES)}")
    return BACKBONES[backbone] * (stride - 1)


def grid_anchors(
    height: int,
    width: int,
    stride: int,
    *,
    sizes: Sequence[float],
    ratios: Sequence[float],
    convention: str,
    center: float | None = None,
) -> jax.Array:
    """The anchors of a whole feature map.

    Args:
      height, width: of the map, in cells.
      stride: pixels from cell to cell.
      sizes: in pixels.
      ratios: height / width.
      convention: 'py_faster_rcnn', 'torchvision' or 'detectron2'; ValueError for another.
      center: pixel that cell (0, 0) is centred on, as `first_center` gives it; by default the convention's own:
        (stride - 1) / 2 for py-faster-rcnn, 0 for the others.

    Returns:
      float32 [height * width * A, 4] xyxy, cells row by row, the A = len(sizes) * len(ratios) of a cell together.
    """
    if convention not in CELLS:
        raise ValueError(f"convention is {convention!r}; known are {', '.join(CELLS)}")
    if center is None:
        center = first_center("vgg16" if convention == "py_faster_rcnn" else "resnet", stride)
    x, y = jnp.meshgrid(jnp.arange(width) * stride + center, jnp.arange(height) * stride + center, indexing="xy")
    cells = jnp.stack([x, y, x, y], axis=-1).astype(jnp.float32)
    return (cells[:, :, None] + CELLS[convention](sizes, ratios, stride)).reshape(-1, 4)


def inside_image(anchors: jax.Array, height: int, width: int) -> jax.Array:
    """bool [...]: anchors [..., 4] whose corners are pixels of the image; py-faster-rcnn trains on no others."""
    return (anchors[..., :2] >= 0).all(axis=-1) & (anchors[..., 2:] < jnp.array([width, height])).all(axis=-1)


def _around_zero(width, height):
    boxes = np.stack([-width, -height, width, height], axis=-1) / 2
    return boxes.reshape(-1, 4).astype(np.float32)
