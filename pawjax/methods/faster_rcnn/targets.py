"""The training targets of Faster R-CNN's two stages: labelled boxes, proposals, and samples of anchors and regions.

Functions take one image (use `jax.vmap`); their results carry no gradient. Boxes are xyxy float32 in pixels of
the network's input, pixel centres at whole numbers; they are never clipped, which would move the centre of a box
near the border, i.e. the keypoint.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.methods.faster_rcnn.settings import Settings
from pawjax.ops.anchors import grid_anchors, inside_image
from pawjax.ops.boxes import box_cxcywh_to_xyxy, box_iou, clip_boxes, decode_boxes, encode_boxes, large_enough
from pawjax.ops.matching import match
from pawjax.ops.nms import nms
from pawjax.ops.sampling import sample


def boxes_around(keypoints: jax.Array, settings: Settings) -> jax.Array:
    """The labelled boxes [..., 4] of keypoints [..., 2], (x, y)."""
    sides = jnp.broadcast_to(jnp.array(settings.box, jnp.float32), keypoints.shape)
    return box_cxcywh_to_xyxy(jnp.concatenate([keypoints + jnp.array(settings.box_shift, jnp.float32), sides], axis=-1))


def keypoints_of(boxes: jax.Array, settings: Settings) -> jax.Array:
    """The keypoints [..., 2] of boxes [..., 4] of any size."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2 - jnp.array(settings.box_shift, jnp.float32)


def anchor_grid(image_size: tuple[int, int], stride: int, center: float, settings: Settings) -> jax.Array:
    """The anchors [A, 4] of an image (height, width), whose cells are `stride` apart, the first at pixel `center`."""
    height, width = (-(-size // stride) for size in image_size)
    return _grid(height, width, stride, center, settings)


def _grid(height: int, width: int, stride: int, center: float, settings: Settings) -> jax.Array:
    options = dict(sizes=settings.anchor_sizes, ratios=settings.anchor_ratios, center=center)
    return grid_anchors(height, width, stride, **options)


class AnchorSample(NamedTuple):
    """int32 `index` [n] of anchors, `label` [n] (1 or 0), `weight` [n] (0 is padding), `deltas` [n, 4] to learn."""

    index: jax.Array
    label: jax.Array
    weight: jax.Array
    deltas: jax.Array


class RegionSample(NamedTuple):
    """Regions `boxes` [n, 4], int32 `label` [n] (0 is background), `weight` [n] (0 is padding), `deltas` [n, 4]."""

    boxes: jax.Array
    label: jax.Array
    weight: jax.Array
    deltas: jax.Array


def sample_anchors(key: jax.Array, anchors: jax.Array, boxes: jax.Array, valid: jax.Array, settings: Settings, size):
    """Draws an image's sample of anchors for the loss of the RPN.

    Args:
      key: PRNG key of the image.
      anchors: [A, 4].
      boxes: [G, 4], labelled ones.
      valid: bool [G].
      settings: how anchors are matched and sampled.
      size: (height, width) of the image, px.

    Returns:
      AnchorSample.
    """
    usable = inside_image(anchors, *size) if settings.anchors_inside else None
    options = dict(high=settings.rpn_high, low=settings.rpn_low, allow_low_quality=True, usable=usable)
    matches = match(box_iou(boxes, anchors), valid, **options)
    index, label, weight = sample(key, matches.label, settings.rpn_sampled, settings.rpn_positive_fraction)
    return AnchorSample(index, label, weight, encode_boxes(boxes[matches.index[index]], anchors[index]))


def sample_regions(
    key: jax.Array, proposals: jax.Array, usable: jax.Array, boxes: jax.Array, valid: jax.Array, settings: Settings
) -> RegionSample:
    """Draws an image's sample of proposals and labelled boxes for the loss of the head. Box g has class g + 1.

    Args:
      key: PRNG key of the image.
      proposals: [P, 4].
      usable: bool [P]; False marks padding.
      boxes: [G, 4], labelled ones.
      valid: bool [G].
      settings: how regions are matched and sampled.
    """
    regions, usable = jnp.concatenate([proposals, boxes]), jnp.concatenate([usable, valid])
    matches = match(box_iou(boxes, regions), valid, high=settings.head_iou, low=settings.head_iou, usable=usable)
    index, positive, weight = sample(key, matches.label, settings.head_sampled, settings.head_positive_fraction)
    label = jnp.where(positive == 1, matches.index[index] + 1, 0)
    deltas = encode_boxes(boxes[matches.index[index]], regions[index], settings.head_weights)
    return RegionSample(regions[index], label, weight, deltas)


def propose(
    logits: jax.Array,
    deltas: jax.Array,
    anchors: jax.Array,
    size: tuple[int, int],
    n_before: int,
    n_after: int,
    settings: Settings,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The boxes of an image with the highest scores, by decreasing score.

    Args:
      logits: [A]; deltas: [A, 4]; anchors: [A, 4].
      size: (height, width) of the image, px.
      n_before, n_after: number before and, P, after non-maximum suppression.
      settings: IoU and minimum side of proposals.

    Returns:
      boxes [P, 4], bool [P] (False for padding), and their logits [P].
    """
    logits, best = jax.lax.top_k(jax.lax.stop_gradient(logits), min(n_before, len(logits)))
    boxes = decode_boxes(jax.lax.stop_gradient(deltas)[best], anchors[best])
    visible = large_enough(clip_boxes(boxes, *size), settings.proposals_min_side)
    kept, valid = nms(boxes, logits, iou_threshold=settings.proposals_iou, k=n_after, valid=visible)
    return boxes[kept], valid, logits[kept]


def anchor_fit(settings: Settings, stride: int) -> float:
    """The IoU of a labelled box with its best anchor, averaged over the positions within a cell."""
    around = _grid(3, 3, stride, 0.0, settings)
    offsets = stride / 2 + (np.arange(stride) + 0.5)
    positions = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2).astype(np.float32)
    centred = dataclasses.replace(settings, box_shift=(0.0, 0.0))
    return float(box_iou(boxes_around(jnp.asarray(positions), centred), around).max(axis=1).mean())
