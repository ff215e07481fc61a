"""The likeliest path through each frame's candidate places (Viterbi, 1967).

A network may be sure of a wrong place, often another paw's, while the right one is its next best. A path takes one
candidate in each frame; it costs the candidates' log-likelihoods and, between frames dt apart, the logarithm of

    (1 - JUMPS) N(step; 0, sigma^2 dt I) + JUMPS / area

so that a point moves about sigma px per sqrt(frame), but may jump anywhere in the frame at a fixed cost. Dynamic
programming finds the path of least cost exactly, in time linear in the frames.
"""

import dataclasses

import numpy as np

from pawjax.tracks.filters import check_times, typical_step, with_points
from pawjax.tracks.tracks import Tracks

JUMPS = 0.01  # of all steps
LEAST_SIGMA = 0.5  # px per sqrt(frame): a resting point is found no more exactly
SHORTEST = 0.1  # frames that a step takes at least, for equal times
QUICK = 95  # percent of steps are no longer than those that sigma is taken from: an animal rests, then runs
QUICK_SQUARE = -2 * np.log(1 - QUICK / 100)  # that percentile of a squared step over sigma^2 dt


def choose(tracks: Tracks) -> Tracks:
    """The tracks with each point at its best or next best place, whichever lies on the likeliest path.

    A point that changes takes its likelihood along, its covariance is then unknown (NaN), and the place it leaves is
    its next best one. Missing points stay missing, and tracks without next best places stay as they are. Raises
    InputError for times that go back.
    """
    check_times(tracks)
    shape = tracks.likelihood.shape
    places = np.stack([tracks.keypoints, tracks.second[..., :2]], axis=-2).reshape(len(tracks), -1, 2, 2)
    likelihood = np.stack([tracks.likelihood, tracks.second[..., 2]], axis=-1).reshape(len(tracks), -1, 2)
    likelihood[np.isnan(places[..., 0, 0])] = np.nan  # no next best place without a best one
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.log(likelihood.astype(np.float64))
    steps = np.diff(tracks.times, prepend=tracks.times[:1]) / typical_step(tracks.times)
    sigma = usual_step(places[..., 0, :], steps)
    path = best_path(
        places, scores, steps, sigma, max(1.0, float(np.prod(tracks.size)))
    )  # tables of others have no size
    changed = (path == 1).reshape(shape)
    points = np.where(changed[..., None], tracks.second[..., :2], tracks.keypoints)
    left = np.concatenate([tracks.keypoints, tracks.likelihood[..., None]], axis=-1)
    result = with_points(tracks, points, "likeliest path (Viterbi) through the best and next best places")
    return dataclasses.replace(
        result,
        likelihood=np.where(changed, tracks.second[..., 2], tracks.likelihood),
        second=np.where(changed[..., None], left, tracks.second),
        covariance=np.where(changed[..., None, None], np.float32(np.nan), tracks.covariance),
    )


def usual_step(points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """sigma of N points [T, N, 2], px per sqrt(frame), by their quicker steps, which few jumps do not change.

    Args:
      points: px; NaN where missing.
      steps: [T], time since the frame before, in frames.
    """
    squared = (np.diff(points.astype(np.float64), axis=0) ** 2).sum(-1)
    known = np.isfinite(squared) & (steps[1:] > 0)[:, None]
    rates = np.where(known, squared / np.where(steps[1:] > 0, steps[1:], 1)[:, None], np.nan)
    quick = [np.percentile(rate[know], QUICK) if know.any() else 0 for rate, know in zip(rates.T, known.T, strict=True)]
    return np.maximum(np.sqrt(np.array(quick) / QUICK_SQUARE), LEAST_SIGMA)


def best_path(places: np.ndarray, scores: np.ndarray, steps: np.ndarray, sigma: np.ndarray, area: float) -> np.ndarray:
    """The candidate of each of N points in each frame on its likeliest path: int [T, N], -1 where there is none.

    Args:
      places: [T, N, C, 2], px, of C candidates.
      scores: [T, N, C], log-likelihoods; a candidate of -inf or NaN, or at NaN, is none. Through frames without any the
        path goes on in one longer step.
      steps: [T], time since the frame before, in frames; the first counts for nothing.
      sigma: [N], px per sqrt(frame).
      area: of the frame, px^2.
    """
    n_frames, n, c = scores.shape
    scores = np.where(np.isfinite(places).all(-1) & np.isfinite(scores), scores, -np.inf).astype(np.float64)
    there = np.isfinite(scores).any(-1)  # [T, N]
    came = np.zeros((n_frames, n, c), np.intp)  # the candidate in the frame before that has any
    best = np.zeros((n, c))  # log-likelihood of the best path to each candidate of the last frame that has any
    last = np.zeros((n, c, 2))
    elapsed, started = np.zeros(n), np.zeros(n, bool)
    for t in range(n_frames):
        elapsed += steps[t]
        here = np.where(np.isfinite(scores[t])[..., None], places[t], 0)
        total = best[:, None] + _transition(here[:, :, None] - last[:, None], elapsed, sigma, area)  # [N, to, from]
        came[t] = total.argmax(-1)
        reached = np.where(started[:, None], total.max(-1), 0) + scores[t]
        best = np.where(there[t][:, None], reached, best)
        last = np.where(there[t][:, None, None], here, last)
        elapsed[there[t]] = 0
        started |= there[t]
    path = np.full((n_frames, n), -1)
    candidate = best.argmax(-1)
    for t in range(n_frames - 1, -1, -1):
        path[t, there[t]] = candidate[there[t]]
        candidate = np.where(there[t], came[t, np.arange(n), candidate], candidate)
    return path


def _transition(step: np.ndarray, elapsed: np.ndarray, sigma: np.ndarray, area: float) -> np.ndarray:
    """Log-density [N, C, C] of steps [N, C, C, 2] after a time [N]."""
    variance = (sigma**2 * np.maximum(elapsed, SHORTEST))[:, None, None]
    normal = np.log((1 - JUMPS) / (2 * np.pi * variance)) - (step**2).sum(-1) / (2 * variance)
    return np.logaddexp(normal, np.log(JUMPS / area))
