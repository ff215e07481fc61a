"""What was reconstructed in 3D, with what it was made from: the one thing that the pictures of `triangulate` read.

World and camera frames as in `pawjax.pose3d.cameras`: millimetres, and a camera's z is its optical axis.
"""

import dataclasses

import jax
import numpy as np

from pawjax.pose3d.cameras import Cameras, depth, project
from pawjax.progress import track

FRAMES_AT_ONCE = 4096  # that are projected: bounds the memory

_project = jax.jit(project)


@dataclasses.dataclass(frozen=True)
class Positions:
    """One way of reconstruction: T frames, K bodyparts, C cameras.

    Attributes:
      name: of the way, e.g. "ransac" or "gimbal".
      mean: float [T, K, 3] in the world, mm; NaN where missing.
      covariance: float [T, K, 3, 3] in the world, mm^2, NaN where missing; None if the way has none.
      outlier: float [T, C, K], the probability that a camera's point is an outlier, NaN where there is no point; None
        if the way has none.
    """

    name: str
    mean: np.ndarray
    covariance: np.ndarray | None = None
    outlier: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Scene:
    """Tracks of C cameras and the positions that were made from them: T frames, K bodyparts.

    Attributes:
      bodyparts: K names.
      edges: pairs of indices of bodyparts that lines join; may be empty.
      times: float [T] of the frames, s, ascending.
      cameras: C of them, in the order of the tracks.
      pixels: float [C, T, K, 2], the tracked points (x, y), px of each camera's frames; NaN where missing.
      likelihood: float [C, T, K] of the tracked points, 0 to 1.
      positions: the raw triangulation first, then the models; at least one, their names differ.
    """

    bodyparts: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    times: np.ndarray
    cameras: Cameras
    pixels: np.ndarray
    likelihood: np.ndarray
    positions: tuple[Positions, ...]

    def named(self, name: str) -> Positions:
        """The positions of this name. Raises KeyError if there are none."""
        return {one.name: one for one in self.positions}[name]


def reprojected(cameras: Cameras, mean: np.ndarray) -> np.ndarray:
    """Where each camera sees positions [T, K, 3] in the world, mm: float32 [C, T, K, 2], (x, y) px.

    NaN where the position is missing, or lies behind a camera without a fisheye.
    """
    pieces = []
    for piece in _pieces(mean):
        hidden = ~(np.asarray(depth(cameras, piece)) > 0) & ~np.asarray(cameras.fisheye)[:, None, None]
        pieces.append(np.where(hidden[..., None], np.nan, np.asarray(_project(cameras, piece), np.float32)))
    return np.concatenate(pieces, axis=1)


def reprojection_error(scene: Scene, positions: Positions) -> np.ndarray:
    """Mean distance, px, of the tracked points to the reprojected ones, weighted by their likelihoods: float32 [T, K].

    NaN where no camera has both. Points that a way holds to be outliers count as the others.
    """
    means, errors, start = _pieces(positions.mean), [], 0
    for mean in track(means, f"errors of {positions.name}"):
        frames = slice(start, start := start + len(mean))
        distance = np.linalg.norm(reprojected(scene.cameras, mean) - scene.pixels[:, frames], axis=-1)
        weight = np.where(np.isfinite(distance), np.nan_to_num(scene.likelihood[:, frames]), 0)
        with np.errstate(invalid="ignore"):
            errors.append((weight * np.nan_to_num(distance)).sum(0) / weight.sum(0))
    return np.concatenate(errors).astype(np.float32)


def _pieces(array: np.ndarray) -> list[np.ndarray]:
    """An array [T, ...] in pieces of at most FRAMES_AT_ONCE frames, at least one."""
    return [array[start : start + FRAMES_AT_ONCE] for start in range(0, max(len(array), 1), FRAMES_AT_ONCE)]
