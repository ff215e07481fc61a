"""Generalised distance transforms of maps: what a part's map says about a part beside it.

The offset between two parts costs a parabola in x plus one in y, so that a transform is one pass over the columns and
one over the rows: a min-plus product with the n x n costs of all offsets, or, for sums of probabilities, a product with
their exponentials. These O(n^3) operations for an n x n map are exact for offsets that are no whole cells and run in
parallel, while the O(n^2) lower envelope of Felzenszwalb & Huttenlocher (Theory of Computing 8, 2012) goes from cell to
cell.
"""

import jax
import jax.numpy as jnp
from jax import lax

LEAST = 1e-30  # smallest sum, relative to the largest term in its row: float32 holds little less


def distance_transform(costs: jax.Array, offset: jax.Array, weight: jax.Array) -> jax.Array:
    """D(p) = min over cells q of costs(q) + weight_x (q_x - p_x - offset_x)^2 + weight_y (q_y - p_y - offset_y)^2.

    Args:
      costs: [..., h, w].
      offset: [..., 2], (x, y) cells, from p to the q that costs nothing more.
      weight: [..., 2], (x, y), per squared cell.

    Returns:
      [..., h, w].
    """
    across, down = _all_penalties(costs.shape, offset, weight)
    columns = _min_plus(down, costs)
    return _min_plus(across, columns.mT).mT


def argument_at(costs: jax.Array, offset: jax.Array, weight: jax.Array, place: jax.Array) -> jax.Array:
    """The q of `distance_transform` at one cell p of each map: its part of the transform is computed again.

    Args:
      costs, offset, weight: as there.
      place: int [...], flat index of p, row by row.

    Returns:
      int32 [...], flat index of q.
    """
    height, width = costs.shape[-2:]
    row = _penalty((place // width)[..., None], height, offset[..., 1], weight[..., 1]).mT  # [..., h, 1]
    column = _penalty((place % width)[..., None], width, offset[..., 0], weight[..., 0])  # [..., 1, w]
    return jnp.argmin((costs + row + column).reshape(*place.shape, height * width), axis=-1)


def soft_distance_transform(costs: jax.Array, offset: jax.Array, weight: jax.Array) -> jax.Array:
    """-log of the sum over q of exp(-(costs(q) + the parabolas of `distance_transform`)), for all cells p: [..., h, w].

    Sums below LEAST times the largest term in their row count as that.
    """
    across, down = (jnp.exp(-penalty) for penalty in _all_penalties(costs.shape, offset, weight))
    columns = _log_product(down, costs)
    return _log_product(across, columns.mT).mT


def _all_penalties(shape: tuple[int, ...], offset: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The parabolas between all columns [..., w, w] and between all rows [..., h, h]."""
    height, width = shape[-2:]
    across = _penalty(jnp.arange(width), width, offset[..., 0], weight[..., 0])
    return across, _penalty(jnp.arange(height), height, offset[..., 1], weight[..., 1])


def _penalty(p: jax.Array, length: int, offset: jax.Array, weight: jax.Array) -> jax.Array:
    """The parabola [..., n, length] from each of n places p [..., n] to all places of an axis."""
    apart = jnp.arange(length) - p[..., None] - offset[..., None, None]
    return weight[..., None, None] * apart**2


def _min_plus(penalty: jax.Array, costs: jax.Array) -> jax.Array:
    """min over q of penalty [..., p, q] + costs [..., q, n]: [..., p, n]."""
    return (penalty[..., None] + costs[..., None, :, :]).min(-2)


def _log_product(kernel: jax.Array, costs: jax.Array) -> jax.Array:
    """-log of the sum over q of kernel [..., p, q] exp(-costs [..., q, n]): [..., p, n]."""
    least = costs.min(-2, keepdims=True)
    sums = jnp.matmul(kernel, jnp.exp(least - costs), precision=lax.Precision.HIGHEST)
    return least - jnp.log(jnp.maximum(sums, LEAST))
