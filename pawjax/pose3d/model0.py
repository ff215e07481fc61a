"""Model 0: each bodypart walks at random, and its pixels are its projections with Gaussian noise.

    x[t, k] ~ N(x[t - 1, k], step variance I),    y[t, c, k] ~ N(f_c(x[t, k]), inlier variance)

with a flat prior on the first frame. The most probable positions come from the iterated Kalman smoother in its
information form: a block-tridiagonal system of 3x3 blocks for each bodypart, solved anew around each solution.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError, listed
from pawjax.pose3d import block_tridiagonal, noise
from pawjax.pose3d.newton import Terms, damped, minimise
from pawjax.pose3d.parameters import Fit, Observations, Prior
from pawjax.pose3d.problem import Noise, Problem, in_world, pixel_pull, pose, start_of, walk_blocks, walk_pull

MOST_STEPS = 100


def fit(observations: Observations, cameras: Any, prior: Prior, start: Any = None) -> Fit:
    """The most probable positions of Model 0, and their covariances.

    Args:
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: `step_variance` and `noise.inlier` count.
      start: [T, K, 3], positions to start from, NaN where unknown; without, the direct linear transform starts.

    Returns:
      Fit, in JAX's default precision: float64 within `jax.enable_x64(True)`.

    Raises:
      InputError: arrays that do not fit each other, or a bodypart that fewer than two cameras see.
    """
    return fit_each(observations, cameras, prior, start, noise.gaussian)


def sample(key: jax.Array, observations: Observations, cameras: Any, prior: Prior, count: int) -> jax.Array:
    """Draws [count, T, K, 3] of the posterior, with the projections linear around the most probable positions.

    For affine cameras the draws are exact. Arguments and errors as `fit`.
    """
    problem, origin = pose_each(observations, cameras, prior)
    start = start_of(problem, None, origin)
    return in_world(_sample(key, problem, start, count), origin)


def fit_each(observations: Observations, cameras: Any, prior: Prior, start: Any, noise: Noise) -> Fit:
    """`fit` of independent bodyparts with any model of noise."""
    problem, origin = pose_each(observations, cameras, prior)
    result = fit_problem(problem, start_of(problem, start, origin), noise)
    return dataclasses.replace(result, mean=in_world(result.mean, origin))


def pose_each(observations: Observations, cameras: Any, prior: Prior) -> tuple[Problem, np.ndarray]:
    """`pose` of independent bodyparts. Raises InputError for one that fewer than two cameras see."""
    problem, origin = pose(observations, cameras, prior)
    seen = np.asarray(problem.measured.there).any(0).sum(0)
    if few := [name for name, views in zip(prior.bodyparts, seen, strict=True) if views < 2]:
        raise InputError(
            f"fewer than two cameras see {listed(few, 3)} in any frame: leave such bodyparts out, or fit model2 or "
            "gimbal, which know their limbs"
        )
    return problem, origin


@partial(jax.jit, static_argnames="noise")
@block_tridiagonal.full_precision
def fit_problem(problem: Problem, start: jax.Array, noise: Noise) -> Fit:
    """`fit_each` of a problem, with positions [T, K, 3] around its origin."""
    minimum, lower = _minimum(problem, start, noise)
    _, outliers = pixel_pull(problem, minimum.positions, noise)
    factor = damped(minimum.terms.curvature, lower, jnp.zeros_like(minimum.terms.value))
    covariance, _ = block_tridiagonal.inverse_blocks(factor)
    value = minimum.terms.value
    return Fit(minimum.positions, covariance, outliers, value, minimum.converged, minimum.steps)


@partial(jax.jit, static_argnames="count")
@block_tridiagonal.full_precision
def _sample(key: jax.Array, problem: Problem, start: jax.Array, count: int) -> jax.Array:
    minimum, lower = _minimum(problem, start, noise.gaussian)
    factor = damped(minimum.terms.curvature, lower, jnp.zeros_like(minimum.terms.value))
    draw = partial(block_tridiagonal.sample, factor=factor, mean=minimum.positions)
    return jax.lax.map(draw, jax.random.split(key, count))


def _minimum(problem, start, noise):  # noqa: ANN001, ANN202
    def terms_of(positions, state):
        pixels, _ = pixel_pull(problem, positions, noise)
        walk = walk_pull(positions, problem.step_precision)
        value, gradient, curvature = map(jnp.add, pixels, walk)
        return Terms(value.sum(0), gradient, curvature, state)

    lower = walk_blocks(problem.step_precision, len(start))
    return minimise(terms_of, lower, start, (), MOST_STEPS), lower
