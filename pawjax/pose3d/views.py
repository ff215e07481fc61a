"""Tracked points of several cameras made ready for the models, and how far they lie from projections."""

from functools import partial

import jax
import numpy as np

from pawjax.pose3d.cameras import Cameras, project, undistort

AT_ONCE = 4096  # frames in memory
STEP = 0.5  # px, for the derivative of the lens

_project, _undistort = jax.jit(project), jax.jit(undistort)


def undistorted(cameras: Cameras, pixels: np.ndarray) -> np.ndarray:
    """Pixels [C, T, K, 2] of the same cameras with ideal lenses, float64; NaN where they are or no ray is."""
    return _by_frames(partial(_undistort, cameras), pixels)


def undistorted_covariance(cameras: Cameras, pixels: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Covariances [C, T, K, 2, 2] of points, px^2, after `undistorted`, by its derivative at pixels [C, T, K, 2]."""
    columns = [
        (undistorted(cameras, pixels + step) - undistorted(cameras, pixels - step)) / (2 * STEP)
        for step in STEP * np.eye(2)
    ]
    slope = np.stack(columns, -1)
    return np.einsum("...ij,...jk,...lk->...il", slope, covariance, slope)


def residuals(cameras: Cameras, pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels [C, T, K, 2] less the projections of points [T, K, 3] in mm, px, through the lenses, float64."""
    return pixels - _by_frames(lambda piece: _project(cameras, piece[0]), points[None])


def _by_frames(function, array: np.ndarray) -> np.ndarray:  # noqa: ANN001
    """The function of an array [*, T, ...], some frames at a time, in float64."""
    with jax.enable_x64(True):
        pieces = [np.asarray(function(array[:, at : at + AT_ONCE])) for at in range(0, max(array.shape[1], 1), AT_ONCE)]
    return np.concatenate(pieces, axis=1)
