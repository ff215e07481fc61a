"""A small animal that walks through the view of several cameras, and its tracks in files of every format."""

from pathlib import Path

import numpy as np

from pawjax.pose3d.calibration_files import write_calibration
from pawjax.pose3d.cameras import Cameras
from pawjax.tracks import deeplabcut, lightning_pose, sleap
from pawjax.tracks.file import write_tracks
from pawjax.tracks.tracks import Tracks
from tests.pose3d.rigs import make_rig, project_jit

BODYPARTS = ("tail", "neck", "snout", "paw_L", "paw_R")
SKELETON = "tail-neck,neck-snout,neck-paw_L,neck-paw_R"
PARENTS = (0, 0, 1, 1, 1)
SHAPE = np.array([[0, 0, 0], [30, 0, 5], [45, 0, 2], [28, 12, -15], [28, -12, -15]], float)  # heading along x, mm
FRAMES, CAMERAS = 60, 4
NOISE, WRONG = 0.7, 0.05  # px, and the share of points that are elsewhere
WRITERS = {
    ".csv": lambda path, tracks: deeplabcut.write_csv(path, [tracks], "net"),
    ".h5": lambda path, tracks: deeplabcut.write_h5(path, [tracks], "net"),
    ".analysis.h5": lambda path, tracks: sleap.write_sleap(path, [tracks], "net"),
    ".lightning_pose.csv": lambda path, tracks: lightning_pose.write_csv(path, [tracks], "net"),
    ".tracks.h5": lambda path, tracks: write_tracks(path, [tracks]),
}


def make_truth(frames: int = FRAMES) -> np.ndarray:
    """Positions [T, K, 3], mm, of an animal that walks on a curve and swings its paws and head."""
    t = np.arange(frames)
    heading = 0.03 * t
    offsets = np.repeat(SHAPE[None], frames, 0)
    swing = 0.6 * np.sin(0.5 * t)
    for k, sign in ((3, 1), (4, -1)):
        low = np.stack([np.sin(sign * swing), 0 * t + 0.4 * sign, -np.cos(sign * swing)], -1)
        offsets[:, k] = offsets[:, 1] + 20 * low / np.linalg.norm(low, axis=-1, keepdims=True)
    head = np.stack([np.cos(0.2 * np.sin(0.3 * t)), np.sin(0.2 * np.sin(0.3 * t)), -0.2 + 0 * t], -1)
    offsets[:, 2] = offsets[:, 1] + 15 * head / np.linalg.norm(head, axis=-1, keepdims=True)
    turn = np.stack([[np.cos(heading), -np.sin(heading), 0 * t], [np.sin(heading), np.cos(heading), 0 * t]])
    turn = np.concatenate([turn, np.stack([0 * t, 0 * t, 1 + 0 * t])[None]]).transpose(2, 0, 1)
    walk = np.stack([20 * np.cos(0.03 * t), 20 * np.sin(0.03 * t), 0 * t], -1)
    return np.einsum("tij,tkj->tki", turn, offsets) + walk[:, None]


def see(cameras: Cameras, truth: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [C, T, K, 2] with noise, some of them wrong, and likelihoods [C, T, K], low for most of the wrong ones."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(project_jit(cameras, truth), np.float64)
    pixels += NOISE * rng.normal(size=pixels.shape)
    wrong = rng.random(pixels.shape[:-1]) < WRONG
    pixels[wrong] += rng.normal(0, 60, (wrong.sum(), 2))
    likelihood = np.where(wrong, rng.uniform(0.05, 0.7, wrong.shape), rng.uniform(0.85, 1, wrong.shape))
    return pixels, likelihood


def make_tracks(pixels: np.ndarray, likelihood: np.ndarray, size: tuple[int, int] = (0, 0)) -> Tracks:
    """Tracks of one animal with these pixels [T, K, 2] and likelihoods [T, K]."""
    shape = pixels.shape[0], 1, pixels.shape[1]
    return Tracks(
        pixels[:, None].astype(np.float32),
        likelihood[:, None].astype(np.float32),
        np.full((*shape, 2, 2), np.nan, np.float32),
        np.full((*shape, 3), np.nan, np.float32),
        np.arange(len(pixels)) / 50,
        BODYPARTS,
        size,
        50.0,
        {},
    )


def record(
    folder: Path, pixels: np.ndarray, likelihood: np.ndarray, cameras: Cameras, endings: tuple[str, ...] = (".csv",)
) -> tuple[Path, dict[str, str]]:
    """Writes a calibration and the tracks of each camera, in formats in turn; returns their paths."""
    calibration = folder / "calibration.npz"
    write_calibration(calibration, cameras)
    files = {}
    for place, name in enumerate(cameras.names):
        ending = endings[place % len(endings)]
        files[name] = str(folder / f"{name}{ending}")
        WRITERS[ending](Path(files[name]), make_tracks(pixels[place], likelihood[place]))
    return calibration, files


def rig() -> Cameras:
    """The cameras."""
    return make_rig(CAMERAS, seed=3)
