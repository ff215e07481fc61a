"""Linear triangulation: each view says that the point lies on two planes, and the distances from these are least.

Positions are taken about the principal point at focal length 1, and the world about the mean of the cameras' places, so
that all numbers are around 1 (normalised DLT). A plane's distance, times the focal length, is an error in pixels times
the depth; a second solution divides by the depths of the first (Hartley and Sturm, 1997).
"""

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.pose3d.cameras import EXACT
from pawjax.pose3d.symmetric import solve

PASSES = 2  # the second knows the depths


def linear(matrices: jax.Array, pixels: jax.Array, weights: jax.Array) -> jax.Array:
    """The points for which the weighted squared distances from the planes of all views add up to least.

    Args:
      matrices: [C, 3, 4], of cameras with ideal lenses, mm and px.
      pixels: [C, ..., 2], undistorted; any value where the weight is 0.
      weights: [C, ...], inverse variances up to a factor.

    Returns:
      [..., 3], mm; NaN where the views do not determine the point.
    """
    matrices, centre = _centred(matrices)
    front = matrices[:, 2]  # its product with a point is the depth
    principal = jnp.einsum("cik,ck->ci", matrices[:, :2, :3], front[:, :3], precision=EXACT)
    centred = matrices[:, :2] - principal[..., None] * front[:, None]
    focal = jnp.linalg.norm(centred[..., :3], axis=-1)  # [C, 2]
    axes = _over(centred / focal[..., None], pixels, 2)  # [C, ..., 2, 4], numbers around 1
    position = (pixels - _over(principal, pixels, 1)) / _over(focal, pixels, 1)
    planes = position[..., None] * _over(front[:, None], pixels, 2) - axes
    root = jnp.sqrt(weights)[..., None] * _over(focal / focal.mean(), pixels, 1)
    points, scale = None, 1.0
    for _ in range(PASSES):
        rows = jnp.where(root[..., None] > 0, planes * (root * scale)[..., None], 0)
        normal = (rows[..., :3, None] * rows[..., None, :3]).sum((0, -3))
        points = solve(normal, -(rows[..., :3] * rows[..., 3:]).sum((0, -2)))
        ahead = (_over(front[:, :3], pixels, 1) * points).sum(-1) + _over(front[:, 3], pixels, 0)
        scale = 1 / jnp.where(ahead == 0, 1, ahead)[..., None]
    return points + centre


def median_of_pairs(matrices: jax.Array, pixels: jax.Array, weights: jax.Array) -> jax.Array:
    """The median over all pairs of cameras that see a point; arguments and result as of `linear`."""
    return jnp.nanmedian(proposals_of_pairs(matrices, pixels, weights), axis=0)


def proposals_of_pairs(matrices: jax.Array, pixels: jax.Array, weights: jax.Array) -> jax.Array:
    """Linear triangulations [pairs, ..., 3] of each pair of cameras; NaN where one of them has weight 0."""
    pairs = np.stack(np.triu_indices(len(matrices), 1), axis=-1)
    both = weights[pairs].min(1) > 0  # [pairs, ...]
    points = jax.vmap(linear)(matrices[pairs], pixels[pairs], (weights[pairs] > 0).astype(weights.dtype))
    return jnp.where(both[..., None], points, jnp.nan)


def _centred(matrices: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Matrices scaled so that they give depths, about the mean [3] of the cameras' places."""
    matrices = matrices / jnp.linalg.norm(matrices[:, 2, :3], axis=-1)[:, None, None]
    places = -jnp.linalg.solve(matrices[..., :3], matrices[..., 3:])[..., 0]
    centre = places.mean(0)
    moved = matrices[..., 3] + jnp.einsum("cij,j->ci", matrices[..., :3], centre, precision=EXACT)
    return jnp.concatenate([matrices[..., :3], moved[..., None]], axis=-1), centre


def _over(array: jax.Array, pixels: jax.Array, axes: int) -> jax.Array:
    """An array [C, ...] whose last `axes` axes are a camera's, broadcast over the points of pixels [C, ..., 2]."""
    return array.reshape(array.shape[0], *[1] * (pixels.ndim - 2), *array.shape[array.ndim - axes :])
