"""Score maps to keypoints that know of each other."""

import math

import jax
import jax.numpy as jnp

from pawjax.ops.decoding import REACH, cell_places, cells_around, decode, is_apart
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure.candidates import (
    candidate_marginals,
    connection_costs,
    find_candidates,
    likeliest_candidates,
)
from pawjax.structure.messages import likeliest_cells, log_marginals
from pawjax.structure.pairwise import Pairwise
from pawjax.structure.tree import Tree

FLOOR = 1e-6  # likelihood; a map that says less may be wrong: the bodypart is hidden


def structured_points(
    maps: ScoreMaps, tree: Tree, decoder: str = "locref", pairwise: Pairwise | None = None
) -> dict[str, jax.Array]:
    """The points of B images whose places are the likeliest together, as `Method.predict` returns them.

    The tree chooses a peak of each map. Its best cell is refined as without a tree, so that points of maps with a
    single peak stay as they are.

    Args:
      maps: of B images and K bodyparts.
      tree: in pixels of the images.
      decoder: see `pawjax.ops.decoding.decode`.
      pairwise: with it, and the maps' `pair_offsets`, what the network predicts in the image takes the place of the
        tree's offsets and variances.

    Returns:
      'keypoints' [B, K, 2]; from the marginals, 'likelihood' [B, K], the probability of the 5x5 cells around the cell
      chosen; 'covariance' [B, K, 2, 2], px^2, of the points that all cells vote for; and 'second' [B, K, 3], (x, y)
      of the next best cell, and the probability of the 5x5 cells around it.
    """
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    floored = jnp.clip(maps.log_likelihood, math.log(FLOOR), 0)
    if pairwise is None:
        cells = likeliest_cells(floored, tree, maps.stride)
        probability = jnp.exp(log_marginals(floored, tree, maps.stride)).reshape(batch, height * width, n_keypoints)
    else:
        cells, probability = _among_candidates(maps, floored, tree, pairwise)
    cells = _climb(floored, cells)
    keypoints, _ = decode(maps, decoder, cells)

    def mass(cells: jax.Array) -> jax.Array:
        around, inside = cells_around(cells[:, None], height, width, REACH)
        return (jnp.take_along_axis(probability, around, axis=1) * inside).sum(1).clip(0, 1)

    places = cell_places(maps, decoder)
    apart = places - (probability[..., None] * places).sum(1, keepdims=True)
    covariance = jnp.einsum("bnk,bnki,bnkj->bkij", probability, apart, apart)
    others = jnp.where(is_apart(cells[:, None], height, width), probability, -1)
    next_best = jnp.argmax(others, axis=1)
    exists = others.max(1) >= 0  # small maps have no cell so far away
    point = jnp.take_along_axis(places, next_best[:, None, :, None], axis=1)[:, 0]
    second = jnp.concatenate([point, jnp.where(exists, mass(next_best), 0)[..., None]], axis=-1)
    return {"keypoints": keypoints, "likelihood": mass(cells), "covariance": covariance, "second": second}


def _among_candidates(
    maps: ScoreMaps, floored: jax.Array, tree: Tree, pairwise: Pairwise
) -> tuple[jax.Array, jax.Array]:
    """The likeliest cells [B, K] among candidates, and the probability of all cells [B, h w, K].

    A candidate stands for the 5x5 cells around it, among which its probability is divided as their map says.
    """
    batch, height, width, n_keypoints = floored.shape
    cells, costs = find_candidates(maps, floored, likeliest_cells(floored, tree, maps.stride))
    between = connection_costs(maps, tree, pairwise, cells)
    chosen = likeliest_candidates(costs, tree, between)
    around, inside = cells_around(cells.reshape(batch, 1, -1), height, width, REACH)
    around, inside = (values.reshape(batch, -1, *cells.shape[1:]) for values in (around, inside))  # [B, 25, K, M]
    flat = jnp.swapaxes(floored.reshape(batch, height * width, n_keypoints), 1, 2)
    levels = jnp.take_along_axis(flat[:, None, :], around, axis=-1)
    shares = jax.nn.softmax(jnp.where(inside, levels, -jnp.inf), axis=1)
    masses = shares * candidate_marginals(costs, tree, between)[:, None]
    image, part = jnp.arange(batch)[:, None, None, None], jnp.arange(n_keypoints)[None, None, :, None]
    probability = jnp.zeros((batch, height * width, n_keypoints)).at[image, around, part].add(masses)
    return jnp.take_along_axis(cells, chosen[..., None], axis=-1)[..., 0], probability


def _climb(log_likelihood: jax.Array, cells: jax.Array) -> jax.Array:
    """The cells [B, K] moved up the maps [B, h, w, K], REACH times to the best of the 3x3 cells around if it is better.

    Places that the tree finds likely draw a cell down the side of its peak; it stays where the map is flat.
    """
    batch, height, width, n_keypoints = log_likelihood.shape
    flat = log_likelihood.reshape(batch, height * width, n_keypoints)
    for _ in range(REACH):
        around, _ = cells_around(cells[:, None], height, width, 1)  # off the map: a cell on it
        values = jnp.take_along_axis(flat, around, axis=1)  # [B, 9, K]
        best = jnp.take_along_axis(around, values.argmax(1)[:, None], axis=1)[:, 0]
        cells = jnp.where(values.max(1) > values[:, 4], best, cells)
    return cells
