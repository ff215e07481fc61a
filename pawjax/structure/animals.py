"""Several animals in a frame: which peaks of the score maps belong together.

The A animals take the peaks that cost the least together, none of them twice. A peak costs the negative logarithm of
its likelihood, a bodypart that an animal has not costs a price, and each connection of a tree costs what says that its
two peaks belong together. An animal seen from above turns, so that the offset between two bodyparts says little, but
their distance stays: its cost is that of a normal distribution. A connection also costs a price if an animal has only
one of its bodyparts, or the parts of one animal would be cheaper as those of two. If all animals lack a bodypart, those
on its two sides are not told apart.

No peak is taken twice within a bodypart, so that the problem is a tree of K nodes with (M + 1)^A states each: what the
A animals take of M peaks and none. Min-sum is exact on it. A connection costs the sum over the animals of what it costs
each, so that a message is A min-plus products with matrices of (M + 1) x (M + 1), one along the axis of each animal.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure.candidates import connection_costs
from pawjax.structure.pairwise import Pairwise
from pawjax.structure.peaks import find_peaks
from pawjax.structure.tree import Tree

MOST = 4  # animals: time and memory grow as (M + 1)^A
SPARE = 4  # peaks of each map beyond one for each animal
RADIUS = 16.0  # px of the network's input: peaks of one bodypart lie farther apart
LEAST = 1e-2  # likelihood; an animal has no bodypart rather than one less likely, if there is no connection
MISSING, PARTED = -math.log(LEAST), -math.log(LEAST) / 2  # prices of a bodypart and of a connection's other end


def animal_points(
    maps: ScoreMaps, tree: Tree, animals: int, decoder: str = "locref", pairwise: Pairwise | None = None
) -> dict[str, jax.Array]:
    """The points of A animals in B images.

    Args:
      maps: of B images and K bodyparts.
      tree: in pixels of the images, with distances.
      animals: A, from 1 to MOST. They have no order that means anything.
      decoder: see `pawjax.ops.decoding.decode`.
      pairwise: with it, and the maps' `pair_offsets`, what the network predicts in the image takes the place of the
        tree's distances.

    Returns:
      'keypoints' [B, A, K, 2], (x, y) px, NaN for a bodypart that an animal has not; 'likelihood' [B, A, K], of the
      peak's cell, then 0.
    """
    peaks = find_peaks(maps, animals + SPARE, RADIUS, decoder)
    if pairwise is None:
        between = distance_costs(tree, peaks.places)
    else:
        between = connection_costs(maps, tree, pairwise, peaks.cells)
    chosen = assign(peaks.score, between, tree, animals)
    places = jnp.pad(peaks.places, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=jnp.nan)
    likelihood = jnp.pad(jnp.exp(peaks.score), ((0, 0), (0, 0), (0, 1)))
    of_part = jnp.swapaxes(chosen, 1, 2)  # [B, K, A]
    return {
        "keypoints": jnp.swapaxes(jnp.take_along_axis(places, of_part[..., None], axis=2), 1, 2),
        "likelihood": jnp.swapaxes(jnp.take_along_axis(likelihood, of_part, axis=2), 1, 2),
    }


def distance_costs(tree: Tree, places: jax.Array) -> jax.Array:
    """What each connection costs by its length: (distance - mean)^2 / (2 variance).

    Args:
      tree: E connections, with distances in pixels of the places.
      places: [B, K, M, 2].

    Returns:
      [E, B, M, M], peaks of the parent, then of the child.
    """
    between = places[:, tree.children, None] - places[:, tree.parents, :, None]  # [B, E, M, M, 2]
    mean, variance = (
        jnp.asarray(values, jnp.float32)[:, None, None] for values in (tree.distance, tree.distance_variance)
    )
    costs = (jnp.linalg.norm(between, axis=-1) - mean) ** 2 / (2 * variance)
    return jnp.swapaxes(costs, 0, 1)


def assign(
    score: jax.Array,
    between: jax.Array,
    tree: Tree,
    animals: int,
    missing: float = MISSING,
    parted: float = PARTED,
) -> jax.Array:
    """The peaks that A animals take, the cheapest choice of all.

    Args:
      score: [B, K, M], log-likelihoods; -inf where there is no peak.
      between: [E, B, M, M], cost of each connection, peaks of the parent, then of the child, at least 0.
      tree: only its parents and children matter.
      animals: A.
      missing: price of each bodypart that an animal has not.
      parted: price of each connection of which an animal has only one bodypart.

    Returns:
      int32 [B, A, K], the peak's number, or M for none.
    """
    n_keypoints, m = score.shape[1:]
    taken = jnp.pad(-score, ((0, 0), (0, 0), (0, 1)), constant_values=missing)  # [B, K, M + 1]
    costs = _summed(jnp.repeat(jnp.swapaxes(taken, 0, 1)[:, :, None], animals, axis=2))
    costs = jnp.where(_taken_twice(m, animals), jnp.inf, costs)  # [K, B, M + 1, ..., M + 1]
    between = jnp.pad(between, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=parted).at[..., m, m].set(0)
    edges = *map(jnp.asarray, (tree.parents, tree.children)), between

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pairs = edge
        return costs.at[parent].add(_message(costs[child], pairs)), None

    def to_child(chosen: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pairs = edge
        rows = jnp.take_along_axis(pairs, chosen[parent][..., None], axis=1)  # [B, A, M + 1]
        return chosen.at[child].set(_cheapest(costs[child] + _summed(rows))), None

    costs, _ = lax.scan(to_parent, costs, edges, reverse=True)
    chosen, _ = lax.scan(to_child, jnp.stack([_cheapest(costs[k]) for k in range(n_keypoints)]), edges)  # right at root
    return jnp.moveaxis(chosen, 0, -1)


def _summed(costs: jax.Array) -> jax.Array:
    """What each of A animals pays for its choice [..., A, S] -> what all pay for all choices [..., S, ..., S]."""
    *front, animals, states = costs.shape
    axes = [[states if axis == animal else 1 for axis in range(animals)] for animal in range(animals)]
    return sum(costs[..., animal, :].reshape(*front, *axes[animal]) for animal in range(animals))


def _taken_twice(m: int, animals: int) -> jax.Array:
    """Whether two animals take the same of M peaks: bool [M + 1, ..., M + 1], an axis for each animal."""
    choices = jnp.indices((m + 1,) * animals)
    same = [(choices[a] == choices[b]) & (choices[a] < m) for a in range(animals) for b in range(a)]
    return jnp.stack([jnp.zeros(choices.shape[1:], bool), *same]).any(0)


def _message(costs: jax.Array, pairs: jax.Array) -> jax.Array:
    """For each choice at the parent, the least over those at the child of its costs [B, S, ..., S] and `pairs`."""
    shape = costs.shape
    for _ in shape[1:]:  # the first animal's axis becomes the parent's and the last
        flat = costs.reshape(*shape[:2], -1)
        costs = (pairs[..., None] + flat[:, None]).min(2).mT
    return costs.reshape(shape)


def _cheapest(costs: jax.Array) -> jax.Array:
    """The choices [B, A] at the least of costs [B, S, ..., S]."""
    best = jnp.argmin(costs.reshape(len(costs), -1), axis=-1)
    return jnp.stack(jnp.unravel_index(best, costs.shape[1:]), axis=-1).astype(jnp.int32)
