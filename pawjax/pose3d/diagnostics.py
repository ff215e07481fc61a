"""What may be wrong with a recording: left and right that are swapped or merged in a camera, cameras shifted in time.

Swaps and shifts are told by reprojection errors, so that a rig of two cameras, of which either may be wrong, tells
less.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.triangulation import triangulate
from pawjax.pose3d.views import residuals

MUCH_LESS = 0.5  # of the error, that is left once left and right of a camera are exchanged
CLEARLY = 5.0  # times the camera's median error, by which the exchange lowers it
TOGETHER = 1.0  # px, within which two bodyparts are at the same place
MOST_FRAMES = 1000  # that are looked at for shifts
SHIFTED = 0.8  # of the error, that is left once a shifted camera is moved
LEAST = 0.5  # px, by which moving it lowers the error


class Swap(NamedTuple):
    """A camera whose points of two bodyparts seem exchanged in some frames."""

    camera: int
    left: int
    right: int
    frames: np.ndarray


def find_swaps(
    cameras: Cameras, pixels: np.ndarray, points: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> list[Swap]:
    """The cameras and frames in which exchanging a pair lowers the reprojection error a lot, most frames first.

    Args:
      cameras: C of them.
      pixels: [C, T, K, 2], (x, y), NaN where missing.
      points: [T, K, 3], mm.
      pairs: indices (left, right) of bodyparts.
    """
    usual = np.nanmedian(np.linalg.norm(residuals(cameras, pixels, points), axis=-1), axis=(1, 2))
    swaps = []
    for left, right in pairs:
        both, back = [left, right], [right, left]
        as_they_are = _size(residuals(cameras, pixels[:, :, both], points[:, both]))
        exchanged = _size(residuals(cameras, pixels[:, :, back], points[:, both]))
        wrong = (exchanged < MUCH_LESS * as_they_are) & (as_they_are - exchanged > CLEARLY * usual[:, None])
        swaps += [Swap(c, left, right, np.flatnonzero(wrong[c])) for c in range(len(cameras)) if wrong[c].any()]
    return sorted(swaps, key=lambda swap: -len(swap.frames))


def merged(pixels: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Shares [C, P] of the frames with both of a pair in which they are tracked at the same place; 0 if there are none.

    A network that cannot tell left from right puts both on the one that it sees, which no triangulation can mend.

    Args:
      pixels: [C, T, K, 2], (x, y), NaN where missing.
      pairs: P indices (left, right) of bodyparts.
    """
    left, right = (pixels[:, :, [pair[side] for pair in pairs]] for side in (0, 1))
    apart = np.linalg.norm(left - right, axis=-1)
    return (apart < TOGETHER).sum(1) / np.maximum(np.isfinite(apart).sum(1), 1)


def errors_by_shift(
    cameras: Cameras, pixels: np.ndarray, likelihood: np.ndarray, cut: float, threshold: float, most: int
) -> np.ndarray:
    """Median reprojection errors [C, 2 N + 1] of each camera, px, if its frames are taken N earlier to N later.

    Of three and more cameras, each is compared with the triangulation of the others, of two with that of both.

    Args:
      cameras: C of them.
      pixels: [C, T, K, 2], (x, y), NaN where missing.
      likelihood: [C, T, K]; below `cut` points are not used.
      cut: see there.
      threshold: px, of the consensus.
      most: N, frames.
    """
    inner = np.arange(most, pixels.shape[1] - most)
    frames = inner[np.unique(np.linspace(0, len(inner) - 1, min(len(inner), MOST_FRAMES)).astype(int))]
    shifts = range(-most, most + 1)
    seen = np.where((likelihood >= cut)[..., None], pixels, np.nan)
    errors = np.full((len(cameras), len(shifts)), np.nan)
    for camera in range(len(cameras)):
        for column, shift in enumerate(shifts):
            moved = seen[:, frames]
            moved[camera] = seen[camera, frames + shift]
            if len(cameras) == 2:
                errors[camera, column] = _median(_linear(cameras, moved))
                continue
            if not column:
                others = moved.copy()
                others[camera] = np.nan
                with jax.enable_x64(True):
                    points = np.asarray(triangulate(cameras, others, threshold=threshold).points)
                projected = moved[camera] - residuals(cameras, moved, points)[camera]
            errors[camera, column] = _median(np.linalg.norm(moved[camera] - projected, axis=-1))
    return errors


def find_shift(errors: np.ndarray) -> tuple[int, int] | None:
    """The camera that seems shifted most and by how many frames, by `errors_by_shift`; None if none does.

    A shifted camera disturbs what the others are compared with: move it, and look again for the next.
    """
    middle = errors.shape[1] // 2
    known = np.where(np.isfinite(errors), errors, np.inf)
    best, still = known.min(1), np.where(np.isfinite(known[:, middle]), known[:, middle], 0)
    shifted = (best < SHIFTED * still) & (best < still - LEAST)
    if not shifted.any():
        return None
    camera = int(np.argmin(np.where(shifted, best, np.inf) / np.where(shifted, still, 1)))
    return camera, int(known[camera].argmin()) - middle


def _linear(cameras: Cameras, pixels: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(triangulate(cameras, pixels, method="linear").error)


def _size(off: np.ndarray) -> np.ndarray:
    """Root mean square [C, T] of residuals [C, T, 2, 2] of a pair; NaN unless both are there."""
    return np.sqrt((off**2).sum(-1).mean(-1))


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
