"""Priors learned from poses and from how far pixels lie from their projections.

Poses may come from motion capture or from a triangulation of many frames; what is missing is NaN.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d import vmf_mixture
from pawjax.pose3d.gimbal import spine_heading, turn
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior, check_tree

FEWEST = 20  # observations of a bodypart in a camera, to learn its noise from them alone
FAR = 15.0  # px, residuals that count as outliers at the start
EM_STEPS = 200
LEAST_VARIANCE = 0.25  # of an inlier, px^2
LEAST_SHARE = 0.01  # of a limb's length, its least standard deviation: rigid limbs leave no way to a maximum
STEEPNESS, MIDDLE, SUREST = 20.0, 0.5, 1e-6  # of the outlier's probability by likelihood
MOST_CONCENTRATED = 100.0
TRANSITIONS = 1.0  # seen beforehand from each state to the states by their weights


def learn_prior(
    key: jax.Array,
    observations: Observations,
    cameras: Any,
    poses: Any,
    bodyparts: Sequence[str],
    parents: Sequence[int],
    spine: tuple[int, int],
    number: int,
) -> Prior:
    """All of a prior from observations and the poses that they show.

    Args:
      key: for the pose states.
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      poses: [T, K, 3], motion capture or a robust triangulation.
      bodyparts: [K], names.
      parents: [K], the root's own index for the root.
      spine: indices of the rear and the front bodypart whose direction is the heading.
      number: of pose states; 0 for none.

    Raises:
      InputError: too few poses or residuals for one of the parts.
    """
    poses = np.asarray(poses, np.float64)
    image = np.einsum("cij,tkj->tcki", np.asarray(cameras, np.float64)[..., :3], poses)
    image = image + np.asarray(cameras, np.float64)[:, None, :, 3]
    return Prior(
        learn_steps(poses),
        learn_noise(np.asarray(observations.pixels, np.float64) - image[..., :2] / image[..., 2:]),
        learn_limbs(poses, parents),
        learn_states(key, poses, parents, spine, number) if number else None,
        tuple(bodyparts),
    )


def learn_limbs(poses: Any, parents: Sequence[int]) -> Limbs:
    """Means of the distances from parents, and their variances, of at least a hundredth of the length as deviation.

    Args:
      poses: [N, K, 3].
      parents: [K], the root's own index for the root.

    Raises:
      InputError: no tree, or a limb that fewer than two poses have.
    """
    check_tree(tuple(parents))
    poses = np.asarray(poses, np.float64)
    apart = np.linalg.norm(poses - poses[:, list(parents)], axis=-1)
    for k, parent in enumerate(parents):
        if k != parent and np.isfinite(apart[:, k]).sum() < 2:
            raise InputError(f"fewer than two poses have the limb from bodypart {parent} to {k}: give more poses")
    length = np.nanmean(apart, 0)
    return Limbs(length, np.maximum(np.nanvar(apart, 0), (LEAST_SHARE * length) ** 2), tuple(map(int, parents)))


def learn_steps(poses: Any) -> np.ndarray:
    """Variance [K] along each axis of the step from a frame to the next, of poses [T, K, 3] in the order of time."""
    steps = np.diff(np.asarray(poses, np.float64), axis=0)
    if (np.isfinite(steps).all(-1).sum(0) == 0).any():
        raise InputError("a bodypart is never seen in two frames in a row: give more poses, in the order of time")
    return np.nanmean(steps**2, axis=(0, 2))


def learn_noise(residuals: Any) -> Noise:
    """A mixture of two round Gaussians for each camera and bodypart, by EM.

    Args:
      residuals: [T, C, K, 2], pixels less projections of known or robustly estimated positions, px.

    A bodypart that a camera sees in fewer than 20 frames gets the mixture of all residuals.
    """
    residuals = np.asarray(residuals, np.float64)
    squared = (residuals**2).sum(-1)
    seen = np.isfinite(squared)
    if seen.sum() < FEWEST:
        raise InputError(f"{seen.sum()} residuals are too few to learn noise from: give {FEWEST} or more")
    pooled = _two_gaussians(squared[seen][:, None])
    own = _two_gaussians(squared.reshape(len(squared), -1))
    few = seen.sum(0).ravel() < FEWEST
    return Noise(*(np.where(few, all_, each).reshape(seen.shape[1:]) for all_, each in zip(pooled, own, strict=True)))


def noise_by_likelihood(noise: Noise, likelihood: Any) -> Noise:
    """The same noise with outliers' probabilities [T, C, K] by the likelihood of the points [T, C, K], 0 to 1."""
    likelihood = np.nan_to_num(np.asarray(likelihood, np.float64))
    probability = 1 / (1 + np.exp(STEEPNESS * (likelihood - MIDDLE)))
    return Noise(noise.inlier, noise.outlier, np.clip(probability, SUREST, 1 - SUREST))


