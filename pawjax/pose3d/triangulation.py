"""Triangulation: the point in space that several cameras see, with its error, its views and its covariance.

Arrays hold the cameras first: pixels [C, ..., 2]. A view with weight 0 does not count. Methods, by name:

- 'linear': normalised linear triangulation, see `pawjax.pose3d.linear`.
- 'median': the median, for each coordinate, over the linear triangulations of all pairs of cameras (DeepLabCut-3D).
- 'least_squares': from there to the least sum of squared reprojection errors, through the lenses (Levenberg-Marquardt).
- 'ransac': consensus. Each pair of cameras proposes a point, and the one whose reprojection errors, cut at the
  threshold, have the least sum of squares wins (MSAC, Torr and Zisserman, 2000); least squares over the views within
  the threshold, twice. All pairs are tried, so that nothing is random.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.errors import InputError, did_you_mean
from pawjax.pose3d.cameras import Cameras, depth, project, projection_matrices, undistort
from pawjax.pose3d.jacobians import project_with_jacobians
from pawjax.pose3d.linear import linear, median_of_pairs, proposals_of_pairs
from pawjax.pose3d.symmetric import inverse, solve

METHODS = ("linear", "median", "least_squares", "ransac")
STEPS = 6  # of Levenberg-Marquardt; from the linear solution, two are enough to a micrometre
DAMPING = 1e-3  # of the first step, relative to the diagonal
ROUNDS = 2  # of consensus: least squares over the views that agree, which may then be others
AT_ONCE = 2**19  # projections of proposals in memory


class Triangulated(NamedTuple):
    """Points in space.

    Attributes:
      points: [..., 3], mm; NaN where fewer than two views are left.
      error: [...], px: mean distance between the pixels used and the point's projections.
      views: int32 [...], how many views are used.
      covariance: [..., 3, 3], mm^2: of the least squares estimate from the views used, if each has independent errors
        of `noise` pixels (over the root of its weight) in x and y.
      used: bool [C, ...], the views used.
      noise: px, as given, or as the residuals of all points say.
    """

    points: jax.Array
    error: jax.Array
    views: jax.Array
    covariance: jax.Array
    used: jax.Array
    noise: jax.Array


def triangulate(
    cameras: Cameras,
    pixels: jax.Array,
    likelihood: jax.Array | None = None,
    *,
    method: str = "ransac",
    cut: float = 0.0,
    weights: jax.Array | None = None,
    threshold: float = 15.0,
    noise: float | None = None,
) -> Triangulated:
    """Points in space from the pixels of C cameras.

    Args:
      cameras: C of them, at least two.
      pixels: [C, ..., 2], (x, y) as the cameras' lenses put them; NaN where a camera does not see the point.
      likelihood: [C, ...], of each view; with `cut`.
      method: in METHODS.
      cut: a view whose likelihood is lower, or NaN, is not used.
      weights: [C, ...] or broadcast to it, inverse variances of the views up to a factor; 1 if None.
      threshold: px; of 'ransac', the reprojection error up to which a view agrees.
      noise: px, of one view of weight 1 in one coordinate; None: the root of the squared residuals of all points over
        their degrees of freedom (2 for a view, less 3 for a point).

    Raises InputError for one camera, an unknown method, or arrays whose shapes do not fit.
    """
    pixels = 1.0 * jnp.asarray(pixels)
    if len(cameras) < 2:
        raise InputError(f"only the camera {', '.join(cameras.names)} is there: triangulation needs two or more")
    if method not in METHODS:
        hint = did_you_mean(method, METHODS, f"they are {', '.join(METHODS)}")
        raise InputError(f"there is no way of triangulation named '{method}': {hint}")
    if pixels.ndim < 2 or pixels.shape[0] != len(cameras) or pixels.shape[-1] != 2:
        raise InputError(
            f"pixels have shape {pixels.shape}, not ({len(cameras)} cameras, ..., 2): put the cameras first"
        )
    shape = pixels.shape[:-1]
    seen = jnp.isfinite(pixels).all(-1)
    if likelihood is not None:
        if jnp.shape(likelihood) != shape:
            raise InputError(f"likelihoods have shape {jnp.shape(likelihood)}, but the pixels are of {shape} views")
        seen &= jnp.asarray(likelihood) >= cut
    weights = jnp.where(seen, jnp.broadcast_to(1.0 if weights is None else weights, shape), 0).astype(pixels.dtype)
    flat = pixels.reshape(len(cameras), -1, 2), weights.reshape(len(cameras), -1)
    points, error, views, covariance, used, residual_noise = _triangulate(cameras, *flat, threshold, method)
    noise = residual_noise if noise is None else jnp.asarray(noise, points.dtype)
    points, error, views, covariance = (
        array.reshape(*shape[1:], *array.shape[1:]) for array in (points, error, views, covariance * noise**2)
    )
    return Triangulated(points, error, views, covariance, used.reshape(shape), noise)


def refine(cameras: Cameras, pixels: jax.Array, points: jax.Array, weights: jax.Array) -> jax.Array:
    """Points [..., 3] moved to the least weighted sum of squared reprojection errors, in `STEPS` steps.

    Args:
      pixels: [C, ..., 2], not undistorted; any value where the weight is 0.
      points: [..., 3], where to start, mm.
      weights: [C, ...].
    """

    def step(state: tuple, _: None) -> tuple:
        points, (cost, gradient, hessian), damping = state
        damped = hessian + damping[..., None, None] * hessian * jnp.eye(3, dtype=hessian.dtype)
        moved = points - solve(damped, gradient)
        equations = _normal_equations(cameras, pixels, moved, weights)
        better = equations[0] < cost
        points = jnp.where(better[..., None], moved, points)
        equations = jax.tree.map(
            lambda new, old: jnp.where(better.reshape(better.shape + (1,) * (new.ndim - better.ndim)), new, old),
            equations,
            (cost, gradient, hessian),
        )
        return (points, equations, jnp.where(better, damping / 10, damping * 10)), None

    points = points.astype(jnp.result_type(points, pixels, weights, cameras.matrix))
    start = points, _normal_equations(cameras, pixels, points, weights), jnp.full_like(points[..., 0], DAMPING)
    return jax.lax.scan(step, start, length=STEPS)[0][0]


def consensus(
    cameras: Cameras, pixels: jax.Array, ideal: jax.Array, weights: jax.Array, threshold: float
) -> tuple[jax.Array, jax.Array]:
    """Points [..., 3] on which most views agree, and the weights [C, ...] of these views, 0 for the others.

    Args:
      pixels: [C, ..., 2], and the same undistorted, `ideal`; any value where the weight is 0.
      weights: [C, ...].
      threshold: px.
    """
    matrices = projection_matrices(cameras)
    proposals = proposals_of_pairs(matrices, ideal, weights)  # [pairs, ..., 3]
    squared = jnp.square(_errors(cameras, pixels[:, None], proposals))
    cost = (weights[:, None] * jnp.minimum(squared, threshold**2)).sum(0)
    best = jnp.argmin(jnp.where(jnp.isfinite(cost), cost, jnp.inf), axis=0)
    points = jnp.take_along_axis(proposals, best[None, ..., None], axis=0)[0]

    def agree(state: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        points, agreed = state
        now = jnp.where(_errors(cameras, pixels, points) <= threshold, weights, 0)
        agreed = jnp.where((now > 0).sum(0) >= 2, now, agreed)
        return (refine(cameras, pixels, linear(matrices, ideal, agreed), agreed), agreed), None

    return jax.lax.scan(agree, (points, jnp.zeros_like(weights)), length=ROUNDS)[0]


@partial(jax.jit, static_argnames="method")
def _triangulate(
    cameras: Cameras, pixels: jax.Array, weights: jax.Array, threshold: float, method: str
) -> Triangulated:
    """`triangulate` of pixels [C, N, 2] with weights [C, N], in chunks of bounded memory; covariances for noise 1."""
    n_cameras, n = weights.shape
    at_once = max(1, min(AT_ONCE // n_cameras**3, n))
    chunks = -(-n // at_once)

    def split(array: jax.Array) -> jax.Array:
        """[C, N, ...] to [chunks, C, at_once, ...]."""
        padded = jnp.pad(array, [(0, 0), (0, chunks * at_once - n)] + [(0, 0)] * (array.ndim - 2))
        return jnp.moveaxis(padded.reshape(n_cameras, chunks, at_once, *array.shape[2:]), 1, 0)

    def one(chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        return _points(cameras, *chunk, threshold, method)

    points, error, views, covariance, squared, used = jax.lax.map(one, (split(pixels), split(weights)))
    points, error, views, covariance, squared = (
        array.reshape(-1, *array.shape[2:])[:n] for array in (points, error, views, covariance, squared)
    )
    used = jnp.moveaxis(used, 0, 1).reshape(n_cameras, -1)[:, :n]
    found = jnp.isfinite(squared)
    noise = jnp.sqrt(jnp.where(found, squared, 0).sum() / jnp.where(found, 2 * views - 3, 0).sum())
    return Triangulated(points, error, views, covariance, used, noise)


def _points(
    cameras: Cameras, pixels: jax.Array, weights: jax.Array, threshold: float, method: str
) -> tuple[jax.Array, ...]:
    """Points, errors, views, covariances for noise 1, weighted sums of squared errors, and views used of one chunk."""
    matrices, ideal = projection_matrices(cameras), undistort(cameras, pixels)
    weights = jnp.where(jnp.isfinite(ideal).all(-1), weights, 0)
    pixels, ideal = (jnp.where(weights[..., None] > 0, array, 0) for array in (pixels, ideal))
    if method == "ransac":
        points, weights = consensus(cameras, pixels, ideal, weights, threshold)
    elif method == "median":
        points = median_of_pairs(matrices, ideal, weights)
    else:
        points = linear(matrices, ideal, weights)
        points = refine(cameras, pixels, points, weights) if method == "least_squares" else points
    used = weights > 0
    views = used.sum(0, dtype=jnp.int32)
    points = jnp.where((views >= 2)[..., None], points, jnp.nan)
    residual = jnp.linalg.norm(project(cameras, points) - pixels, axis=-1)
    error = jnp.where(used, residual, 0).sum(0) / views
    squared, _, hessian = _normal_equations(cameras, pixels, points, weights)
    return points, error, views, inverse(hessian), squared, used


def _normal_equations(
    cameras: Cameras, pixels: jax.Array, points: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The weighted sum of squared errors [...], half its gradient [..., 3], and Gauss-Newton's Hessian [..., 3, 3]."""
    projection = project_with_jacobians(cameras, points)
    used = (weights > 0)[..., None]
    residual = jnp.where(used, projection.pixels - pixels, 0) + 0 * points[..., :1]  # NaN stays NaN
    by_point = jnp.where(used[..., None], projection.point, 0)
    weighted = weights[..., None, None] * by_point
    return (
        (weights[..., None] * residual**2).sum((0, -1)),
        (weighted * residual[..., None]).sum((0, -2)),
        (weighted[..., :, None] * by_point[..., None, :]).sum((0, -3)),
    )


def _errors(cameras: Cameras, pixels: jax.Array, points: jax.Array) -> jax.Array:
    """Reprojection errors [C, ...] of points [..., 3], px; infinite behind a camera."""
    distance = jnp.linalg.norm(project(cameras, points) - pixels, axis=-1)
    behind = (depth(cameras, points) <= 0) & ~jnp.reshape(cameras.fisheye, (-1,) + (1,) * (distance.ndim - 1))
    return jnp.where(behind, jnp.inf, distance)
