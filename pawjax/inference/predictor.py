"""What finds points in frames, whatever it is made of, and what it returns."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

CELL = 16  # px of the network; its largest stride
Predict = Callable[[np.ndarray], dict[str, Any]]  # uint8 [B, H, W, C] -> arrays [B, ...] of `make_find_points`
PLACES = {"run": "checkpoint_sha256", "snapshot": "snapshot_sha256"}  # in `origin`, and the hash of what is there
Batch = tuple[np.ndarray, np.ndarray]  # pixels uint8 [B, H, W, C], and the times of the real frames among them
Points = dict[str, np.ndarray]  # of `make_find_points`, on the host
Found = tuple[Points, np.ndarray]  # the points of the real frames of a batch, and their times


@dataclasses.dataclass(frozen=True)
class Predictor:
    """What finds points in frames: one run, an ensemble, or a snapshot of DeepLabCut.

    Attributes:
      predict: see `Predict`; compiled for each shape of images.
      bodyparts: names of the K points.
      channels: 1 if it was trained on gray frames, else 3.
      origin: what it is, in words, for the files of tracks; a change makes an unfinished prediction start again.
      pcutoff: a lower likelihood is in doubt.
      project: folder of the DeepLabCut project that it was trained on, '' if there is none.
      frame_sizes: (height, width) of the frames that it was trained on, px; empty if unknown.
      value_range: grey levels that became 0 and 255 in training; empty if it was trained on 8 bits.
      grid: px, see `pawjax.inference.windows.grid_of`.
      animals: A, in each frame; of several, the points have an axis for them.
    """

    predict: Predict
    bodyparts: tuple[str, ...]
    channels: int
    origin: dict[str, str]
    pcutoff: float = 0.6
    project: str = ""
    frame_sizes: tuple[tuple[int, int], ...] = ()
    value_range: tuple[float, ...] = ()
    grid: int = CELL
    animals: int = 1


def identity_of(origin: dict[str, str]) -> dict[str, str]:
    """An origin without the places of runs and snapshots that it has hashes of: moved or copied, they are the same."""

    def is_place(name: str) -> bool:
        start, space, last = name.rpartition(" ")  # an ensemble has 'member1 run'
        return last in PLACES and f"{start}{space}{PLACES[last]}" in origin

    return {name: value for name, value in origin.items() if not is_place(name)}


def shifted(points: Points, corner: tuple[int, int]) -> Points:
    """The points of a rectangle of the frame whose corner is (x, y), in pixels of the frame."""
    shift = np.array(corner, np.float32)
    moved = {"keypoints": points["keypoints"] + shift}
    if "second" in points:
        moved["second"] = points["second"] + np.append(shift, np.float32(0))
    return points | moved
