"""Score maps and location refinement: training targets of keypoints. `pawjax.ops.decoding` is the inverse.

Cell (i, j) of a map of stride s represents the image point (s j + c, s i + c), in pixels whose centres lie at whole
numbers; c, the centre of cell (0, 0), is s/2 in DeepLabCut. Points are (x, y); maps are [B, h, w, K].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class ScoreMaps(NamedTuple):
    """Where the bodyparts of B images may be, as every method with score maps returns it.

    log_likelihood [B, h, w, K], the logarithm of each cell's likelihood (values above 0 count as 0);
    offsets [B, h, w, K, 2], (x, y) pixels of the images from each cell's centre to the keypoint;
    stride, pixels from cell to cell, and center, that of cell (0, 0), see `cell_centers`;
    pair_offsets [B, h, w, K, K - 1, 2], of networks with pairwise terms: (x, y) pixels of the images from each cell's
    centre, if it shows the one bodypart, to each of the others, in their order.
    """

    log_likelihood: jax.Array
    offsets: jax.Array
    stride: int
    center: float
    pair_offsets: jax.Array | None = None


def cell_centers(height: int, width: int, stride: int, center: float) -> jax.Array:
    """Image points (x, y), in pixels, that the cells represent: float32 [height, width, 2]."""
    x = jnp.arange(width, dtype=jnp.float32) * stride + center
    y = jnp.arange(height, dtype=jnp.float32) * stride + center
    return jnp.stack(jnp.meshgrid(x, y, indexing="xy"), axis=-1)


def offsets_to_keypoints(keypoints: jax.Array, height: int, width: int, stride: int, center: float) -> jax.Array:
    """Vectors (dx, dy) in pixels from every cell to every keypoint: [B, K, 2] -> [B, height, width, K, 2]."""
    return keypoints[:, None, None] - cell_centers(height, width, stride, center)[:, :, None]


def disc_targets(offsets: jax.Array, radius: float) -> jax.Array:
    """1 on the cells within `radius` pixels of the keypoint, else 0 (DeeperCut, Insafutdinov et al. 2016).

    Args:
      offsets: [B, h, w, K, 2] from `offsets_to_keypoints`.
      radius: in pixels.

    Returns:
      float32 [B, h, w, K].
    """
    return (jnp.sum(offsets**2, axis=-1) <= radius**2).astype(jnp.float32)


def place_targets(offsets: jax.Array, sigma: float, stride: int) -> jax.Array:
    """`gaussian_targets` with sum 1, or 0 for a keypoint farther than `stride` pixels from all cells: [B, h, w, K]."""
    squared = jnp.sum(offsets**2, axis=-1)
    inside = squared.min((1, 2), keepdims=True) <= stride**2
    return jnp.where(inside, jax.nn.softmax(-squared / (2 * sigma**2), axis=(1, 2)), 0)


def gaussian_targets(offsets: jax.Array, sigma: float) -> jax.Array:
    """exp(-d^2 / (2 sigma^2)) with d the distance in pixels from cell to keypoint: [B, h, w, K]."""
    return jnp.exp(-jnp.sum(offsets**2, axis=-1) / (2 * sigma**2))
