"""What was reconstructed in 3D, with what it was made from: the one thing that the pictures of `triangulate` read.

World and camera frames as in `pawjax.pose3d.cameras`: millimetres, and a camera's z is its optical axis.
"""

import dataclasses

import numpy as np

from pawjax.pose3d.cameras import Cameras


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
