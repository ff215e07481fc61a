"""The table of tracks: every reader ends in it and every writer begins with it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pawjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The points of T frames with A animals (1 today) of K bodyparts.

    Attributes:
      keypoints: float32 [T, A, K, 2], (x, y) pixels of the video's frames, centres at whole numbers.
      likelihood: float32 [T, A, K], from 0 to 1.
      covariance: float32 [T, A, K, 2, 2], px^2, of each point by its score map; NaN where the method has none.
      second: float32 [T, A, K, 3], (x, y, likelihood) of the next best place; NaN where the method has none.
      times: float64 [T], presentation times, seconds.
      bodyparts: the K names.
      size: (height, width) of the video's frames, px.
      frames_per_second: the video's average rate.
      origin: what made them, in words: 'video', 'run', 'checkpoint' and so on.
      disagreement: float32 [T, A, K], px: how far apart the networks of an ensemble, or the views of one network, place
        each point; see `pawjax.inference.views.consensus`. NaN, the default, where there was one view of one network.
    """

    keypoints: np.ndarray
    likelihood: np.ndarray
    covariance: np.ndarray
    second: np.ndarray
    times: np.ndarray
    bodyparts: tuple[str, ...]
    size: tuple[int, int]
    frames_per_second: float
    origin: dict[str, str]
    disagreement: np.ndarray = None

    def __post_init__(self):
        """Raises ValueError for arrays that do not fit together."""
        t, a, k = self.likelihood.shape
        if self.disagreement is None:
            object.__setattr__(self, "disagreement", np.full((t, a, k), np.nan, np.float32))
        shapes = {"keypoints": (t, a, k, 2), "covariance": (t, a, k, 2, 2), "second": (t, a, k, 3), "times": (t,)}
        shapes["disagreement"] = (t, a, k)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")
        if len(self.bodyparts) != k:
            raise ValueError(f"{len(self.bodyparts)} bodyparts, but points of {k}")

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, frames: slice) -> "Tracks":
        """The tracks of a range of frames."""
        return dataclasses.replace(self, **{name: getattr(self, name)[frames] for name in ARRAYS})


ARRAYS = ("keypoints", "likelihood", "covariance", "second", "disagreement", "times")


def join(parts: Sequence[Tracks]) -> Tracks:
    """Tracks one after another. Raises InputError if they are not of one video and network."""
    first = parts[0]
    if any((part.bodyparts, part.size) != (first.bodyparts, first.size) for part in parts):
        raise InputError("tracks of different bodyparts or frame sizes cannot be joined: give parts of one video")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return dataclasses.replace(first, **joined)
