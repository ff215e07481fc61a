"""Where the bodyparts of several animals may be: the highest peaks of each score map."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops.decoding import decode, is_apart
from pawjax.ops.scoremaps import ScoreMaps


class Peaks(NamedTuple):
    """The M highest peaks of the maps of K bodyparts in B images, the highest first.

    places float32 [B, K, M, 2], (x, y) pixels of the images; score [B, K, M], the logarithm of each cell's likelihood,
    -inf where a map has fewer peaks; cells int32 [B, K, M], flat index of each cell, row by row, 0 where there is none.
    """

    places: jax.Array
    score: jax.Array
    cells: jax.Array


def find_peaks(maps: ScoreMaps, n: int, radius: float, decoder: str = "locref") -> Peaks:
    """The n highest peaks of each map, each refined to a point as that of a single animal is.

    A peak is a cell that no other within the radius exceeds. Of equal peaks within the radius the first stays.

    Args:
      maps: of B images and K bodyparts.
      n: M.
      radius: px of the images, half the side of a square of cells; it reaches one cell at least.
      decoder: see `pawjax.ops.decoding.decode`.
    """
    batch, height, width, n_keypoints = maps.log_likelihood.shape
    reach = max(1, round(radius / maps.stride))
    window = (1, 2 * reach + 1, 2 * reach + 1, 1)
    highest = lax.reduce_window(maps.log_likelihood, -jnp.inf, lax.max, window, (1, 1, 1, 1), "SAME")
    peaks = jnp.where(maps.log_likelihood == highest, highest, -jnp.inf).reshape(batch, height * width, n_keypoints)

    def take_next(left: jax.Array, _: None) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        best = jnp.argmax(left, axis=1)
        return jnp.where(is_apart(best[:, None], height, width, reach), left, -jnp.inf), (left.max(1), best)

    _, found = lax.scan(take_next, peaks, length=n)
    score, cells = (jnp.moveaxis(rows, 0, -1) for rows in found)  # [B, K, M]
    places, _ = jax.vmap(lambda chosen: decode(maps, decoder, chosen), in_axes=-1, out_axes=-2)(cells)
    return Peaks(places, jnp.minimum(score, 0), cells.astype(jnp.int32))
