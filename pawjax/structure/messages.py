"""Exact inference on a tree over bodyparts: messages from the leaves to the root and back.

The probability of places l_1..l_K of all bodyparts is proportional to exp(sum of the maps at these places - sum over
connections of weight (l_child - l_parent - offset)^2), in cells. All frames of a batch go through the tree together,
one connection after the other.
"""

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops.distance_transform import argument_at, distance_transform, soft_distance_transform
from pawjax.structure.tree import Tree


def likeliest_cells(log_likelihood: jax.Array, tree: Tree, stride: float) -> jax.Array:
    """The places that are the likeliest together (min-sum, i.e. maximum a posteriori, which is exact on a tree).

    Args:
      log_likelihood: [B, h, w, K], maps.
      tree: in pixels of the images.
      stride: pixels from cell to cell.

    Returns:
      int32 [B, K], flat index of each cell, row by row.
    """
    batch, height, width, n_keypoints = log_likelihood.shape
    costs, edges = _costs(log_likelihood), _edges(tree, stride)

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, offset, weight = edge
        return costs.at[parent].add(distance_transform(costs[child], offset, weight)), None

    def to_child(cells: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        parent, child, offset, weight = edge
        return cells.at[child].set(argument_at(costs[child], offset, weight, cells[parent])), None

    costs, _ = lax.scan(to_parent, costs, edges, reverse=True)
    best = jnp.argmin(costs.reshape(n_keypoints, batch, height * width), axis=-1)  # right at the root
    cells, _ = lax.scan(to_child, best, edges)
    return cells.T


def log_marginals(log_likelihood: jax.Array, tree: Tree, stride: float) -> jax.Array:
    """The logarithm of the probability of each place of each bodypart, whatever the places of the others (sum-product).

    Args:
      log_likelihood, tree, stride: as in `likeliest_cells`.

    Returns:
      [B, h, w, K]; the probabilities of a map sum to 1.
    """
    costs, edges = _costs(log_likelihood), _edges(tree, stride)

    def to_parent(costs: jax.Array, edge: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        parent, child, offset, weight = edge
        message = soft_distance_transform(costs[child], offset, weight)
        return costs.at[parent].add(message), message

    def to_child(costs: jax.Array, step: tuple[tuple[jax.Array, ...], jax.Array]) -> tuple[jax.Array, None]:
        (parent, child, offset, weight), message = step
        others = costs[parent] - message  # all that the parent knows but from this child
        return costs.at[child].add(soft_distance_transform(others, -offset, weight)), None

    costs, messages = lax.scan(to_parent, costs, edges, reverse=True)
    costs, _ = lax.scan(to_child, costs, (edges, messages))
    return jnp.moveaxis(jax.nn.log_softmax(-costs, axis=(2, 3)), 0, -1)


def _costs(log_likelihood: jax.Array) -> jax.Array:
    """[B, h, w, K] -> [K, B, h, w]."""
    return -jnp.moveaxis(log_likelihood, -1, 0)


def _edges(tree: Tree, stride: float) -> tuple[jax.Array, ...]:
    """Parent and child [K - 1], offset and weight [K - 1, 2] of each connection, from the root on."""
    offset, weight = tree.on_grid(stride)
    return tuple(map(jnp.asarray, (tree.parents, tree.children, offset, weight)))
