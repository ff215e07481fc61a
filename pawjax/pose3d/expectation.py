"""Noise and steps that a recording was made with, by EM over Model 1 (Dempster, Laird and Rubin, 1977).

Residuals of points that were fitted to the same pixels are too small: of V views, 2 V numbers, three go into the point;
of two views only a quarter of the noise is left. And steps between triangulated points hold the noise of both. So both
are learned from what the posterior expects: of a residual, its square at the most probable position and the variance of
the projection; of a step, its square there and the variance of the difference.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.pose3d import noise as noises
from pawjax.pose3d.block_tridiagonal import full_precision, inverse_blocks
from pawjax.pose3d.model0 import fit_problem
from pawjax.pose3d.newton import damped
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.problem import Problem, pixel_pull, pose, start_of, walk_blocks, walk_pull
from pawjax.pose3d.rig import project

ROUNDS = 20
STRETCHES, FRAMES = 10, 100  # of a long recording, evenly spread
FEWEST = 20  # observations of a bodypart in a camera, to learn its noise from them alone
LEAST_VARIANCE = 0.01  # of an inlier, px^2
APART = 10.0  # least outliers' variance in inliers' variances, that they are something else
FAR, RATE = 100.0, 0.1  # outliers' variance in inliers' variances, and their share, to start from
SUREST = 1e-6  # least share of outliers, and of inliers
SLOWEST = 1e-6  # least step variance, mm^2


class Expected(NamedTuple):
    """What the posterior expects of residuals and steps.

    Attributes:
      squared: [T, C, K], squared lengths of residuals, px^2; 0 where nothing was seen.
      outlier: [T, C, K], probabilities of outliers; 0 where nothing was seen.
      steps: [K], variance along an axis of the steps, mm^2.
      positions: [T, K, 3], the most probable, around the problem's origin.
    """

    squared: jax.Array
    outlier: jax.Array
    steps: jax.Array
    positions: jax.Array


@jax.jit
@full_precision
def expect(problem: Problem, start: jax.Array) -> Expected:
    """The posterior's expectations under Model 1, near the positions `start` [T, K, 3]."""
    positions = fit_problem(problem, start, noises.mixture).mean
    pull, outlier = pixel_pull(problem, positions, noises.mixture)
    walk = walk_pull(positions, problem.step_precision)
    lower = walk_blocks(problem.step_precision, len(positions))
    factor = damped(pull.curvature + walk.curvature, lower, jnp.zeros(positions.shape[1], positions.dtype))
    covariance, between = inverse_blocks(factor)
    pixels, jacobians = project(problem.rig, positions)
    spread = jnp.einsum("tckij,tkjl,tckil->tck", jacobians, covariance, jacobians)
    squared = ((problem.measured.pixels - pixels) ** 2).sum(-1) + spread
    trace = jnp.trace(covariance, axis1=-2, axis2=-1)
    difference = trace[1:] + trace[:-1] - 2 * jnp.trace(between, axis1=-2, axis2=-1)
    steps = ((jnp.diff(positions, axis=0) ** 2).sum(-1) + difference).mean(0) / 3
    there = problem.measured.there
    return Expected(jnp.where(there, squared, 0), jnp.where(there, outlier, 0), steps, positions)


