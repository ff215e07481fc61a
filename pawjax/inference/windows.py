"""Following an animal with a window: the network sees only the part of each frame around the last pose.

The whole frame is predicted at first. Then a window of fixed size, centred on the last pose, serves a batch of frames.
A frame is predicted again as a whole if a point that placed its window is lost in it, or one is close to its border.
The window depends on the frame before the batch alone, so a resumed prediction places it equally.
"""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from pawjax.inference.pipeline import Stages
from pawjax.inference.predictor import CELL, Batch, Found, Points, Predictor, shifted

CONFIDENT = 0.5  # likelihood of a point that places a window
LOST = 0.25  # likelihood below which a point that was confident is lost; between the two it may flicker
MARGIN = 16  # px between a confident point and the border of its window, where the frame goes on
LONGEST_GRID = 128  # px


@dataclasses.dataclass(frozen=True)
class Pose:
    """The points of one frame: keypoints [K, 2], (x, y) px, and likelihood [K]."""

    keypoints: np.ndarray
    likelihood: np.ndarray

    @property
    def confident(self) -> np.ndarray:
        """bool [K]."""
        return self.likelihood >= CONFIDENT


def grid_of(scale: float) -> int:
    """Pixels of a frame that a network which sees it at `scale` takes for a whole number of its cells.

    Windows whose corner and side are multiples of it have the same cells as the whole frame. 16 where no number fits.
    """
    for grid in range(1, LONGEST_GRID + 1):
        cells = grid * scale / CELL
        if round(cells) >= 1 and abs(cells - round(cells)) < 1e-6:
            return grid
    return CELL


def window_side(side: int, grid: int) -> int:
    """The smallest multiple of the grid from `side` on."""
    return -(-side // grid) * grid


def place_window(pose: Pose, side: int, size: tuple[int, int], grid: int) -> tuple[int, int] | None:
    """The corner (x, y) of the window around a pose; None if no point is confident.

    Args:
      pose: of the frame before.
      side: of the window, px; it is cut to the frame's sides.
      size: (height, width) of the frames.
      grid: of `grid_of`.
    """
    if not pose.confident.any():
        return None
    points = pose.keypoints[pose.confident]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    room = np.maximum(np.array(size[::-1]) - side, 0)
    corner = np.clip(np.round((centre - side / 2) / grid) * grid, 0, room)
    return int(corner[0]), int(corner[1])


def is_lost(pose: Pose, placed: Pose, corner: tuple[int, int], side: int, size: tuple[int, int]) -> bool:
    """Whether a frame's pose, found within a window at `corner`, may be wrong.

    Args:
      pose: in pixels of the whole frame.
      placed: the pose that placed the window.
      corner, side: of the window.
      size: (height, width) of the frames.
    """
    if (pose.likelihood[placed.confident] < LOST).any():
        return True
    points = pose.keypoints[pose.confident]
    low, high, end = np.array(corner), np.array(corner) + side, np.array(size[::-1])
    near_low = (points < low + MARGIN) & (low > 0)
    near_high = (points > high - 1 - MARGIN) & (high < end)
    return bool((near_low | near_high).any())


def followed(
    predictor: Predictor, batches: Iterator[Batch], side: int, pose: Pose | None, stages: Stages
) -> Iterator[Found]:
    """The points of each batch, found in windows where that is safe."""
    grid = predictor.grid
    side = window_side(side, grid)

    def fetched(pixels: np.ndarray, n: int) -> Points:
        return jax.tree.map(lambda rows: rows[:n], jax.device_get(predictor.predict(pixels)))

    for pixels, times in batches:
        size = pixels.shape[1:3]
        corner = place_window(pose, side, size, grid) if pose else None
        with stages.timed("network"):
            if corner is None:
                points = fetched(pixels, len(times))
            else:
                window = pixels[:, corner[1] : corner[1] + side, corner[0] : corner[0] + side]
                points = shifted(fetched(window, len(times)), corner)
                lost = [row for row in range(len(times)) if is_lost(_pose(points, row), pose, corner, side, size)]
                for row in lost:  # one by one, because few are
                    whole = fetched(pixels[row : row + 1], 1)
                    points = {name: _replaced(points[name], row, whole[name][0]) for name in points}
        stages.frames["network"] += len(times)
        pose = _pose(points, -1)
        yield points, times


def _replaced(values: np.ndarray, row: int, value: np.ndarray) -> np.ndarray:
    values = np.array(values)
    values[row] = value
    return values


def _pose(points: Points, row: int) -> Pose:
    return Pose(points["keypoints"][row], points["likelihood"][row])
