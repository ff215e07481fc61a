"""Selects from the scores and boxes of many regions: one box per class, or all above a threshold.

Functions take one image (use `jax.vmap`). Boxes are xyxy float32 in pixels of the image.
"""

import jax
import jax.numpy as jnp

from pawjax.ops.boxes import box_iou, clip_boxes, decode_boxes, large_enough
from pawjax.ops.nms import nms

SMALLEST = 0.01  # px; minimum side of a detection, as in torchvision


def class_boxes(
    logits: jax.Array, deltas: jax.Array, regions: jax.Array, weights: tuple[float, float, float, float]
) -> tuple[jax.Array, jax.Array]:
    """The head's output for every region and class.

    Args:
      logits: [R, K + 1], background first.
      deltas: [R, K + 1, 4], or [R, 1, 4] if the classes share a box.
      regions: [R, 4].
      weights: factors of the deltas.

    Returns:
      probabilities [R, K] and boxes [R, K, 4], unclipped, without the background's.
    """
    n_classes = logits.shape[-1] - 1
    deltas = deltas[:, -n_classes:] if deltas.shape[1] > 1 else jnp.repeat(deltas, n_classes, axis=1)
    anchors = jnp.broadcast_to(regions[:, None], deltas.shape)
    return jax.nn.softmax(logits)[:, 1:], decode_boxes(deltas, anchors, weights)


def best_box(
    probabilities: jax.Array, boxes: jax.Array, valid: jax.Array, average_iou: float
) -> tuple[jax.Array, jax.Array]:
    """The box of a class, whatever its probability: the probability-weighted mean of those close to the likeliest.

    Args:
      probabilities: [R].
      boxes: [R, 4].
      valid: bool [R]; False marks padding. If none is valid, the first one counts.
      average_iou: minimum IoU with the likeliest box for a box to enter the mean.

    Returns:
      box [4] and the probability of the likeliest one.
    """
    best = jnp.argmax(jnp.where(valid, probabilities, -1))
    close = (box_iou(boxes[best][None], boxes)[0] >= average_iou) & valid
    close |= jnp.arange(len(boxes)) == best
    weights = jnp.where(close, jnp.maximum(probabilities, 1e-12), 0)
    return (weights[:, None] * boxes).sum(0) / weights.sum(), probabilities[best]


def detections(
    probabilities: jax.Array,
    boxes: jax.Array,
    valid: jax.Array,
    size: tuple[int, int],
    *,
    max_detections: int,
    score_threshold: float,
    nms_threshold: float,
) -> dict[str, jax.Array]:
    """The likeliest boxes of all classes, clipped to the image; a box suppresses only others of its class.

    Args:
      probabilities: [R, K].
      boxes: [R, K, 4].
      valid: bool [R].
      size: (height, width) of the image, px.
      max_detections: N.
      score_threshold: probability that a detection must exceed.
      nms_threshold: IoU above which one box suppresses another.

    Returns:
      'boxes' [N, 4], 'scores' [N], 'classes' int32 [N], counted from 0, and 'valid' bool [N], by decreasing score.
    """
    n_regions, n_classes = probabilities.shape
    scores = probabilities.reshape(-1)
    boxes = clip_boxes(boxes, *size).reshape(-1, 4)
    classes = jnp.tile(jnp.arange(n_classes), n_regions)
    # Clipping reduces boxes outside the image to lines.
    usable = jnp.repeat(valid, n_classes) & (scores > score_threshold) & large_enough(boxes, SMALLEST)
    options = dict(iou_threshold=nms_threshold, k=max_detections, valid=usable, classes=classes)
    index, selected = nms(boxes, scores, **options)
    return {"boxes": boxes[index], "scores": scores[index], "classes": classes[index], "valid": selected}
