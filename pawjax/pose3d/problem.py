"""What all models share: observations made ready, and the pull of pixels and of the random walk on positions."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError, listed
from pawjax.pose3d.block_tridiagonal import full_precision, solve
from pawjax.pose3d.newton import damped
from pawjax.pose3d.noise import Evidence, Measured, measure
from pawjax.pose3d.parameters import Observations, Prior, check_prior
from pawjax.pose3d.rig import Rig, make_rig, project

Noise = Callable[[jax.Array, Measured], Evidence]  # a function of `pawjax.pose3d.noise`


class Problem(NamedTuple):
    """Cameras, observations and the inverse variance [K] of a step, around an origin amid the animal."""

    rig: Rig
    measured: Measured
    step_precision: jax.Array


class Pull(NamedTuple):
    """Minus a log density of positions [T, K], to be summed, its gradient [T, K, 3], and the curvature [T, K, 3, 3]."""

    value: jax.Array
    gradient: jax.Array
    curvature: jax.Array


def pose(observations: Observations, cameras: Any, prior: Prior) -> tuple[Problem, np.ndarray]:
    """The problem in JAX's default precision, and its origin [3] in the world, float64.

    Args:
      observations: [T, C, K].
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: of K bodyparts.

    Raises:
      InputError: as `make_rig` and `check_prior`, observations of another number of bodyparts than the prior's, or a
        point without a positive definite covariance.
    """
    check_prior(prior)
    rig, pixels, origin = make_rig(cameras, observations.pixels)
    bodyparts = pixels.shape[2]
    if bodyparts != len(prior.bodyparts):
        raise InputError(
            f"the observations have {bodyparts} bodyparts and the prior has {len(prior.bodyparts)} "
            f"({listed(prior.bodyparts, 5)}): give those of the same animal in the same order"
        )
    for field in dataclasses.fields(prior.noise):
        shape = np.shape(getattr(prior.noise, field.name))
        if shape not in (pixels.shape[1:3], pixels.shape[:3]):
            raise InputError(
                f"prior.noise.{field.name} has shape {shape} and must have {pixels.shape[1:3]} or {pixels.shape[:3]}"
            )
    covariance = None if observations.covariance is None else jnp.asarray(observations.covariance, pixels.dtype)
    measured = measure(Observations(pixels, covariance), prior.noise)
    if bool((measured.there & ~(jnp.isfinite(measured.log_determinant))).any()):
        raise InputError("a point's covariance and prior.noise.inlier sum to no positive definite matrix: correct them")
    return Problem(rig, measured, 1 / jnp.asarray(prior.step_variance, pixels.dtype)), origin


def in_world(positions: jax.Array, origin: np.ndarray) -> jax.Array:
    """Positions [..., 3] of a problem, in the world."""
    return jnp.asarray(np.asarray(positions, np.float64) + origin)


def start_of(problem: Problem, start: Any, origin: np.ndarray) -> jax.Array:
    """Where an iteration starts, [T, K, 3] around the origin: at `start` in the world, linearly where it is missing.

    Raises InputError for a start of another shape.
    """
    frames, _, bodyparts = problem.measured.there.shape
    linear = linear_start(problem)
    if start is None:
        return linear
    start = np.asarray(start, np.float64)
    if start.shape != (frames, bodyparts, 3):
        raise InputError(f"the start has shape {start.shape} and must have {(frames, bodyparts, 3)}")
    return jnp.where(np.isfinite(start), jnp.asarray(start - origin), linear)


@jax.jit
@full_precision
def linear_start(problem: Problem) -> jax.Array:
    """Positions [T, K, 3] that need no start, as one linear system gives them.

    The residuals are those of the direct linear transform, (f(x) - y) times the depth of x in depths of the origin,
    which are linear in x; the random walk and the Gaussian noise are those of Model 0.
    """
    measured = problem.measured
    rows = problem.rig.matrices[:, None, :2] - measured.pixels[..., None] * problem.rig.matrices[:, None, 2:]
    weight = measured.precision * measured.there[..., None, None]
    pixels = pull_of_residuals(-rows[..., 3], rows[..., :3], weight, weight)
    walk = walk_pull(jnp.zeros_like(pixels[0]), problem.step_precision)
    curvature = pixels[1] + walk.curvature
    factor = damped(curvature, walk_blocks(problem.step_precision, len(curvature)), jnp.zeros(curvature.shape[1]))
    return -solve(factor, pixels[0])


def pixel_pull(problem: Problem, positions: jax.Array, noise: Noise) -> tuple[Pull, jax.Array]:
    """The pull of the pixels on positions [T, K, 3], and the probabilities [T, C, K] of outliers."""
    pixels, jacobians = project(problem.rig, positions)
    residuals = problem.measured.pixels - pixels
    evidence = noise(residuals, problem.measured)
    gradient, curvature = pull_of_residuals(residuals, jacobians, evidence.weight, evidence.curvature)
    return Pull(evidence.surprise.sum(1), gradient, curvature), evidence.outlier


def pull_of_residuals(
    residuals: jax.Array, jacobians: jax.Array, weight: jax.Array, curvature: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gradient [T, K, 3] and curvature [T, K, 3, 3] but for that of the projection, summed over cameras.

    Args:
      residuals: [T, C, K, 2], y - f(x).
      jacobians: [T, C, K, 2, 3], of f.
      weight: [T, C, K, 2, 2], of the residuals in the gradient.
      curvature: [T, C, K, 2, 2], by the residuals.
    """
    pulled = (weight * residuals[..., None, :]).sum(-1)
    gradient = -(jacobians * pulled[..., None]).sum((1, -2))
    bent = (curvature[..., None] * jacobians[..., None, :, :]).sum(-2)  # [T, C, K, 2, 3]
    return gradient, (jacobians[..., :, None] * bent[..., None, :]).sum((1, -3))


def walk_pull(positions: jax.Array, precision: jax.Array) -> Pull:
    """The pull of a random walk with inverse step variance `precision` [K] on positions [T, K, 3]."""
    steps = precision[:, None] * jnp.diff(positions, axis=0)
    value = jnp.pad((steps * jnp.diff(positions, axis=0)).sum(-1) / 2, [(1, 0), (0, 0)])
    gradient = jnp.pad(steps, [(1, 0), (0, 0), (0, 0)]) - jnp.pad(steps, [(0, 1), (0, 0), (0, 0)])
    ends = jnp.ones(len(positions), positions.dtype).at[1:-1].set(2) * (len(positions) > 1)
    curvature = (ends[:, None] * precision)[..., None, None] * jnp.eye(3, dtype=positions.dtype)
    return Pull(value, gradient, curvature)


def walk_blocks(precision: jax.Array, frames: int) -> jax.Array:
    """The curvature between frames (t + 1, t) of the random walk, [T - 1, K, 3, 3]."""
    block = -precision[:, None, None] * jnp.eye(3, dtype=precision.dtype)
    return jnp.broadcast_to(block, (frames - 1, *block.shape))
