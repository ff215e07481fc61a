"""Frames with labels and predictions: the input of an evaluation's numbers and pictures."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class EvaluatedFrames:
    """N frames with A animals of K bodyparts each. Coordinates are (x, y) pixels of the original frames.

    Attributes:
      images: uint8 [N, H, W, C], C 1 or 3, padded below and to the right.
      sizes: int [N, 2], (height, width) of each image within its padding.
      truth: [N, A, K, 2], read only where labelled.
      labelled: bool [N, A, K].
      absent: bool [N, A, K], the bodyparts known not to be seen.
      predicted: [N, A, K, 2].
      likelihood: [N, A, K].
      ids: names of the N frames.
      bodyparts: K names.
    """

    images: np.ndarray
    sizes: np.ndarray
    truth: np.ndarray
    labelled: np.ndarray
    absent: np.ndarray
    predicted: np.ndarray
    likelihood: np.ndarray
    ids: tuple[str, ...]
    bodyparts: tuple[str, ...]
