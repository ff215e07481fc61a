"""Ensemble Kalman smoothing over several cameras, without calibration (Biderman et al., 2024, the linear model).

What C cameras see of one bodypart are 2 C numbers a frame, but the bodypart moves in 3 dimensions: but for perspective,
the numbers lie in a space of 3 dimensions, which principal components find in the frames that all cameras see and that
the ensembles agree on. The place in it is what `pawjax.tracks.kalman` smooths. Every camera measures it with its own
ensemble's spread, so that cameras which see a point correct those which do not. Each camera's smoothed track is the
projection back.

Perspective is left out: a bodypart that comes much closer to a camera or goes away is placed with an error.
Calibrated cameras have `pawjax.pose3d`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pawjax.errors import InputError
from pawjax.tracks.ensemble_kalman import TIME, joined
from pawjax.tracks.filters import check_times, typical_step, with_points
from pawjax.tracks.kalman import TINY, Measurements, fit, measurements, smoothed, within
from pawjax.tracks.tracks import Tracks

DIMENSIONS = 3
FEWEST_SEEN = 10  # frames in which all cameras see a bodypart
WIDE = 100.0  # the prior's variance of a latent coordinate in every frame, over that of the principal component


def ensemble_smooth_cameras(members: Mapping[str, Sequence[Tracks]]) -> dict[str, Tracks]:
    """The most probable positions in every camera given all networks' tracks of all cameras, with their covariances.

    A point that a camera does not see is filled where others see it, from the bodypart's first to its last frame in
    any camera. Likelihoods are the means of that camera's members.

    Args:
      members: of each of 2 or more cameras, by name, the tracks of 2 or more networks. Frames are synchronous.

    Raises InputError for one camera alone, for cameras of other bodyparts, frames or times, for a bodypart that all
    cameras see in fewer than 10 frames, and as `pawjax.tracks.ensemble_kalman.ensemble_smooth` does.
    """
    cameras = {name: joined(tracks) for name, tracks in members.items()}
    _check_cameras(cameras)
    first = next(iter(cameras.values()))
    shape = first.likelihood.shape
    views = _views(list(cameras.values()))
    spaces = [_space(views, k, first.bodyparts[k % shape[-1]]) for k in range(views.there.shape[2])]
    measured = _in_space(views, spaces)
    steps = np.diff(first.times, prepend=first.times[:1]) / typical_step(first.times)
    ratios, scales = fit(measured, steps)
    means, covariances = smoothed(measured, steps, ratios)
    means, covariances = means[..., :DIMENSIONS], covariances[..., :DIMENSIONS, :DIMENSIONS]
    kept = within(measured.there)
    result = {}
    for c, (name, tracks) in enumerate(cameras.items()):
        loadings = np.stack([space.loadings.reshape(-1, 2, DIMENSIONS)[c] for space in spaces])  # [N, 2, D]
        centres = np.stack([space.centre.reshape(-1, 2)[c] for space in spaces])
        points = np.einsum("nij,tnj->tni", loadings, means) + centres
        spread = loadings @ covariances @ loadings.swapaxes(-1, -2) * scales[:, None, None]
        points = np.where(kept[..., None], points, tracks.keypoints.reshape(points.shape))
        spread = np.where(kept[..., None, None], spread, np.nan).astype(np.float32)
        how = f"ensemble Kalman smoother of {len(members[name])} networks and {len(cameras)} cameras"
        done = with_points(tracks, points.reshape(*shape, 2), how)
        result[name] = dataclasses.replace(done, covariance=spread.reshape(*shape, 2, 2))
    return result


class _Views(NamedTuple):
    """What C cameras measure of N points: positions [C, T, N, 2], covariances over one scale, and where [C, T, N]."""

    positions: np.ndarray
    covariances: np.ndarray
    there: np.ndarray


class _Space(NamedTuple):
    """Where a point moves: centre [2 C], loadings [2 C, 3], and the variance [3], px^2, along each of its axes."""

    centre: np.ndarray
    loadings: np.ndarray
    variance: np.ndarray


def _views(cameras: Sequence[Tracks]) -> _Views:
    """The measurements of all cameras; covariances are over the mean of the cameras' typical variances, by point."""
    views = [measurements(tracks) for tracks in cameras]
    typical = np.stack([_typical(tracks) for tracks in cameras])
    relative = typical / typical.mean(0)
    covariances = np.stack([view.covariances for view in views]) * relative[:, None, :, None, None]
    return _Views(np.stack([view.positions for view in views]), covariances, np.stack([view.there for view in views]))


