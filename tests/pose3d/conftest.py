"""A rig of cameras around a tiny animal, and precision for all tests of a module."""

import jax
import numpy as np
import pytest

PARENTS = (0, 0, 1, 0)
LENGTHS = np.array([0.0, 40.0, 25.0, 30.0])


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def look_at(place, target, focal=1500.0):
    """A projection matrix [3, 4] of a camera at `place` that looks at `target`, with z up and the image 1200x1000."""
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    intrinsics = np.array([[focal, 0, 600], [0, focal, 500], [0, 0, 1]])
    return intrinsics @ np.hstack([rotation, -rotation @ place[:, None]])


def ring(count, centre=(30.0, -20.0, 10.0)):
    """Projection matrices [C, 3, 4] of cameras around `centre`, 1 m away and above it."""
    angles = 2 * np.pi * np.arange(count) / count + 0.3
    places = np.stack([900 * np.cos(angles), 900 * np.sin(angles), 400 + 50 * np.cos(3 * angles)], -1)
    return np.stack([look_at(place + centre, np.asarray(centre)) for place in places])


def affine(count):
    """Affine projection matrices [C, 3, 4]."""
    matrices = ring(count)
    depth = matrices[:, 2] @ [30.0, -20.0, 10.0, 1]
    matrices[:, :2, :] /= depth[:, None, None]
    matrices[:, 2] = [0, 0, 0, 1]
    return matrices


def pixels_of(cameras, positions):
    """Pixels [T, C, K, 2] of positions [T, K, 3]."""
    image = np.einsum("cij,tkj->tcki", cameras, np.concatenate([positions, np.ones_like(positions[..., :1])], -1))
    return image[..., :2] / image[..., 2:]


def walking(rng, frames, centre=(30.0, -20.0, 10.0)):
    """Positions [T, 4, 3] of an animal with limbs of `LENGTHS` that turn and a root that walks."""
    root = np.cumsum(rng.normal(size=(frames, 3)), 0) + centre
    directions = np.cumsum(0.05 * rng.normal(size=(frames, 4, 3)), 0) + rng.normal(size=(4, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    positions = np.repeat(root[:, None], 4, 1)
    for k, parent in enumerate(PARENTS):
        if k:
            positions[:, k] = positions[:, parent] + LENGTHS[k] * directions[:, k]
    return positions
