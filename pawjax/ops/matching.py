"""Assigns labelled boxes to candidates (anchors or proposals): training targets of Faster R-CNN."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.ops.boxes import box_iou

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


class Matches(NamedTuple):
    """For every candidate: `index` int32 [A] of its box, `label` int32 [A] (1, 0 or -1), their `iou` float32 [A]."""

    index: jax.Array
    label: jax.Array
    iou: jax.Array


def match(
    iou: jax.Array,
    valid: jax.Array,
    *,
    high: float,
    low: float,
    allow_low_quality: bool = False,
    usable: jax.Array | None = None,
) -> Matches:
    """Assigns to every candidate the valid box it overlaps most (the first on ties), and a label by their IoU.

    POSITIVE if at least `high`, NEGATIVE if below `low`, otherwise IGNORED. With `allow_low_quality` each box's best
    candidates are positive too (all on ties; none if the best IoU is zero, where torchvision takes them all); their
    index remains the box that they overlap most. Ren et al. 2015, section 3.1.2.

    Args:
      iou: [G, A], of labelled boxes with candidates.
      valid: bool [G]; False marks padding. With no valid box every candidate is negative.
      high, low: 0.7 and 0.3 for anchors, 0.5 and 0.5 for proposals.
      usable: bool [A]; the others are IGNORED and never a box's best (py-faster-rcnn: anchors within the image).

    Returns:
      Matches; where nothing overlaps, index 0 and IoU 0.
    """
    usable = jnp.ones(iou.shape[1], bool) if usable is None else usable
    iou = jnp.where(valid[:, None] & usable, iou, -1)
    iou = jnp.pad(iou, ((0, 1), (0, 0)), constant_values=-1)  # G may be zero
    best = iou.max(axis=0)
    label = jnp.where(best >= high, POSITIVE, jnp.where(best < low, NEGATIVE, IGNORED))
    if allow_low_quality:
        best_of_box = iou.max(axis=1, keepdims=True)
        closest = ((iou == best_of_box) & (best_of_box > 0)).any(axis=0)
        label = jnp.where(closest, POSITIVE, label)
    label = jnp.where(usable, label, IGNORED)
    index = jnp.argmax(iou, axis=0)
    return Matches(index.astype(jnp.int32), label.astype(jnp.int32), jnp.maximum(best, 0))


def best_iou_per_box(boxes: jax.Array, anchors: jax.Array) -> jax.Array:
    """IoU of each box [N, 4] with its best anchor [A, 4]: float32 [N].

    A box below the low threshold of `match` gives training almost no positive anchors.
    """
    return jax.lax.map(lambda box: box_iou(box[None], anchors).max(), boxes, batch_size=64)
