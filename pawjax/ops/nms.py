"""Non-maximum suppression with static shapes, exactly the greedy algorithm.

Greedy: go through the boxes by descending score and keep each one unless a box kept earlier overlaps it by more than a
threshold. Here the sorted boxes are processed in tiles. First, kept boxes of earlier tiles suppress boxes of the tile;
then `keep <- candidate and no kept box before it overlaps` is repeated within the tile until nothing changes. After i
rounds the first i boxes are final for any threshold, so it ends at the greedy result, usually after a few rounds.
"""

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops.boxes import box_iou

SINGLE_TILE = 2048  # up to this many boxes, one fixed point over all of them is fastest
TILE = 256


def nms(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    iou_threshold: float,
    k: int,
    valid: jax.Array | None = None,
    classes: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The first k boxes that greedy suppression keeps, by descending score; ties by index.

    Stops as soon as it has k. The selection has no gradient. For a batch use `jax.vmap`.

    Args:
      boxes: [N, 4] xyxy, at least one.
      scores: [N].
      iou_threshold: 0..1; a box is dropped if its IoU with a kept one is above it, and kept if equal (in float32).
      valid: bool [N]; False marks padding, which is never kept and suppresses nothing.
      classes: int [N]; boxes of different classes do not suppress each other.

    Returns:
      index int32 [k] into the boxes, and bool [k], False (with index 0) beyond the last kept box.
    """
    n = scores.shape[0]
    tile = n if n <= SINGLE_TILE else min(TILE, n)  # boxes compared at a time: the memory is tile * (tile + k)
    n_tiles = -(-n // tile)
    valid = jnp.ones(n, bool) if valid is None else jnp.asarray(valid)
    classes = jnp.zeros(n, jnp.int32) if classes is None else jnp.asarray(classes)
    boxes, scores = jnp.asarray(boxes), jnp.asarray(scores)
    order = jnp.argsort(scores, descending=True, stable=True)
    padded = jnp.pad(order, (0, n_tiles * tile - n))
    tiles = (padded, boxes[padded], classes[padded], valid[padded] & (jnp.arange(n_tiles * tile) < n))

    def overlap(first, second):
        (boxes, classes), (other_boxes, other_classes) = first, second
        return (box_iou(boxes, other_boxes) > iou_threshold) & (classes[:, None] == other_classes)

    def unfinished(state):
        step, count, _ = state
        return (step < n_tiles) & (count < k)

    def add_tile(state):
        step, count, (kept_index, kept_boxes, kept_classes) = state
        index, *candidates, alive = (lax.dynamic_slice_in_dim(values, step * tile, tile) for values in tiles)
        kept = jnp.arange(k) < count
        alive &= ~(overlap((kept_boxes, kept_classes), candidates) & kept[:, None]).any(axis=0)
        alive = _fixed_point(overlap(candidates, candidates), alive)
        slot = jnp.where(alive, count + jnp.cumsum(alive) - 1, k)  # slots >= k are dropped
        kept = (
            kept_values.at[slot].set(values, mode="drop")
            for kept_values, values in zip((kept_index, kept_boxes, kept_classes), (index, *candidates), strict=True)
        )
        return step + 1, count + alive.sum(), tuple(kept)

    nothing = tuple(jnp.zeros((k, *values.shape[1:]), values.dtype) for values in tiles[:3])
    _, count, (index, *_) = lax.while_loop(unfinished, add_tile, (0, 0, nothing))
    return index.astype(jnp.int32), jnp.arange(k) < count


def _fixed_point(overlap: jax.Array, alive: jax.Array) -> jax.Array:
    """The boxes of alive [T] that no kept box before them overlaps ([T, T] bool, row suppresses column)."""
    before = jnp.triu(overlap, k=1)

    def sweep(state):
        keep, _ = state
        return alive & ~(before & keep[:, None]).any(axis=0), keep

    return lax.while_loop(lambda state: (state[0] != state[1]).any(), sweep, sweep((alive, alive)))[0]