def learn_noise_and_steps(
    observations: Observations,
    cameras: Any,
    said: np.ndarray,
    start: np.ndarray,
    deviation: float,
    steps: np.ndarray,
) -> tuple[Noise, np.ndarray]:
    """Noise of each camera and bodypart, and the variance [K] of steps along each axis.

    Args:
      observations: of T frames, C cameras, K bodyparts; what their covariance says is not learned again.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      said: [T, C, K], probabilities of outliers that are known without looking at positions, say by likelihoods.
      start: [T, K, 3], positions to start from, NaN where unknown.
      deviation: px, of inliers, to start from.
      steps: [K], to start from.

    An observation is an outlier by what was said or, independently, at its camera's and bodypart's rate, which is the
    probability that is learned. A bodypart that a camera sees in fewer than 20 frames has the noise of all together.
    """
    frames, n_cameras, bodyparts = np.shape(said)
    pieces = _stretches(frames)
    pixels, said, start = _folded(observations.pixels, pieces, 2), _folded(said, pieces, 2), _folded(start, pieces, 1)
    own = None if observations.covariance is None else _folded(observations.covariance, pieces, 2)
    seen = np.isfinite(pixels).all(-1)
    kept = np.flatnonzero(seen.any(0).sum(0) >= 2)  # of stretches and bodyparts
    pixels, said, start, seen = pixels[:, :, kept], said[:, :, kept], start[:, kept], seen[:, :, kept]
    own = None if own is None else np.where(seen[..., None, None], own[:, :, kept], 0)
    known = 0.0 if own is None else np.trace(own, axis1=-2, axis2=-1)
    of = kept % bodyparts  # the bodypart of each column
    weight = np.bincount(of, minlength=bodyparts)
    first = deviation**2, FAR * deviation**2, RATE
    noise = Noise(*(np.full((n_cameras, bodyparts), value) for value in first))
    for _ in range(ROUNDS):
        rate = np.asarray(noise.probability)[:, of]
        either = 1 - (1 - rate) * (1 - said)
        wide = Noise(noise.inlier[:, of], noise.outlier[:, of], np.clip(either, 0, 1 - SUREST))
        prior = Prior(steps[of], wide, None, None, tuple(map(str, kept)))
        with jax.enable_x64(True):
            problem, origin = pose(Observations(pixels, own), cameras, prior)
            expected = jax.tree.map(np.asarray, expect(problem, start_of(problem, start, origin)))
        start = expected.positions + origin
        by_rate = expected.outlier * rate / np.maximum(either, SUREST)
        sums = [expected.outlier, expected.outlier * expected.squared, seen - expected.outlier]
        sums += [(seen - expected.outlier) * np.maximum(expected.squared - known, 0), by_rate, seen]
        noise = _noise(*(_summed(values.sum(0), of, bodyparts) for values in sums), noise)
        steps = np.bincount(of, expected.steps, bodyparts) / np.maximum(weight, 1)
        steps = np.maximum(np.where(weight > 0, steps, expected.steps.mean()), SLOWEST)
    return noise, steps


def _noise(
    outliers: np.ndarray,
    far: np.ndarray,
    inliers: np.ndarray,
    near: np.ndarray,
    by_rate: np.ndarray,
    count: np.ndarray,
    before: Noise,
) -> Noise:
    """From sums [C, K]; of all of them where there are too few."""
    few = count < FEWEST
    outliers, far, inliers, near, by_rate, count = (
        np.where(few, values.sum(), values) for values in (outliers, far, inliers, near, by_rate, count)
    )
    inlier = np.maximum(near / (2 * np.maximum(inliers, SUREST)), LEAST_VARIANCE)
    outlier = np.where(outliers > 1, far / (2 * np.maximum(outliers, 1)), before.outlier)
    rate = np.clip(by_rate / np.maximum(count, 1), SUREST, 1 - SUREST)
    return Noise(inlier, np.maximum(outlier, APART * inlier), rate)


def _stretches(frames: int) -> np.ndarray:
    """Frames [S, L] of S stretches of L frames: all in one if there are not many."""
    if frames <= STRETCHES * FRAMES:
        return np.arange(frames)[None]
    first = np.linspace(0, frames - FRAMES, STRETCHES).astype(int)
    return first[:, None] + np.arange(FRAMES)


def _folded(array: np.ndarray, pieces: np.ndarray, axis: int) -> np.ndarray:
    """[T, ...], with bodyparts K at an axis, to [L, ...] with S K there: stretches beside each other, as bodyparts."""
    array = np.moveaxis(np.asarray(array, np.float64)[pieces], 0, axis)
    return array.reshape(*array.shape[:axis], -1, *array.shape[axis + 2 :])


def _summed(values: np.ndarray, of: np.ndarray, bodyparts: int) -> np.ndarray:
    """[C, K] of values [C, N] of columns, each of the bodypart `of` [N]."""
    return np.stack([np.bincount(of, row, bodyparts) for row in values])