def learn_states(key: jax.Array, poses: Any, parents: Sequence[int], spine: tuple[int, int], number: int) -> PoseStates:
    """Pose states by a mixture of von Mises-Fisher distributions, and how they follow each other.

    Args:
      key: for the start.
      poses: [T, K, 3], in the order of time, of a world whose z points up.
      parents: [K], the root's own index for the root.
      spine: indices of the rear and the front bodypart whose direction is the heading.
      number: of states.

    Raises:
      InputError: no tree, or fewer frames that show the spine than states.
    """
    check_tree(tuple(parents))
    poses = np.asarray(poses, np.float64)
    frames = np.flatnonzero(np.isfinite(poses[:, list(spine)]).all((-1, -2)))
    if len(frames) < number:
        raise InputError(f"{len(frames)} frames show the spine and are too few for {number} states: give more poses")
    shown = jnp.asarray(poses[frames])
    limbs = turn(shown - shown[:, list(parents)], -spine_heading(shown, spine))
    units = limbs / jnp.linalg.norm(limbs, axis=-1, keepdims=True)  # NaN for the root
    mixture, probabilities, _ = vmf_mixture.fit(key, units, number, MOST_CONCENTRATED)
    follows = np.diff(frames) == 1
    probabilities = np.asarray(probabilities, np.float64)
    counts = probabilities[:-1][follows].T @ probabilities[1:][follows] + TRANSITIONS * np.asarray(mixture.weights)
    transitions = counts / counts.sum(-1, keepdims=True)
    return PoseStates(mixture.directions, mixture.concentrations, mixture.weights, transitions, tuple(map(int, spine)))


def _two_gaussians(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inliers' variance, outliers' variance and share [N] of squared lengths [T, N] in two dimensions, NaN missing."""
    seen = np.isfinite(squared)
    squared = np.where(seen, squared, 0)
    count = np.maximum(seen.sum(0), 1)
    share = np.clip(((squared > FAR**2) & seen).sum(0) / count, 0.01, 0.99)
    near = seen & (squared <= FAR**2)
    inlier = np.where(near.any(0), (squared * near).sum(0) / (2 * np.maximum(near.sum(0), 1)), FAR**2)
    inlier, outlier = np.maximum(inlier, LEAST_VARIANCE), np.full_like(inlier, 100.0**2)
    for _ in range(EM_STEPS):
        log_odds = np.log(share / (1 - share) * inlier / outlier) + squared * (1 / inlier - 1 / outlier) / 2
        far = seen / (1 + np.exp(-np.clip(log_odds, -500, 500)))
        inlier = np.maximum((squared * (seen - far)).sum(0) / (2 * np.maximum((seen - far).sum(0), 1)), LEAST_VARIANCE)
        outlier = np.maximum((squared * far).sum(0) / (2 * np.maximum(far.sum(0), 1)), 2 * inlier)
        share = np.clip(far.sum(0) / count, SUREST, 1 - SUREST)
    return inlier, outlier, share
