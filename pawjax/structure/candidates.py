"""Exact inference on a tree whose bodyparts have a few candidate places each, with any costs between them.

Free costs between all cells of two maps of n cells would take O(n^2) per connection; candidates take O(M^2). They are
the highest peaks of a bodypart's map and, because that of a hidden bodypart may have no right one, the place where the
labels' tree has it and those where the other bodyparts predict it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pawjax.ops.decoding import REACH
from pawjax.ops.scoremaps import ScoreMaps, cell_centers
from pawjax.structure.pairwise import Pairwise, pair_costs, pair_parts
from pawjax.structure.tree import Tree

PEAKS = 15  # candidates from a bodypart's own map
NONE = 1e6  # cost of a candidate that does not exist


class Candidates(NamedTuple):
    """Places of K bodyparts in B images: cells int32 [B, K, M], flat indices, row by row; costs [B, K, M].

    A cost is -log of the map's likelihood, or NONE.
    """

    cells: jax.Array
    costs: jax.Array


def find_candidates(maps: ScoreMaps, floored: jax.Array, expected: jax.Array) -> Candidates:
    """The PEAKS highest local maxima of each map, `expected`, and K - 1 places where the best of the others have it.

    Of places within REACH cells of each other only the first exists.

    Args:
      maps: with `pair_offsets`.
      floored: [B, h, w, K], the log-likelihoods that costs are taken from.
      expected: int [B, K], cells.
    """
    batch, height, width, n_keypoints = floored.shape
    scores, window = maps.log_likelihood, 2 * REACH + 1
    highest = lax.reduce_window(scores, -jnp.inf, lax.max, (1, window, window, 1), (1, 1, 1, 1), "SAME")
    peaks = jnp.where(scores >= highest, scores, -jnp.inf).reshape(batch, height * width, n_keypoints)
    tops, cells = lax.top_k(jnp.swapaxes(peaks, 1, 2), min(PEAKS, height * width))
    predicted = jnp.concatenate([expected[..., None], _predicted_cells(maps, cells[..., 0])], -1)
    cells = jnp.concatenate([cells, predicted], -1)
    exists = jnp.concatenate([tops > -jnp.inf, jnp.ones(predicted.shape, bool)], -1)
    costs = -jnp.take_along_axis(floored.reshape(batch, height * width, n_keypoints), jnp.swapaxes(cells, 1, 2), 1)
    return Candidates(cells, jnp.where(_firsts(cells, exists, width), jnp.swapaxes(costs, 1, 2), NONE))


def offsets_at(maps: ScoreMaps, cells: jax.Array) -> jax.Array:
    """`ScoreMaps.pair_offsets` at cells int [B, K, M], those at a bodypart's own: px [B, K, M, K - 1, 2]."""
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    flat = maps.pair_offsets.reshape(batch, height * width, n_keypoints, -1)
    found = jnp.take_along_axis(flat, jnp.swapaxes(cells, 1, 2)[..., None], axis=1)  # [B, M, K, 2 (K - 1)]
    return jnp.swapaxes(found, 1, 2).reshape(*cells.shape, n_keypoints - 1, 2)


def connection_costs(maps: ScoreMaps, tree: Tree, pairwise: Pairwise, cells: jax.Array) -> jax.Array:
    """`pair_costs` of each connection: [E, B, M, M], candidates of the parent, then of the child."""
    places, offsets = _places(maps, cells), offsets_at(maps, cells)
    parents, children = tree.parents, tree.children
    return jax.vmap(pair_costs, (None, 0, 0, 0, 0, 0, 0))(
        pairwise,
        jnp.asarray(parents),
        jnp.asarray(children),
        jnp.moveaxis(places[:, parents], 1, 0),
        jnp.moveaxis(places[:, children], 1, 0),
        offsets[:, parents, :, children - (children > parents)],
        offsets[:, children, :, parents - (parents > children)],
    )


