"""Boxes in the pictures of frames: a detector's proposals and its chosen box, beside the labelled box."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pawjax.report import style

TITLE = "thin: the likeliest proposals, fainter by score; solid: the box chosen; dashed: the labelled box"


class FrameBoxes(NamedTuple):
    """Boxes of N frames with A animals of K bodyparts, xyxy px of the images, NaN where missing.

    proposals [N,P,4], of any bodypart; scores [N,P] 0..1; chosen [N,A,K,4]; truth [N,A,K,4].
    """

    proposals: np.ndarray
    scores: np.ndarray
    chosen: np.ndarray
    truth: np.ndarray

    def of(self, frame: int, animal: int, bodypart: int) -> "PointBoxes":
        """The boxes to draw for one point of one frame."""
        point = frame, animal, bodypart
        return PointBoxes(self.proposals[frame], self.scores[frame], self.chosen[point], self.truth[point])


class PointBoxes(NamedTuple):
    """Boxes around one point of a frame: proposals [P,4], scores [P], chosen [4], truth [4]; NaN where missing."""

    proposals: np.ndarray
    scores: np.ndarray
    chosen: np.ndarray
    truth: np.ndarray

    def span(self) -> float:
        """Side of a square, px, that contains the labelled and the chosen box; 0 if there is neither."""
        both = np.stack([box for box in (self.truth, self.chosen) if np.isfinite(box).all()] or [np.zeros(4)])
        return float((both[:, 2:].max(0) - both[:, :2].min(0)).max())

    def draw(self, axes: Axes, colour: tuple) -> None:
        """Draws proposals thin, better ones stronger and on top; the chosen box solid, the labelled one dashed."""
        for box, score in sorted(self._proposals(), key=lambda pair: pair[1]):
            line = {"ec": style.YELLOW, "lw": 0.5 + 0.6 * score, "alpha": 0.25 + 0.75 * score}
            axes.add_patch(_rectangle(box, **line))
        for box, dashes in ((self.truth, (0, (3, 2))), (self.chosen, "-")):
            if np.isfinite(box).all():
                axes.add_patch(_rectangle(box, ec=colour, lw=1.3, ls=dashes, path_effects=style.HALO))

    def _proposals(self) -> Iterator[tuple[np.ndarray, float]]:
        for box, score in zip(self.proposals, self.scores, strict=True):
            if np.isfinite(box).all():
                yield box, float(score)


def _rectangle(box: np.ndarray, **line) -> Rectangle:
    left, top, right, bottom = box
    return Rectangle((left, top), right - left, bottom - top, fill=False, **line)
