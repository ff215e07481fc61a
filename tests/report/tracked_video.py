"""A small video whose frames show their own number, with tracks."""

from pathlib import Path

import numpy as np

from pawjax.report.mp4 import write_mp4
from pawjax.tracks.tracks import Tracks

HEIGHT, WIDTH, BLOCK, BITS = 65, 97, 16, 6  # odd sides
GRAY = 90


def numbered(number: int) -> np.ndarray:
    """uint8 [H, W, 3]: gray, with the number in binary along the lower edge."""
    pixels = np.full((HEIGHT, WIDTH, 3), GRAY, np.uint8)
    for bit in range(BITS):
        pixels[-BLOCK:, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return pixels


def number_in(pixels: np.ndarray) -> int:
    """The number that a decoded frame shows, at the size of `numbered` or a multiple of it."""
    scale = pixels.shape[1] // WIDTH
    row = pixels[(HEIGHT - BLOCK // 2) * scale, :, 1]
    return sum(int(row[(bit * BLOCK + BLOCK // 2) * scale] > 128) << bit for bit in range(BITS))


def irregular_times(n: int) -> np.ndarray:
    """Times of a camera that drops frames, seconds."""
    return np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.1], n)) - 0.02


def write_numbered(path: Path, n: int) -> Path:
    """A video of n numbered frames, hardly compressed."""
    frames = ((time, numbered(number)) for number, time in enumerate(irregular_times(n)))
    write_mp4(path, frames, (HEIGHT, WIDTH), 25.0, {"crf": "1"})
    return path


def still(n: int, bodyparts: tuple[str, ...] = ("nose", "tail"), size: tuple[int, int] = (66, 98)) -> Tracks:
    """Tracks of n frames in which nothing moves; bodypart k is at (20 + 25 k, 15 + 10 k)."""
    k = np.arange(len(bodyparts))
    points = np.stack([20 + 25 * k, 15 + 10 * k], -1).astype(np.float32)
    return Tracks(
        keypoints=np.tile(points, (n, 1, 1, 1)),
        likelihood=np.ones((n, 1, len(k)), np.float32),
        covariance=np.full((n, 1, len(k), 2, 2), np.nan, np.float32),
        second=np.full((n, 1, len(k), 3), np.nan, np.float32),
        times=irregular_times(n),
        bodyparts=bodyparts,
        size=size,
        frames_per_second=25.0,
        origin={"video": "v.mp4", "run": "/runs/mine", "checkpoint": "7"},
    )