def likeliest_candidates(costs: jax.Array, tree: Tree, between: jax.Array) -> jax.Array:
    """The candidates that are the likeliest together (min-sum, exact on a tree).

    Args:
      costs: [B, K, M], of each candidate.
      tree: only its parents and children matter.
      between: [E, B, M, M], of each connection, candidates of the parent, then of the child.

    Returns:
      int32 [B, K], which candidate.
    """
    costs, edges = jnp.swapaxes(costs, 0, 1), (*map(jnp.asarray, (tree.parents, tree.children)), between)

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pairs = edge
        return costs.at[parent].add((pairs + costs[child][:, None]).min(-1)), None

    def to_child(chosen: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, pairs = edge
        row = jnp.take_along_axis(pairs, chosen[parent][:, None, None], axis=1)[:, 0]
        return chosen.at[child].set(jnp.argmin(row + costs[child], axis=-1)), None

    costs, _ = lax.scan(to_parent, costs, edges, reverse=True)
    chosen, _ = lax.scan(to_child, jnp.argmin(costs, axis=-1), edges)  # right at the root
    return chosen.T


def candidate_marginals(costs: jax.Array, tree: Tree, between: jax.Array) -> jax.Array:
    """The probability of each candidate, whatever those of the other bodyparts (sum-product): [B, K, M]."""
    costs, edges = jnp.swapaxes(costs, 0, 1), (*map(jnp.asarray, (tree.parents, tree.children)), between)

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        parent, child, pairs = edge
        message = -jax.nn.logsumexp(-pairs - costs[child][:, None], axis=-1)
        return costs.at[parent].add(message), message

    def to_child(costs: jax.Array, step: tuple[tuple[jax.Array, ...], jax.Array]) -> tuple[jax.Array, None]:
        (parent, child, pairs), message = step
        others = costs[parent] - message  # all that the parent knows but from this child
        return costs.at[child].add(-jax.nn.logsumexp(-pairs - others[..., None], axis=-2)), None

    costs, messages = lax.scan(to_parent, costs, edges, reverse=True)
    costs, _ = lax.scan(to_child, costs, (edges, messages))
    return jnp.swapaxes(jax.nn.softmax(-costs, axis=-1), 0, 1)


def _places(maps: ScoreMaps, cells: jax.Array) -> jax.Array:
    """Centres of cells int [...], flat indices: (x, y) px [..., 2]."""
    _, height, width, _ = maps.log_likelihood.shape
    return cell_centers(height, width, maps.stride, maps.center).reshape(height * width, 2)[cells]


def _predicted_cells(maps: ScoreMaps, best: jax.Array) -> jax.Array:
    """Cells where the best cells [B, K] of the others have each bodypart: int32 [B, K, K - 1], clipped to the map."""
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    offsets = offsets_at(maps, best[..., None])[:, :, 0]  # [B, K, K - 1, 2]
    points = (_places(maps, best)[:, :, None] + offsets).reshape(batch, -1, 2)  # of all pairs, in their order
    order = np.argsort(pair_parts(n_keypoints)[1], kind="stable").reshape(n_keypoints, n_keypoints - 1)
    cells = jnp.round((points[:, order] - maps.center) / maps.stride).astype(jnp.int32)
    return cells[..., 1].clip(0, height - 1) * width + cells[..., 0].clip(0, width - 1)


def _firsts(cells: jax.Array, exists: jax.Array, width: int) -> jax.Array:
    """Which candidates [B, K, M] exist and are not within REACH cells of an earlier one that remains: bool."""
    down, right = (abs(f(cells, width)[..., None] - f(cells, width)[..., None, :]) for f in (jnp.floor_divide, jnp.mod))
    near = jnp.maximum(down, right) <= REACH

    def keep(m: int, kept: jax.Array) -> jax.Array:
        earlier = jnp.arange(cells.shape[-1]) < m
        return kept.at[..., m].set(kept[..., m] & ~(near[..., m, :] & kept & earlier).any(-1))

    return lax.fori_loop(1, cells.shape[-1], keep, exists)
