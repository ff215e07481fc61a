"""Draws a fixed number of positive and negative candidates: the minibatch of Faster R-CNN's losses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.ops.matching import NEGATIVE, POSITIVE


class Sample(NamedTuple):
    """`index` int32 [n] into the candidates, `label` int32 [n] (1 or 0), `weight` float32 [n]: 1, or 0 for padding.

    Positives come first, then negatives, then padding (index 0, label 0).
    """

    index: jax.Array
    label: jax.Array
    weight: jax.Array


def sample(key: jax.Array | None, labels: jax.Array, size: int, positive_fraction: float) -> Sample:
    """Draws `size` distinct candidates uniformly, at most int(size * positive_fraction) of them positive.

    Negatives fill the remaining slots; if there are too few, the rest is padding (Ren et al. 2015, section 3.1.3).

    Args:
      key: PRNG key, one per image; None takes the first candidates instead of random ones.
      labels: [A], as in `pawjax.ops.matching`: 1 positive, 0 negative; others are never drawn.
      size: number of draws, 256 anchors or 128 to 512 proposals.
      positive_fraction: 0.5 for anchors, 0.25 for proposals.

    Returns:
      Sample.
    """
    count = labels.shape[0]
    # One number per candidate serves both draws, as none is of both kinds. On ties top_k takes the first.
    rank = jnp.ones(count) if key is None else jax.random.uniform(key, (count,))
    positive, negative = labels == POSITIVE, labels == NEGATIVE
    n_positive = jnp.minimum(positive.sum(), int(size * positive_fraction))
    n_negative = jnp.minimum(negative.sum(), size - n_positive)
    slot = jnp.arange(size)
    is_positive, is_drawn = slot < n_positive, slot < n_positive + n_negative
    best_positives, best_negatives = (
        jax.lax.top_k(jnp.where(of_kind, rank, -1), min(size, count))[1] for of_kind in (positive, negative)
    )
    index = jnp.where(
        is_positive,
        jnp.take(best_positives, slot, mode="clip"),
        jnp.take(best_negatives, slot - n_positive, mode="clip"),
    )
    return Sample(jnp.where(is_drawn, index, 0), is_positive.astype(jnp.int32), is_drawn.astype(jnp.float32))
