"""The force of the pixels on positions without its curvature: what sampling needs, many times a sweep.

It is `pawjax.pose3d.problem.pixel_pull` with `pawjax.pose3d.noise.mixture`, written by coordinates, so that every
array is [C, T, K] and is passed over once, where vectors and 2x2 matrices in the last axes keep processors from
working on several points at a time.
"""

import jax
import jax.numpy as jnp

from pawjax.pose3d.noise import LOG_2PI
from pawjax.pose3d.problem import Problem
from pawjax.pose3d.rig import NEAREST


def mixture_force(problem: Problem, positions: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Minus the log density of the pixels given positions [T, K, 3], outliers summed out.

    Returns:
      It [T, K], its gradient [T, K, 3], and the probabilities [T, C, K] of outliers, NaN where nothing was seen.
    """
    measured = jax.tree.map(lambda array: jnp.swapaxes(array, 0, 1), problem.measured)  # [C, T, K, ...]
    matrices = jnp.moveaxis(problem.rig.matrices, 0, -1)[..., None, None]  # [3, 4, C, 1, 1]
    x, y, z = jnp.moveaxis(positions, -1, 0)
    across, down, depth = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrices)
    depth = jnp.maximum(depth, NEAREST)
    across, down = across / depth, down / depth
    off_x, off_y = measured.pixels[..., 0] - across, measured.pixels[..., 1] - down
    precision = measured.precision
    pulled_x = precision[..., 0, 0] * off_x + precision[..., 0, 1] * off_y
    pulled_y = precision[..., 0, 1] * off_x + precision[..., 1, 1] * off_y
    squared = pulled_x * off_x + pulled_y * off_y
    inlier = (squared + measured.log_determinant) / 2 - jnp.log1p(-measured.probability)
    outlier = (off_x**2 + off_y**2) / (2 * measured.outlier) + jnp.log(measured.outlier)
    outlier = outlier - jnp.log(measured.probability)
    share = jax.nn.sigmoid(inlier - outlier)
    value = jnp.where(measured.there, LOG_2PI - jnp.logaddexp(-inlier, -outlier), 0).sum(0)

    def force(pulled: jax.Array, off: jax.Array) -> jax.Array:
        return jnp.where(measured.there, ((1 - share) * pulled + share / measured.outlier * off) / depth, 0)

    force_x, force_y = force(pulled_x, off_x), force(pulled_y, off_y)
    inward = force_x * across + force_y * down
    along = [inward * matrices[2, i] - force_x * matrices[0, i] - force_y * matrices[1, i] for i in range(3)]
    outliers = jnp.where(measured.there, share, jnp.nan)
    return value, jnp.stack([part.sum(0) for part in along], -1), jnp.swapaxes(outliers, 0, 1)
