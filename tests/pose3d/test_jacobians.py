"""Derivatives of the projection in closed form against forward differentiation and OpenCV."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.jacobians import parameters, project_with_jacobians, with_parameters
from tests.pose3d.rigs import make_rig

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "opencv_cameras.npz")


def by_differentiation(rig, points):
    """Pixels, and derivatives by the points and by the cameras' parameters [C, N, 2, 15]."""

    def one(values, index, point):
        return project(with_parameters(rig, values), point)[index]

    values = parameters(rig)
    index = np.arange(len(rig))
    every = jax.vmap(jax.vmap(jax.jacfwd(one, (0, 2)), (None, None, 0)), (None, 0, None))(values, index, points)
    own = jnp.stack([every[0][camera][..., camera, :] for camera in index])
    return project(rig, points), every[1], own


@pytest.mark.parametrize("seed", range(2))
def test_they_are_those_of_differentiation(seed):
    rig = make_rig(3, seed, fisheye=(1,))
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(-80, 80, (9, 3)), np.zeros((1, 3))])  # the last on all axes, but for rounding
    with jax.enable_x64(True):
        ours = jax.jit(project_with_jacobians)(rig, points)
        pixels, by_point, by_camera = jax.jit(by_differentiation)(rig, points)
    np.testing.assert_allclose(ours.pixels, pixels, atol=1e-9)
    np.testing.assert_allclose(ours.point, by_point, atol=1e-8)
    np.testing.assert_allclose(np.concatenate([ours.pose, ours.intrinsics], axis=-1), by_camera, atol=1e-6)


def test_on_the_axis_of_a_fisheye():
    rig = make_rig(2, fisheye=(0,))
    rig = Cameras(rig.names, rig.sizes, rig.matrix, rig.distortion, 0 * rig.rotation, 0 * rig.translation, rig.fisheye)
    with jax.enable_x64(True):
        point = np.array([[0, 0, 250.0]])
        ours = jax.jit(project_with_jacobians)(rig, point)
        pixels, by_point, by_camera = jax.jit(by_differentiation)(rig, point)
    np.testing.assert_allclose(pixels[:, 0], rig.matrix[:, :2, 2])
    np.testing.assert_allclose(ours.point, by_point, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([ours.pose, ours.intrinsics], axis=-1), by_camera, atol=1e-9)


def test_they_are_those_of_opencv():
    brown = ~GOLDEN["fisheye"]
    arrays = (GOLDEN[name][brown] for name in ("matrix", "distortion", "rotation", "translation", "fisheye"))
    rig = Cameras(tuple("ab"), (None, None), *arrays)
    with jax.enable_x64(True):
        ours = jax.jit(project_with_jacobians)(rig, GOLDEN["points"])
    np.testing.assert_allclose(np.concatenate(ours[2:], axis=-1), GOLDEN["jacobians"], rtol=1e-6, atol=1e-6)
