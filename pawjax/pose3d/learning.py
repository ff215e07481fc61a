"""A prior from the recording that it is for: from the points of its triangulation that can be trusted."""

import dataclasses
import warnings
from collections.abc import Sequence

import jax
import numpy as np

from pawjax.errors import InputError, listed, warn
from pawjax.pose3d.parameters import Limbs, Noise, PoseStates
from pawjax.pose3d.priors import LEAST_SHARE, learn_limbs, learn_states, noise_by_likelihood
from pawjax.pose3d.settings import WITH_LIMBS, Settings

FRAMES_PER_STATE = 10  # fewer tell nothing of a pose state's directions
FEWEST_VIEWS = 3  # that agree on a point to trust, where so many cameras see the bodypart
OFTEN = 0.5  # share of a bodypart's points that have so many views; of one with fewer, two views are trusted
WORST = 3.0  # times the bodypart's median reprojection error, to which a point is trusted
SUREST = 1 - 1e-6  # probability of an outlier
FAR = 6.0  # times the bodypart's usual step or the limb's usual deviation, from which a point is none to trust


def trusted(points: np.ndarray, error: np.ndarray, views: np.ndarray, n_cameras: int) -> np.ndarray:
    """Points [T, K, 3] on which enough of the cameras agree well and that did not jump; NaN for the others.

    Three cameras must agree, but for a bodypart that mostly two see: the moments when a third does are no fair sample.

    Args:
      points: [T, K, 3].
      error: [T, K], mean reprojection error, px.
      views: [T, K], number of cameras that agree.
      n_cameras: C.
    """
    seen = np.isfinite(points).all(-1)
    middle = _median(np.where(seen, error, np.nan))
    surest = seen & (views >= min(FEWEST_VIEWS, n_cameras))
    enough = np.where(surest.sum(0) >= OFTEN * seen.sum(0), surest, seen)
    good = enough & (error <= WORST * middle)
    points = np.where(good[..., None], points, np.nan)
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    far = step > FAR * _median(step)
    jumped = np.pad(far, [(1, 0), (0, 0)]) & np.pad(far, [(0, 1), (0, 0)])  # there and back
    return np.where(jumped[..., None], np.nan, points)


def learn_body(
    settings: Settings,
    bodyparts: Sequence[str],
    points: np.ndarray,
    covariance: np.ndarray,
    parents: Sequence[int] | None,
    spine: tuple[int, int] | None,
) -> tuple[Limbs | None, PoseStates | None]:
    """Limbs and pose states, as far as the settings' model has them.

    Args:
      settings: say which model, and how many pose states at most.
      bodyparts: K names.
      points: [T, K, 3], mm, of `trusted`.
      covariance: [T, K, 3, 3], mm^2, of these points.
      parents: [K], for Model 2 and GIMBAL.
      spine: indices of the rear and the front bodypart, for GIMBAL.

    Raises InputError for too few points to learn from.
    """
    if few := [name for name, count in zip(bodyparts, np.isfinite(points).all(-1).sum(0), strict=True) if count < 2]:
        raise InputError(
            f"{len(few)} of {len(bodyparts)} bodyparts ({listed(few, 5)}) have too few points that cameras agree on to "
            f"learn a prior from: look whether each camera has its own tracks, leave bodyparts out with --bodyparts, "
            f"or give the --prior of another recording"
        )
    limbs = states = None
    if settings.model in WITH_LIMBS:
        usual = _usual_limbs(points, parents)
        limbs = _without_spread(learn_limbs(usual, parents), usual, covariance)
    if settings.model == "gimbal":
        frames = int(np.isfinite(points[:, list(spine)]).all((-1, -2)).sum())
        number = max(1, min(settings.states, frames // FRAMES_PER_STATE))
        if number < settings.states:
            warn(f"{number} pose states are learned, not {settings.states}: only {frames} frames show the spine well")
        states = learn_states(jax.random.key(settings.seed), points, parents, spine, number)
    return limbs, states


def noise_of(settings: Settings, noise: Noise, likelihood: np.ndarray) -> Noise:
    """The noise of the settings' model.

    That of Model 0 is Gaussian with the variance of inliers and outliers together. Of the others, an observation is an
    outlier at its bodypart's rate or, independently, where its likelihood [T, C, K] says so: see `said_by`.
    """
    rate, inlier, outlier = (
        np.asarray(values, np.float64) for values in (noise.probability, noise.inlier, noise.outlier)
    )
    if settings.model == "model0":
        return Noise((1 - rate) * inlier + rate * outlier, outlier, np.zeros_like(rate))
    said = said_by(settings, likelihood)
    if not said.any():
        return noise
    return Noise(noise.inlier, noise.outlier, np.clip(1 - (1 - rate) * (1 - said), 0, SUREST))


def said_by(settings: Settings, likelihood: np.ndarray) -> np.ndarray:
    """Probability [T, C, K] of an outlier by the likelihood; 0 if likelihoods do not count, or are all the same."""
    found = likelihood[likelihood > 0]
    if settings.model == "model0" or not settings.likelihoods or not found.size or np.ptp(found) == 0:
        return np.zeros(likelihood.shape)
    nothing = np.zeros(likelihood.shape[1:])
    return np.asarray(noise_by_likelihood(Noise(nothing, nothing, nothing), likelihood).probability, np.float64)


def _without_spread(limbs: Limbs, points: np.ndarray, covariance: np.ndarray) -> Limbs:
    """Limbs whose variance is without that of the points [T, K, 3] themselves, by their covariance [T, K, 3, 3]."""
    parents = list(limbs.parents)
    along = points - points[:, parents]
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / np.where(length == 0, 1, length)
    spread = np.einsum("tki,tkij,tkj->tk", along, covariance + covariance[:, parents], along)
    least = (LEAST_SHARE * limbs.length) ** 2
    return dataclasses.replace(limbs, variance=np.maximum(limbs.variance - np.nanmean(spread, 0), least))


def _usual_limbs(points: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """The points without those whose distance from the parent is unusual."""
    apart = np.linalg.norm(points - points[:, list(parents)], axis=-1)
    off = np.abs(apart - _median(apart))
    return np.where((off > FAR * _median(off))[..., None], np.nan, points)


def _median(values: np.ndarray) -> np.ndarray:
    """Over the first axis, without NaN; infinite where nothing is left, or it is 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a bodypart that is never seen
        middle = np.nanmedian(values, axis=0)
    return np.where(middle > 0, middle, np.inf)
