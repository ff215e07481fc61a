"""A smoother of tracks: each point moves at constant velocity but for random accelerations (Kalman, 1960; the
backward pass of Rauch, Tung and Striebel, 1965).

The state of a point is (x, y, velocity of x, velocity of y). Between frames dt apart, white noise of spectral density q
accelerates it: its variance grows by q dt^3/3 in position and q dt in velocity. A frame measures the position with the
covariance s C / p: C of its score map (the identity where the method has none) over its median, p the likelihood, so
that a doubtful point counts p of a measurement. The prior is flat in position and wide in velocity. q / s is the value
of RATIOS that makes each point's own track likeliest, with s at its maximum in closed form: only how the covariances
compare from frame to frame counts, not their size.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from pawjax.tracks.filters import check_times, typical_step, with_points
from pawjax.tracks.tracks import Tracks

RATIOS = 10.0 ** np.arange(-8, 4.5, 0.5)  # q / s tried, with the typical time between frames as the unit of time
PRIOR_VELOCITY = 1e6  # variance over s, px^2 a frame^2
LEAST_LIKELIHOOD = 1e-3  # likelier points only count for more
LEAST_VARIANCE = 1e-3  # of C over its median: a score map of one cell is no certain point
FEWEST = 4  # points of a track that is smoothed
TINY = 1e-12


class Measurements(NamedTuple):
    """What N points of D coordinates measure in T frames.

    Attributes:
      positions: [T, N, D].
      covariances: [T, N, D, D], over s.
      there: bool [T, N].
    """

    positions: np.ndarray
    covariances: np.ndarray
    there: np.ndarray


def smooth(tracks: Tracks, how: str = "Kalman smoother of constant velocity") -> Tracks:
    """The most probable positions given the whole track, with their covariances.

    A frame counts by its likelihood and by the covariance of its point, from the score map or the networks' spread.
    Missing points between two others are filled; before a bodypart's first and after its last point they stay missing.
    A bodypart of fewer than 4 points stays as it is. Float64, and 200 bytes a point and frame. Raises InputError for
    times that go back.
    """
    check_times(tracks)
    shape = tracks.likelihood.shape
    measured = measurements(tracks)
    steps = np.diff(tracks.times, prepend=tracks.times[:1]) / typical_step(tracks.times)
    ratios, scales = fit(measured, steps)
    means, covariances = smoothed(measured, steps, ratios)
    kept = within(measured.there)
    positions = np.where(kept[..., None], means[..., :2], tracks.keypoints.reshape(measured.positions.shape))
    spread = np.where(kept[..., None, None], covariances[..., :2, :2] * scales[:, None, None], np.nan)
    result = with_points(tracks, positions.reshape(*shape, 2), how)
    return dataclasses.replace(result, covariance=spread.reshape(*shape, 2, 2).astype(np.float32))


def within(there: np.ndarray) -> np.ndarray:
    """Where [T, N] points are smoothed: from the first to the last measurement of those with FEWEST or more."""
    between = np.logical_or.accumulate(there) & np.logical_or.accumulate(there[::-1])[::-1]
    return (there.sum(0) >= FEWEST) & between


def measurements(tracks: Tracks) -> Measurements:
    """The measurements of N = A K points."""
    n = len(tracks)
    positions = tracks.keypoints.astype(np.float64).reshape(n, -1, 2)
    likelihood = tracks.likelihood.astype(np.float64).reshape(n, -1)
    covariances = tracks.covariance.astype(np.float64).reshape(n, -1, 2, 2)
    there = np.isfinite(positions).all(-1) & (likelihood > 0)
    known = np.isfinite(covariances).all((-1, -2)) & there
    size = np.trace(covariances, axis1=-2, axis2=-1) / 2
    typical = np.array([np.median(size[known[:, k], k]) if known[:, k].any() else 1 for k in range(size.shape[1])])
    identity = np.eye(2)
    relative = np.where(known[..., None, None], covariances / np.maximum(typical, TINY)[:, None, None], identity)
    weight = np.clip(np.where(there, likelihood, 1), LEAST_LIKELIHOOD, 1)
    relative = (relative + LEAST_VARIANCE * identity) / weight[..., None, None]
    return Measurements(np.where(there[..., None], positions, 0), relative, there)


def fit(measured: Measurements, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest q / s and s of each of N points: two arrays [N]."""
    n, dimensions = measured.positions.shape[1:]
    grid = len(RATIOS)
    tiled = Measurements(*(np.repeat(array, grid, axis=1) for array in measured))
    surprise = np.zeros((2, n * grid))  # squared, and the logarithm of its determinant
    for frame in _filtered(tiled, steps, np.tile(RATIOS, n)):
        surprise += frame.surprise
    count = np.maximum(dimensions * (measured.there.sum(0) - 1), 1)[:, None]  # numbers measured after the first point
    scales = np.maximum(surprise[0].reshape(n, grid) / count, TINY)
    best = (count * np.log(scales) + surprise[1].reshape(n, grid)).argmin(1)
    return RATIOS[best], scales[np.arange(n), best]


