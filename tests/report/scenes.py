"""A small scene in 3D: a figure that walks before three cameras."""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.pose3d.cameras import Cameras
from pawjax.report.scene import Positions, Scene, reprojected
from tests.pose3d.rigs import make_rig

BODYPARTS = ("nose", "neck", '</script><img src=x onerror="document.title=1">')
EDGES = ((0, 1), (1, 2))
N, RATE = 40, 20.0
BAD = 25  # the frame in which the raw nose is off


def upright(cameras: Cameras, up: np.ndarray) -> Cameras:
    """The cameras, upright where `up` is up, 25 to 60 degrees above the origin, which they look at from all around."""
    turns = []
    side = np.roll(up, 1)
    for angle, height in zip(np.linspace(0.3, 6, len(cameras)), np.linspace(0.5, 1.5, len(cameras)), strict=True):
        place = np.cos(angle) * side + np.sin(angle) * np.cross(up, side) + height * up
        forward = -place / np.linalg.norm(place)
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        turns.append(np.stack([right, np.cross(forward, right), forward]))
    translation = np.tile([0.0, 0.0, 400.0], (len(cameras), 1))
    return dataclasses.replace(cameras, rotation=Rotation.from_matrix(turns).as_rotvec(), translation=translation)


def walking(seed: int = 0) -> Scene:
    """40 frames: 'ransac' without a covariance misses the nose in frame 3; 'gimbal' is the truth."""
    rng, times = np.random.default_rng(seed), np.arange(N) / RATE
    cameras = dataclasses.replace(upright(make_rig(3, lens=0.0), np.eye(3)[2]), names=("left", "right", "top"))
    walk = np.stack([40 * times - 30, 10 * np.sin(times), 20 + 0 * times], axis=-1)
    truth = walk[:, None] + [[40, 0, 10], [0, 0, 0], [-40, 0, 5]] + rng.normal(size=(N, 3, 3))
    raw = truth + [0, 0, 2]
    raw[3, 0] = np.nan
    raw[BAD, 0] += [0, 50, 0]
    spread = rng.normal(size=(N, 3, 3, 3))
    covariance = spread @ spread.swapaxes(-1, -2) + 4 * np.eye(3)
    outlier = rng.uniform(0, 0.2, (N, 3, 3))
    pixels = reprojected(cameras, truth) + rng.normal(size=(3, N, 3, 2))
    pixels[0, 5] = outlier[5, 0] = np.nan
    positions = Positions("ransac", raw), Positions("gimbal", truth, covariance, outlier)
    return Scene(BODYPARTS, EDGES, 7 + times, cameras, pixels, np.ones((3, N, 3)), positions)
