"""Several animals in a frame: which candidates of the bodyparts belong together.

The A animals take the candidates that cost the least together, none of them twice. What an animal takes costs the
logarithm of its inverse likelihood, or a price for a bodypart that it does not take, and along each connection of a
tree the cost of a pair. Uniqueness holds within a bodypart only, so that the problem is a tree whose nodes have (M +
1)^A states, one for each choice of the A animals among M candidates and none. Min-sum on it is exact, and because the
cost of a connection is a sum over the animals, a message is A min-plus products of [M + 1, M + 1] matrices.
"""

import jax
import jax.numpy as jnp
from jax import lax


def assign(
    score: jax.Array, pairs: jax.Array, parents: jax.Array, children: jax.Array, animals: int, price: float
) -> jax.Array:
    """The candidates that each animal takes.

    Args:
      score: [B, K, M], log-likelihoods; -inf where there is no candidate.
      pairs: [K - 1, B, M, M], cost of each candidate of a connection's parent with each of its child, at least 0. One
        with a bodypart that is not taken costs nothing.
      parents, children: int [K - 1], the tree's connections, each after the one that leads to its parent.
      animals: A, small: time and memory grow as (M + 1)^A.
      price: of a bodypart that an animal does not take.

    Returns:
      int32 [B, A, K], a candidate's number, or M for none. Exchanging animals costs the same; the order is arbitrary.
    """
    batch, n_keypoints, m = score.shape
    shape = (m + 1,) * animals
    single = jnp.pad(-score, ((0, 0), (0, 0), (0, 1)), constant_values=price)  # [B, K, M + 1]
    pairs = jnp.pad(pairs, ((0, 0), (0, 0), (0, 1), (0, 1)))
    costs = _joint(jnp.broadcast_to(jnp.moveaxis(single, 1, 0)[:, :, None], (n_keypoints, batch, animals, m + 1)))
    costs += jnp.where(_taken_twice(m, animals), jnp.inf, 0)
    root = parents[0] if n_keypoints > 1 else 0

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pair = edge
        return costs.at[parent].add(_message(costs[child], pair)), None

    def to_child(chosen: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pair = edge
        of_parent = jnp.take_along_axis(pair, chosen[parent][..., None], axis=1)  # [B, A, M + 1]
        return chosen.at[child].set(_least(costs[child] + _joint(of_parent))), None

    edges = jnp.asarray(parents), jnp.asarray(children), pairs
    costs, _ = lax.scan(to_parent, costs, edges, reverse=True)
    chosen = jnp.zeros((n_keypoints, batch, animals), jnp.int32).at[root].set(_least(costs[root]))
    chosen, _ = lax.scan(to_child, chosen, edges)
    return jnp.moveaxis(chosen, 0, -1)


def _joint(costs: jax.Array) -> jax.Array:
    """The sum over the animals of what the choice of each costs: [..., A, S] -> [..., S, S, ...] with A axes."""
    *_, animals, n = costs.shape
    total = jnp.zeros(())
    for animal in range(animals):
        total += costs[..., animal, :].reshape(*costs.shape[:-2], *(n if axis == animal else 1 for axis in range(animals)))
    return total


def _taken_twice(m: int, animals: int) -> jax.Array:
    """Whether two of the animals take the same candidate: bool [M + 1, ...] with A axes."""
    choices = jnp.stack(jnp.indices((m + 1,) * animals))
    same = [(choices[a] == choices[b]) & (choices[a] < m) for a in range(animals) for b in range(a)]
    return sum(same, jnp.zeros((m + 1,) * animals, bool))


def _message(costs: jax.Array, pair: jax.Array) -> jax.Array:
    """min over the child's choices of costs [B, S, ...] + the pair's costs [B, S, S], for each of the parent's."""
    shape = costs.shape
    for _ in shape[1:]:  # each animal's axis comes first, and goes to the end
        flat = costs.reshape(shape[0], shape[1], -1)
        costs = (pair[..., None] + flat[:, None]).min(2).mT
    return costs.reshape(shape)


def _least(costs: jax.Array) -> jax.Array:
    """The cheapest choice of the animals in costs [B, S, ...]: int32 [B, A]."""
    best = jnp.argmin(costs.reshape(len(costs), -1), axis=-1)
    return jnp.stack(jnp.unravel_index(best, costs.shape[1:]), -1).astype(jnp.int32)