def smoothed(measured: Measurements, steps: np.ndarray, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [T, N, S] and covariances over s [T, N, S, S] of the states given all frames.

    S is 2 D, positions and velocities.

    Args:
      measured: of N points in T frames.
      steps: [T], time since the frame before; the first counts for nothing.
      ratios: [N], q / s.

    States before a point's first measurement are of no meaning.
    """
    frames = list(_filtered(measured, steps, ratios))
    means = np.stack([frame.mean for frame in frames])
    covariances = np.stack([frame.covariance for frame in frames])
    del frames
    started = np.logical_or.accumulate(measured.there)
    for t in range(len(steps) - 2, -1, -1):
        motion, gained = _motion(steps[t + 1], measured.positions.shape[-1])
        ahead_mean, ahead = _predicted(means[t], covariances[t], steps[t + 1], ratios)
        gain = np.linalg.solve(ahead, motion @ covariances[t]).swapaxes(-1, -2)
        mean = means[t] + np.einsum("nij,nj->ni", gain, means[t + 1] - ahead_mean)
        kept = np.eye(len(motion)) - gain @ motion
        after = covariances[t + 1] + ratios[:, None, None] * gained
        covariance = _between(kept, covariances[t]) + _between(gain, after)
        means[t] = np.where(started[t][:, None], mean, means[t])
        covariances[t] = np.where(started[t][:, None, None], covariance, covariances[t])
    return means, covariances


class _Frame(NamedTuple):
    """States given the frames so far: means [N, S], covariances [N, S, S]; surprise [2, N] of the measurements."""

    mean: np.ndarray
    covariance: np.ndarray
    surprise: np.ndarray


def _filtered(measured: Measurements, steps: np.ndarray, ratios: np.ndarray):  # noqa: ANN202 - Iterator[_Frame]
    """The forward pass. A point starts at its first measurement, which the flat prior believes."""
    n, d = measured.positions.shape[1:]
    mean, covariance = np.zeros((n, 2 * d)), np.tile(np.eye(2 * d), (n, 1, 1))
    started = np.zeros(n, bool)
    for position, noise, there, step in zip(*measured, steps, strict=True):
        mean, covariance = _predicted(mean, covariance, step, ratios)
        innovation = position - mean[:, :d]
        spread = covariance[:, :d, :d] + noise
        gain = np.linalg.solve(spread, covariance[:, :d]).swapaxes(-1, -2)  # [N, S, D]
        update = (there & started)[:, None]
        surprise = _surprise(innovation, spread) * update[:, 0]
        mean = mean + np.where(update, np.einsum("nij,nj->ni", gain, innovation), 0)
        kept = np.tile(np.eye(2 * d), (n, 1, 1))
        kept[..., :d] -= gain
        updated = _between(kept, covariance) + _between(gain, noise)  # Joseph's form, which stays positive
        covariance = np.where(update[..., None], updated, covariance)
        starts = there & ~started
        if starts.any():
            mean[starts], mean[starts, :d] = 0, position[starts]
            covariance[starts] = PRIOR_VELOCITY * np.eye(2 * d)
            covariance[starts, :d] = covariance[starts, :, :d] = 0
            covariance[starts, :d, :d] = noise[starts]
        started |= there
        yield _Frame(mean, covariance, surprise)


def _surprise(innovation: np.ndarray, spread: np.ndarray) -> np.ndarray:
    squared = (innovation * np.linalg.solve(spread, innovation[..., None])[..., 0]).sum(-1)
    return np.stack([squared, np.log(np.linalg.det(spread))])


def _between(sides: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """sides middle sides^T, of every point."""
    return sides @ middle @ sides.swapaxes(-1, -2)


def _motion(step: float, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """What takes the state [S, S] one step later, and the covariance [S, S] over q that it gains."""
    motion = [[1, step], [0, 1]]
    gained = [[step**3 / 3, step**2 / 2], [step**2 / 2, step]]
    return _of_each(motion, dimensions), _of_each(gained, dimensions)


def _of_each(block: list[list[float]], dimensions: int) -> np.ndarray:
    """A matrix of position and velocity, the same for each coordinate; np.kron takes five times as long."""
    return (np.array(block)[:, None, :, None] * np.eye(dimensions)[:, None, :]).reshape(2 * dimensions, 2 * dimensions)


def _predicted(
    mean: np.ndarray, covariance: np.ndarray, step: float, ratios: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    motion, gained = _motion(step, mean.shape[-1] // 2)
    return mean @ motion.T, motion @ covariance @ motion.T + ratios[:, None, None] * gained
