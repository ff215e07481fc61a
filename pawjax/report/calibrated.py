"""What a calibration's report shows: the result, what it was made from, and numbers of both."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from pawjax.data.board_views import Source
from pawjax.pose3d.board import Board
from pawjax.pose3d.bundle import Adjusted
from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.placing import board_places

CELLS = (8, 6)  # of the grid that coverage is counted on


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """A calibration of C cameras from V views of M corners.

    Attributes:
      sources: of the pictures.
      views: int [C, V], the picture or frame of each view; -1 where there is none.
      board: as it was found.
      result: of `calibrate`, in the frame of the world.
      left_out: bool [C, V], pictures with a large error that nothing was fitted to.
      moved_px: [C], how far each camera's picture moved during the recording.
      world: where the axes of the world lie, in words.
      upright: whether z points up.
      doubts: what is wrong with it, a sentence each; () unless it was forced.
    """

    sources: Sequence[Source]
    views: np.ndarray
    board: Board
    result: Adjusted
    left_out: np.ndarray
    moved_px: np.ndarray
    world: str
    upright: bool
    doubts: Sequence[str]

    @property
    def cameras(self) -> Cameras:
        """The calibrated cameras."""
        return self.result.cameras

    def used_errors(self) -> np.ndarray:
        """[C, V, M], px, of the corners that were used; NaN elsewhere."""
        return np.where(self.left_out[..., None], np.nan, self.result.errors)

    def picture_errors(self) -> np.ndarray:
        """[C, V], px, root mean square over a picture's corners; NaN where the board was not found."""
        return rms(self.result.errors, -1)

    def coverage(self) -> np.ndarray:
        """[C], share of the cells of a grid over the frame in which a used corner lies."""
        shares = []
        for size, pixels, errors in zip(self.cameras.sizes, self.result.pixels, self.used_errors(), strict=True):
            x, y = pixels[np.isfinite(errors)].T
            ranges = [(-0.5, size[0] - 0.5), (-0.5, size[1] - 0.5)]
            shares.append((np.histogram2d(x, y, CELLS, ranges)[0] > 0).mean())
        return np.array(shares)

    def board_places(self) -> np.ndarray:
        """[V, M, 3], the corners in the world, mm; NaN for a view that was not used."""
        return board_places(self.board.points, self.result.blocks)

    def projected(self) -> np.ndarray:
        """[C, V, M, 2], px, where each camera should see the corners."""
        with jax.enable_x64(True):
            return np.asarray(jax.jit(project)(self.cameras, self.board_places()))


def rms(errors: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Root mean square, leaving NaN out; NaN where there is nothing else."""
    known = np.isfinite(errors)
    total, count = np.where(known, errors**2, 0).sum(axis), known.sum(axis)
    return np.sqrt(np.where(count > 0, total / np.maximum(count, 1), np.nan))
