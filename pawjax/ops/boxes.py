"""Boxes: formats, areas, overlaps, and the deltas by which a network moves one box onto another.

A box is xyxy float32: left, top, right, bottom, in pixels of the image. Its width is x2 - x1, as in torchvision and
detectron2.
"""

import math

import jax
import jax.numpy as jnp

MAX_LOG_RATIO = math.log(1000 / 16)  # a decoded side is at most 62.5 times its anchor's
SMALLEST_SIDE = 1e-6  # px; keeps the logarithms of padded boxes finite


def box_xyxy_to_xywh(boxes: jax.Array) -> jax.Array:
    """[..., 4] (left, top, right, bottom) to (left, top, width, height)."""
    return jnp.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def box_cxcywh_to_xyxy(boxes: jax.Array) -> jax.Array:
    """[..., 4] (centre x, centre y, width, height) to (left, top, right, bottom)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def box_area(boxes: jax.Array) -> jax.Array:
    """Areas [...] in square pixels of boxes [..., 4]; zero where a side is negative."""
    sides = jnp.maximum(_sides(boxes), 0)
    return sides[..., 0] * sides[..., 1]


def box_iou(first: jax.Array, second: jax.Array) -> jax.Array:
    """Intersection over union of every pair of boxes; zero where both are empty, as in a batch's padding.

    Args:
      first: [N, 4] xyxy.
      second: [M, 4] xyxy.

    Returns:
      float32 [N, M], 0..1.
    """
    # One [N, M] array per coordinate: XLA fuses them into one loop, without [N, M, 2] arrays.
    (left, top, right, bottom) = (
        jnp.maximum(first[:, None, 0], second[:, 0]),
        jnp.maximum(first[:, None, 1], second[:, 1]),
        jnp.minimum(first[:, None, 2], second[:, 2]),
        jnp.minimum(first[:, None, 3], second[:, 3]),
    )
    intersection = jnp.maximum(right - left, 0) * jnp.maximum(bottom - top, 0)
    union = box_area(first)[:, None] + box_area(second) - intersection
    return jnp.where(intersection > 0, intersection / jnp.where(union > 0, union, 1), 0)


def clip_boxes(boxes: jax.Array, height: int, width: int) -> jax.Array:
    """Boxes [..., 4] clipped to an image: to 0..width and 0..height."""
    return jnp.clip(boxes, 0, jnp.array([width, height, width, height], jnp.float32))


def large_enough(boxes: jax.Array, min_side: float) -> jax.Array:
    """bool [...]: both sides of boxes [..., 4] are at least `min_side` pixels."""
    return (_sides(boxes) >= min_side).all(axis=-1)


def encode_boxes(
    boxes: jax.Array,
    anchors: jax.Array,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> jax.Array:
    """Deltas from each anchor to its box: the targets of box regression (R-CNN, Girshick et al. 2014).

    dx = wx (cx - ax) / aw, dy likewise, dw = ww log(w / aw), dh likewise, with centres c and a, sides w and aw.
    Sides are clamped to at least `SMALLEST_SIDE`, so that padding gives finite deltas and gradients.

    Args:
      boxes: [..., 4] xyxy.
      anchors: [..., 4] xyxy, one for each box.
      weights: wx, wy, ww, wh; 10, 10, 5, 5 in the heads of all three lineages.

    Returns:
      deltas [..., 4]: dx, dy, dw, dh, dimensionless.
    """
    (centre, sides), (anchor_centre, anchor_sides) = _centre_and_sides(boxes), _centre_and_sides(anchors)
    sides, anchor_sides = jnp.maximum(sides, SMALLEST_SIDE), jnp.maximum(anchor_sides, SMALLEST_SIDE)
    shift = (centre - anchor_centre) / anchor_sides
    return jnp.concatenate([shift, jnp.log(sides / anchor_sides)], axis=-1) * jnp.array(weights)


def decode_boxes(
    deltas: jax.Array,
    anchors: jax.Array,
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    max_log_ratio: float = MAX_LOG_RATIO,
) -> jax.Array:
    """Anchors moved by deltas: the inverse of `encode_boxes`.

    Args:
      deltas: [..., 4], as from `encode_boxes`.
      anchors: [..., 4] xyxy, one for each.
      weights: as in `encode_boxes`.
      max_log_ratio: upper bound of dw and dh, so that exp cannot overflow; py-faster-rcnn has none (math.inf).

    Returns:
      [..., 4] xyxy, not clipped to any image.
    """
    deltas = deltas / jnp.array(weights)
    centre, sides = _centre_and_sides(anchors)
    centre = centre + deltas[..., :2] * sides
    sides = sides * jnp.exp(jnp.minimum(deltas[..., 2:], max_log_ratio))
    return jnp.concatenate([centre - sides / 2, centre + sides / 2], axis=-1)


def _centre_and_sides(boxes):
    sides = _sides(boxes)
    return boxes[..., :2] + sides / 2, sides


def _sides(boxes):
    return boxes[..., 2:] - boxes[..., :2]
