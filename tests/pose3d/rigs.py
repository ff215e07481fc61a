"""Rigs of cameras around a scene of a few centimetres."""

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.pose3d.cameras import Cameras, project

project_jit = jax.jit(project)


def make_rig(n: int, seed: int = 0, lens: float = 1.0, fisheye: tuple[int, ...] = ()) -> Cameras:
    """n cameras 400 mm from the world's origin, which they look at; distortions times `lens`."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n, 3))
    places[:, 2] = np.abs(places[:, 2])
    places *= 400 / np.linalg.norm(places, axis=-1, keepdims=True)
    turns = [_looking(place, rng) for place in places]
    matrix = np.tile(np.eye(3), (n, 1, 1))
    matrix[:, [0, 1], [0, 1]] = rng.uniform(900, 1200, (n, 2))
    matrix[:, :2, 2] = rng.uniform(280, 350, (n, 2))
    matrix[:, 0, 1] = rng.uniform(-4, 4, n)
    wide = np.isin(np.arange(n), fisheye)
    brown = rng.uniform(-1, 1, (n, 5)) * [0.15, 0.1, 0.005, 0.005, 0.05]
    round_ = rng.uniform(-1, 1, (n, 5)) * [0.03, 0.02, 0.01, 0.003, 0]
    return Cameras(
        tuple(f"cam{index}" for index in range(n)),
        ((640, 600),) * n,
        matrix,
        lens * np.where(wide[:, None], round_, brown),
        np.stack([turn.as_rotvec() for turn in turns]),
        np.stack([-turn.apply(place) for turn, place in zip(turns, places, strict=True)]),
        wide,
    )


def _looking(place: np.ndarray, rng: np.random.Generator) -> Rotation:
    """From the world to a camera there, with any roll."""
    forward = -place / np.linalg.norm(place)
    right = np.cross(forward, rng.normal(size=3))
    right /= np.linalg.norm(right)
    return Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward]))
