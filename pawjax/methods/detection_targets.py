"""What Faster R-CNN's two stages learn and look at: labelled boxes, proposals, and samples of anchors and regions.

Functions are of one image (use `jax.vmap`), and their results carry no gradient. Boxes are xyxy float32 in pixels of
the network's input, pixel centres at whole numbers; none is ever clipped, for that would move the centre of a box near
the border, which is the keypoint.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.ops.anchors import grid_anchors, inside_image
from pawjax.ops.boxes import box_cxcywh_to_xyxy, box_iou, clip_boxes, decode_boxes, encode_boxes, large_enough
from pawjax.ops.matching import match
from pawjax.ops.nms import nms
from pawjax.ops.sampling import sample


@dataclasses.dataclass(frozen=True)
class LabelBox:
    """The box that stands for a keypoint: `size` (width, height), its centre at the keypoint + `shift` (x, y), px."""

    size: tuple[float, float] = (100.0, 100.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def around(self, keypoints: jax.Array) -> jax.Array:
        """Keypoints [..., 2], (x, y), to boxes [..., 4]."""
        sides = jnp.broadcast_to(jnp.array(self.size, jnp.float32), keypoints.shape)
        return box_cxcywh_to_xyxy(jnp.concatenate([keypoints + jnp.array(self.shift), sides], axis=-1))

    def keypoint_of(self, boxes: jax.Array) -> jax.Array:
        """Boxes [..., 4] to the keypoints [..., 2] that they stand for, whatever their size."""
        return (boxes[..., :2] + boxes[..., 2:]) / 2 - jnp.array(self.shift)


@dataclasses.dataclass(frozen=True)
class Anchors:
    """The boxes that proposals start from, and how they learn.

    Attributes:
      sizes, ratios: of each cell, see `pawjax.ops.anchors`; px and height / width.
      inside_only: train on anchors within the image alone (py-faster-rcnn).
      low, high: IoU with a labelled box under which an anchor is background, and from which on it is an object.
      n_sampled: anchors of an image in the loss, a share of at most `positive` of them objects.
    """

    sizes: tuple[float, ...] = (128.0, 256.0, 512.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    inside_only: bool = False
    low: float = 0.3
    high: float = 0.7
    n_sampled: int = 256
    positive: float = 0.5

    def grid(self, image_size: tuple[int, int], stride: int, center: float) -> jax.Array:
        """[A, 4]: those of an image (height, width), whose cells are `stride` apart, the first at pixel `center`."""
        height, width = (-(-size // stride) for size in image_size)
        options = dict(sizes=self.sizes, ratios=self.ratios, center=center)
        return grid_anchors(height, width, stride, **options)


@dataclasses.dataclass(frozen=True)
class Proposals:
    """Which anchors, moved by their deltas, become regions.

    Attributes:
      before, after: how many go into non-maximum suppression and come out, in (training, prediction).
      iou: above which one suppresses another.
      min_side: what of a proposal is within the image has at least this width and height, px.
    """

    before: tuple[int, int] = (2000, 1000)
    after: tuple[int, int] = (1000, 300)
    iou: float = 0.7
    min_side: float = 1.0


@dataclasses.dataclass(frozen=True)
class Regions:
    """How the head learns: IoU from which on a region is an object, regions of an image, and their share of objects.

    `weights` multiply the head's deltas dx, dy, dw, dh.
    """

    iou: float = 0.5
    n_sampled: int = 128
    positive: float = 0.25
    weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)


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


def sample_anchors(key: jax.Array, anchors: jax.Array, boxes: jax.Array, valid: jax.Array, rule: Anchors, size):
    """What the proposal network learns from an image.

    Args:
      key: PRNG key of the image.
      anchors: [A, 4].
      boxes: [G, 4], labelled ones.
      valid: bool [G].
      rule: of matching and sampling.
      size: (height, width) of the image, px.

    Returns:
      AnchorSample.
    """
    usable = inside_image(anchors, *size) if rule.inside_only else None
    options = dict(high=rule.high, low=rule.low, allow_low_quality=True, usable=usable)
    matches = match(box_iou(boxes, anchors), valid, **options)
    index, label, weight = sample(key, matches.label, rule.n_sampled, rule.positive)
    return AnchorSample(index, label, weight, encode_boxes(boxes[matches.index[index]], anchors[index]))


def sample_regions(
    key: jax.Array, proposals: jax.Array, usable: jax.Array, boxes: jax.Array, valid: jax.Array, rule: Regions
) -> RegionSample:
    """What the head learns from an image: of its proposals and labelled boxes, a sample. Box g is of class g + 1.

    Args:
      key: PRNG key of the image.
      proposals: [P, 4].
      usable: bool [P]; False marks padding.
      boxes: [G, 4], labelled ones.
      valid: bool [G].
      rule: of matching and sampling.
    """
    regions, usable = jnp.concatenate([proposals, boxes]), jnp.concatenate([usable, valid])
    matches = match(box_iou(boxes, regions), valid, high=rule.iou, low=rule.iou, usable=usable)
    index, positive, weight = sample(key, matches.label, rule.n_sampled, rule.positive)
    label = jnp.where(positive == 1, matches.index[index] + 1, 0)
    deltas = encode_boxes(boxes[matches.index[index]], regions[index], rule.weights)
    return RegionSample(regions[index], label, weight, deltas)


def propose(
    logits: jax.Array, deltas: jax.Array, anchors: jax.Array, size: tuple[int, int], rule: Proposals, train: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The most promising boxes of an image, by falling score.

    Args:
      logits: [A]; deltas: [A, 4]; anchors: [A, 4].
      size: (height, width) of the image, px.
      rule: how many, and what suppresses what.
      train: whether the numbers are those of training.

    Returns:
      boxes [P, 4], bool [P] (False where there was no further one), and their logits [P].
    """
    before, after = rule.before[not train], rule.after[not train]
    logits, best = jax.lax.top_k(jax.lax.stop_gradient(logits), min(before, len(logits)))
    boxes = decode_boxes(jax.lax.stop_gradient(deltas)[best], anchors[best])
    seen = large_enough(clip_boxes(boxes, *size), rule.min_side)
    kept, found = nms(boxes, logits, iou_threshold=rule.iou, k=after, valid=seen)
    return boxes[kept], found, logits[kept]


def anchor_fit(box: LabelBox, anchors: Anchors, stride: int) -> float:
    """The IoU of a labelled box with the anchor that fits it best, on average over its place within a cell."""
    options = dict(sizes=anchors.sizes, ratios=anchors.ratios, center=0.0)
    around = grid_anchors(3, 3, stride, **options)
    offsets = stride / 2 + (np.arange(stride) + 0.5)
    places = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2).astype(np.float32)
    centred = dataclasses.replace(box, shift=(0.0, 0.0))
    return float(box_iou(centred.around(places), around).max(axis=1).mean())
