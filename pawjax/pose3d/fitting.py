"""Any of the models, by its settings, on what cameras with lenses saw."""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d import gibbs, gimbal, model0, model1, model2
from pawjax.pose3d.cameras import Cameras, projection_matrices
from pawjax.pose3d.chunks import fit_in_chunks
from pawjax.pose3d.expectation import learn_noise_and_steps
from pawjax.pose3d.learning import learn_body, noise_of, said_by, trusted
from pawjax.pose3d.parameters import Fit, Observations, Prior
from pawjax.pose3d.priors import learn_steps
from pawjax.pose3d.settings import WITH_LIMBS, Settings
from pawjax.pose3d.triangulation import Triangulated, triangulate
from pawjax.pose3d.views import undistorted, undistorted_covariance

MOST_DRAWN = 2**28  # coordinates of all draws, 1 GB
SURE = 0.5  # likelihood of points that teach the prior
ENOUGH = 0.1  # share of a bodypart's points that are so likely, for them alone to teach it
CHAINS = 4
BURN_IN = 500  # sweeps, in which steps are adapted
THIN = 5  # sweeps for a draw


class Posed(NamedTuple):
    """What models take: observations, projection matrices [C, 3, 4] to undistorted pixels, and the prior."""

    observations: Observations
    cameras: np.ndarray
    prior: Prior


def triangulate_views(cameras: Cameras, pixels: np.ndarray, likelihood: np.ndarray, settings: Settings) -> Triangulated:
    """The triangulation that models start from, or the one that the settings name, in float64 NumPy arrays.

    Args:
      cameras: C of them.
      pixels: [C, T, K, 2], (x, y) as the lenses put them, NaN where missing.
      likelihood: [C, T, K].
      settings: `model`, `cut` and `threshold` count.

    Raises InputError where no point is seen by two cameras.
    """
    method = "median" if settings.model == "median" else "ransac"
    with jax.enable_x64(True):
        found = triangulate(cameras, pixels, likelihood, method=method, cut=settings.cut, threshold=settings.threshold)
        found = Triangulated(*map(np.asarray, found))
    if not np.isfinite(found.points).all(-1).any():
        raise InputError(
            f"no bodypart is ever seen by two cameras at once with a likelihood of {settings.cut:g} or more: lower "
            f"--cut, or check that the tracks are of the same time"
        )
    return found


def learn_prior(
    cameras: Cameras,
    pixels: np.ndarray,
    likelihood: np.ndarray,
    covariance: np.ndarray | None,
    start: Triangulated,
    settings: Settings,
    bodyparts: tuple[str, ...],
    parents: tuple[int, ...] | None,
    spine: tuple[int, int] | None,
) -> Prior:
    """The prior of the settings' model, learned from the recording by way of its triangulation `start`.

    Arguments as of `fit_views` and `pawjax.pose3d.learning.learn_body`, which says what is raised.
    """
    sure = _sure(cameras, pixels, likelihood, start, settings)
    points = trusted(sure.points, sure.error, sure.views, len(cameras))
    limbs, states = learn_body(settings, bodyparts, points, sure.covariance, parents, spine)
    observations, matrices = observed(cameras, pixels, likelihood, covariance, settings)
    said = said_by(settings, likelihood.swapaxes(0, 1))
    noise, steps = learn_noise_and_steps(observations, matrices, said, points, float(start.noise), learn_steps(points))
    return Prior(steps, noise, limbs, states, tuple(bodyparts))


def _sure(
    cameras: Cameras, pixels: np.ndarray, likelihood: np.ndarray, start: Triangulated, settings: Settings
) -> Triangulated:
    """The triangulation of likely points alone, for bodyparts that have enough of them, and `start` of the others.

    Models keep unlikely points, as outliers, but two guesses at a hidden place may agree, and would teach a wrong limb.
    """
    if not settings.likelihoods or settings.cut >= SURE:
        return start
    with jax.enable_x64(True):
        found = triangulate(cameras, pixels, likelihood, method="ransac", cut=SURE, threshold=settings.threshold)
        found = Triangulated(*map(np.asarray, found))
    seen, likely = (np.isfinite(each.points).all(-1).sum(0) for each in (start, found))
    enough = likely >= ENOUGH * seen
    either = {}
    for name in ("points", "error", "views", "covariance"):
        one, other = getattr(found, name), getattr(start, name)
        either[name] = np.where(enough.reshape(-1, *[1] * (one.ndim - 2)), one, other)
    return start._replace(**either)


def fit_views(
    cameras: Cameras,
    pixels: np.ndarray,
    likelihood: np.ndarray,
    covariance: np.ndarray | None,
    settings: Settings,
    prior: Prior,
    start: Triangulated,
) -> tuple[Fit, Posed]:
    """The fit of the settings' model, window by window, and what it was posed with, for `draw`.

    Args:
      cameras: C of them.
      pixels: [C, T, K, 2], NaN where missing.
      likelihood: [C, T, K].
      covariance: [C, T, K, 2, 2], px^2, or None.
      settings: which model, and how.
      prior: of the model.
      start: of `triangulate_views`.
    """
    observations, matrices = observed(cameras, pixels, likelihood, covariance, settings)
    prior = dataclasses.replace(
        prior,
        noise=noise_of(settings, prior.noise, likelihood.swapaxes(0, 1)),
        limbs=prior.limbs if settings.model in WITH_LIMBS else None,
        states=prior.states if settings.model == "gimbal" else None,
    )
    posed = Posed(observations, matrices, prior)
    functions = {
        "model0": model0.fit,
        "model1": partial(model1.fit, noise=settings.noise),
        "model2": partial(model2.fit, form=settings.form),
        "gimbal": gimbal.fit,
    }
    points = np.asarray(start.points)
    fit = fit_in_chunks(functions[settings.model], *posed, points, frames=settings.frames, overlap=settings.overlap)
    return jax.tree.map(np.asarray, fit), posed


def observed(
    cameras: Cameras, pixels: np.ndarray, likelihood: np.ndarray, covariance: np.ndarray | None, settings: Settings
) -> tuple[Observations, np.ndarray]:
    """The views that the settings' `cut` leaves, as if without lenses, and projection matrices [C, 3, 4] to them.

    Arguments as of `fit_views`.
    """
    cut = np.where((likelihood >= settings.cut)[..., None], pixels, np.nan)
    ideal = undistorted(cameras, cut).swapaxes(0, 1)
    if covariance is not None:
        covariance = np.nan_to_num(undistorted_covariance(cameras, cut, covariance)).swapaxes(0, 1)
    with jax.enable_x64(True):
        return Observations(ideal, covariance), np.asarray(projection_matrices(cameras))


def check_draws(number: int, frames: int, bodyparts: int) -> None:
    """Raises InputError for more draws of each chain than memory should hold."""
    chains = CHAINS * frames * bodyparts * 3
    if number * chains > MOST_DRAWN:
        raise InputError(
            f"--samples={number} of {frames} frames are {number * chains * 4 / 1e9:.1f} GB: ask for "
            f"{MOST_DRAWN // chains} or fewer, or give a shorter recording"
        )


def draw(posed: Posed, fit: Fit, number: int, seed: int) -> gibbs.Samples:
    """`number` draws of each of CHAINS chains, in NumPy arrays; see `check_draws`."""
    key = jax.random.key(seed)
    samples = gibbs.sample(key, *posed, fit, chains=CHAINS, burn_in=BURN_IN, kept=number, thin=THIN)
    return jax.tree.map(np.asarray, samples)
