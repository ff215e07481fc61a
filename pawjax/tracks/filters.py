"""Filters of tracks over time. Positions change, likelihoods do not; each returns new tracks whose origin says how.

A missing point (NaN) stays missing, but `interpolate` and the smoothers in `pawjax.tracks.kalman` and
`pawjax.tracks.ensemble_kalman` fill gaps. `pawjax.tracks.viterbi` puts a point at its next best place, with the
likelihood of that place.
"""

import dataclasses

import numpy as np

from pawjax.errors import InputError
from pawjax.tracks.tracks import Tracks

WINDOW, SMOOTH_WINDOW, ORDER = 5, 7, 2  # frames; DeepLabCut's median has 5 as well
CHUNK = 1024  # frames filtered at once, which bounds memory


def median(tracks: Tracks, window: int = WINDOW) -> Tracks:
    """The median over `window` frames of x and y, each by itself, as scipy.signal.medfilt and DeepLabCut have it.

    Beyond the ends the video counts as zeros. Missing points of a window are left out. Raises InputError for an even
    window.
    """
    _check_window(window)
    half = window // 2
    points = tracks.keypoints.astype(np.float64)
    padded = np.pad(points, [(half, half), (0, 0), (0, 0), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    result = np.empty_like(points)
    for first in range(0, len(points), CHUNK):
        here = slice(first, first + CHUNK)
        missing = np.isnan(points[here])
        middle = np.nanmedian(np.where(missing[..., None], 0, windows[here]), axis=-1)
        result[here] = np.where(missing, np.nan, middle)
    return with_points(tracks, result, f"median of {window} frames")


def savitzky_golay(tracks: Tracks, window: int = SMOOTH_WINDOW, order: int = ORDER) -> Tracks:
    """Each position by the polynomial in time that fits its window best (Savitzky and Golay, 1964).

    At the ends the first or last whole window serves. Presentation times may be irregular; missing points of a window
    are left out; `order` points or fewer are fitted exactly, so they stay. Raises InputError for an even window, or one
    of `order` frames or fewer.
    """
    _check_window(window)
    if order >= window:
        raise InputError(f"a polynomial of order {order} needs a window of more frames than {window}")
    check_times(tracks)
    n = len(tracks)
    window = min(window, n)
    points = tracks.keypoints.astype(np.float64).reshape(n, -1, 2)
    present = np.isfinite(points).all(-1)
    values = np.where(present[..., None], points, 0)
    unit = typical_step(tracks.times)
    result = points.copy()
    for first in range(0, n, CHUNK):
        frames = np.arange(first, min(first + CHUNK, n))
        near = np.clip(frames - window // 2, 0, n - window)[:, None] + np.arange(window)  # [T, W]
        apart = (tracks.times[near] - tracks.times[frames, None]) / unit
        powers = apart[..., None] ** np.arange(order + 1)  # [T, W, order + 1]
        weights = present[near].astype(np.float64)  # [T, W, N]
        normal = np.einsum("twi,twj,twn->tnij", powers, powers, weights)
        moments = np.einsum("twi,twnc->tnic", powers, values[near])
        here = np.einsum("tni,tnic->tnc", np.linalg.pinv(normal, hermitian=True)[:, :, 0], moments)
        result[frames] = np.where(present[frames][..., None], here, points[frames])
    return with_points(
        tracks, result.reshape(tracks.keypoints.shape), f"Savitzky-Golay of {window} frames, order {order}"
    )


def interpolate(tracks: Tracks, longest: int, below: float = 0.0) -> Tracks:
    """Fills gaps of at most `longest` frames on the straight line in time between the points at their ends.

    A gap is a run of frames whose point is missing or has a likelihood under `below`. Longer gaps, and those at the
    ends of the video, stay as they are. Raises InputError for times that go back.
    """
    check_times(tracks)
    n = len(tracks)
    points = tracks.keypoints.astype(np.float64).reshape(n, -1, 2)
    likelihood = tracks.likelihood.reshape(n, -1)
    good = np.isfinite(points).all(-1) & ~(likelihood < below)
    frames = np.arange(n)[:, None]
    last = np.maximum.accumulate(np.where(good, frames, -1), axis=0)
    following = np.minimum.accumulate(np.where(good, frames, n)[::-1], axis=0)[::-1]
    fills = ~good & (last >= 0) & (following < n) & (following - last - 1 <= longest)
    for k in np.flatnonzero(fills.any(0)):
        times, known = tracks.times, good[:, k]
        for axis in range(2):
            line = np.interp(times, times[known], points[known, k, axis])
            points[:, k, axis] = np.where(fills[:, k], line, points[:, k, axis])
    how = f"gaps up to {longest} frames interpolated" + (f" (likelihood under {below:g})" if below else "")
    return with_points(tracks, points.reshape(tracks.keypoints.shape), how)


def with_points(tracks: Tracks, points: np.ndarray, how: str) -> Tracks:
    """The tracks with other positions [T, A, K, 2], and `how` added to their origin's 'filter'."""
    done = f"{tracks.origin['filter']}; {how}" if "filter" in tracks.origin else how
    origin = tracks.origin | {"filter": done}
    return dataclasses.replace(tracks, keypoints=points.astype(np.float32), origin=origin)


def check_times(tracks: Tracks) -> None:
    """Raises InputError where a presentation time is not a number, or earlier than the one before."""
    wrong = np.flatnonzero(~np.isfinite(tracks.times) | (np.diff(tracks.times, prepend=tracks.times[:1]) < 0))
    if len(wrong):
        raise InputError(
            f"the time of frame {wrong[0]} comes before that of the frame before it: predict the video again"
        )


def typical_step(times: np.ndarray) -> float:
    """The median time between frames, seconds; 1 where it is 0 or there is none."""
    return float(np.median(np.diff(times))) or 1.0 if len(times) > 1 else 1.0


def _check_window(window: int) -> None:
    if window < 1 or window % 2 == 0:
        raise InputError(f"a window of {window} frames has no middle: give an odd number, e.g. {WINDOW}")