def _typical(tracks: Tracks) -> np.ndarray:
    """The median variance [N] of points, px^2; 1 where no point has any."""
    size = np.trace(tracks.covariance.astype(np.float64), axis1=-2, axis2=-1).reshape(len(tracks), -1) / 2
    known = np.isfinite(size)
    return np.array([max(np.median(size[know, k]), TINY) if know.any() else 1 for k, know in enumerate(known.T)])


def _space(views: _Views, k: int, bodypart: str) -> _Space:
    """Principal components of point k in the half of the frames with the least variance, of those all cameras see."""
    seen = np.flatnonzero(views.there[:, :, k].all(0))
    if len(seen) < FEWEST_SEEN:
        raise InputError(
            f"all cameras together see '{bodypart}' in {len(seen)} frames, and {FEWEST_SEEN} are needed to learn how "
            "their views go together: leave that bodypart or a camera out, or smooth each camera by itself"
        )
    size = np.trace(views.covariances[:, seen, k], axis1=-2, axis2=-1).sum(0)
    sure = seen[size <= max(np.median(size), np.sort(size)[FEWEST_SEEN - 1])]
    points = views.positions[:, sure, k].swapaxes(0, 1).reshape(len(sure), -1)
    centre = points.mean(0)
    _, values, axes = np.linalg.svd(points - centre, full_matrices=False)
    return _Space(centre, axes[:DIMENSIONS].T, values[:DIMENSIONS] ** 2 / len(sure))


def _in_space(views: _Views, spaces: Sequence[_Space]) -> Measurements:
    """What all cameras of a frame together measure: places in the spaces, by weighted least squares.

    The prior, weak and the same in every frame, stands for what a single camera does not see.
    """
    loadings = np.stack([space.loadings.reshape(-1, 2, DIMENSIONS) for space in spaces], axis=1)  # [C, N, 2, D]
    centres = np.stack([space.centre.reshape(-1, 2) for space in spaces], axis=1)  # [C, N, 2]
    variance = np.maximum(np.stack([space.variance for space in spaces]), TINY)
    weights = np.where(views.there[..., None, None], np.linalg.inv(views.covariances), 0)  # [C, T, N, 2, 2]
    off = views.positions - centres[:, None]
    precision = np.einsum("cnid,ctnij,cnje->tnde", loadings, weights, loadings)
    precision = precision + (np.eye(DIMENSIONS) / (WIDE * variance[:, :, None]))
    linear = np.einsum("cnid,ctnij,ctnj->tnd", loadings, weights, off)
    covariances = np.linalg.inv(precision)
    places = np.einsum("tnde,tne->tnd", covariances, linear)
    return Measurements(places, covariances, views.there.any(0))


def _check_cameras(cameras: Mapping[str, Tracks]) -> None:
    """Raises InputError, one sentence, unless there are 2 or more cameras of the same bodyparts, frames and times."""
    if len(cameras) < 2:
        raise InputError("smoothing over cameras needs 2 or more: smooth one camera's tracks with ensemble_smooth")
    (name, first), *others = cameras.items()
    for other, tracks in others:
        if tracks.bodyparts != first.bodyparts:
            odd = sorted(set(tracks.bodyparts) ^ set(first.bodyparts))
            why = f"only one of them has '{odd[0]}'" if odd else "the order differs"
            raise InputError(f"camera '{other}' has other bodyparts than camera '{name}': {why}")
        if tracks.likelihood.shape != first.likelihood.shape:
            raise InputError(
                f"camera '{other}' has {len(tracks)} frames and camera '{name}' {len(first)}: give synchronous videos"
            )
        apart = np.abs((tracks.times - tracks.times[:1]) - (first.times - first.times[:1]))
        late = np.flatnonzero(~(apart <= max(TIME, typical_step(first.times) / 2)))
        if len(late):
            raise InputError(
                f"frame {late[0]} of camera '{other}' is half a frame or more away in time from that of camera "
                f"'{name}': give synchronous videos"
            )
    check_times(first)
