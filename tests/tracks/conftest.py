"""Fixtures of tracks."""

from collections.abc import Callable

import numpy as np
import pytest

from pawjax.tracks import Tracks


@pytest.fixture
def make_tracks() -> Callable[..., Tracks]:
    """make(points [T, A, K, 2], likelihood=..., ...) fills what is not given: likelihood 1, times n / 25."""

    def make(points: np.ndarray, **arrays: np.ndarray) -> Tracks:
        shape = points.shape[:3]
        fields = {
            "likelihood": np.ones(shape, np.float32),
            "covariance": np.full((*shape, 2, 2), np.nan, np.float32),
            "second": np.full((*shape, 3), np.nan, np.float32),
            "times": np.arange(len(points)) / 25,
            "bodyparts": tuple("abcdef"[: shape[2]]),
            "size": (48, 64),
            "frames_per_second": 25.0,
            "origin": {"video": "m1.mp4", "run": "/runs/mine", "checkpoint": "3"},
        }
        return Tracks(keypoints=points.astype(np.float32), **fields | arrays)

    return make
