"""Model 1: the random walk of Model 0, with pixels that may be outliers.

With its prior probability an observation is no projection of its bodypart but something else, wherever: a wide Gaussian
around the projection. The most probable positions, with the question answered on average, come from the EM algorithm
(Dempster, Laird and Rubin, 1977): each step weighs an observation by the probability that it is an inlier, which is
iteratively reweighted least squares. Student-t and Huber are alternatives that know no probability of outliers.
"""

from typing import Any

from pawjax.errors import InputError, did_you_mean
from pawjax.pose3d import noise
from pawjax.pose3d.model0 import fit_each
from pawjax.pose3d.parameters import Fit, Observations, Prior

NOISES = {"mixture": noise.mixture, "student_t": noise.student_t, "huber": noise.huber}


def fit(observations: Observations, cameras: Any, prior: Prior, start: Any = None, noise: str = "mixture") -> Fit:
    """The most probable positions near the start, their covariances, and the probabilities of outliers.

    Args:
      observations: of T frames, C cameras, K bodyparts.
      cameras: [C, 3, 4], projection matrices to undistorted pixels.
      prior: `step_variance` and `noise` count.
      start: [T, K, 3], positions to start from, NaN where unknown; without, Student-t from the direct linear transform.
      noise: 'mixture', 'student_t' or 'huber'. The last two use `noise.inlier` alone, and their probability of an
        outlier is the weight that an observation has lost.

    Returns:
      Fit, in JAX's default precision.

    Raises:
      InputError: as of Model 0, or for an unknown noise.
    """
    if noise not in NOISES:
        raise InputError(f"noise {noise!r} is unknown: {did_you_mean(noise, tuple(NOISES), 'use mixture')}")
    if start is None and noise == "mixture":
        start = fit_each(observations, cameras, prior, None, NOISES["student_t"]).mean
    return fit_each(observations, cameras, prior, start, NOISES[noise])
