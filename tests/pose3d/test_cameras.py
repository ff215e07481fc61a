"""Projection, lenses and rotations against OpenCV (tests/golden/opencv_cameras.npz), and back again."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.cameras import Cameras, depth, project, projection_matrices, select, undistort
from pawjax.pose3d.rotations import left_jacobian, rotation_matrix, rotation_vector
from tests.pose3d.rigs import make_rig, project_jit

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "opencv_cameras.npz")
ARRAYS = ("matrix", "distortion", "rotation", "translation", "fisheye")


@pytest.fixture(scope="module")
def rig():
    n = len(GOLDEN["matrix"])
    return Cameras(tuple("abcd"[:n]), (None,) * n, *(GOLDEN[name] for name in ARRAYS))


def in_both(function, *arguments):
    """The result in float32 and in float64."""
    single = jax.jit(function)(*arguments)
    with jax.enable_x64(True):
        return single, jax.jit(function)(*arguments)


def test_projection_is_that_of_opencv(rig):
    single, double = in_both(project, rig, GOLDEN["points"])
    assert single.dtype == jnp.float32 and double.dtype == jnp.float64
    np.testing.assert_allclose(double, GOLDEN["pixels"], atol=1e-8)
    np.testing.assert_allclose(single, GOLDEN["pixels"], atol=2e-3)


def test_undistortion_is_that_of_opencv(rig):
    single, double = in_both(undistort, rig, GOLDEN["pixels"])
    np.testing.assert_allclose(double, GOLDEN["ideal"], atol=1e-7)
    np.testing.assert_allclose(single, GOLDEN["ideal"], atol=2e-3)


def test_undistorted_pixels_are_those_of_the_projection_matrices():
    rig = make_rig(4, fisheye=(1, 3))
    points = np.random.default_rng(1).uniform(-80, 80, (200, 3))
    with jax.enable_x64(True):
        ideal = jax.jit(lambda x: undistort(rig, project(rig, x)))(points)
        homogeneous = np.einsum("cij,nj->cni", projection_matrices(rig), np.c_[points, np.ones(200)])
        np.testing.assert_allclose(homogeneous[..., 2], depth(rig, points), rtol=1e-12)
    np.testing.assert_allclose(ideal, homogeneous[..., :2] / homogeneous[..., 2:], atol=1e-7)


def test_what_no_ray_reaches_is_nan():
    rig = make_rig(2, fisheye=(1,), lens=0)
    barrel = np.array([[-0.3, 0, 0, 0, 0], [-0.05, 0, 0, 0, 0]])  # Brown's folds back at r = 1.05, where x' = 0.70
    rig = dataclasses.replace(rig, distortion=barrel)
    centre, focal = rig.matrix[:, :2, 2], rig.matrix[:, 1, 1]
    steps = np.array([0.0, 0.6, 0.69, 0.72, 2.0, 0.0])  # a fisheye of pi/2 puts a ray at 1.38
    pixels = centre[:, None] + focal[:, None, None] * steps[:, None] * [0, 1]
    pixels[:, -1] = np.nan
    ideal = np.asarray(jax.jit(undistort)(rig, pixels))
    assert np.isfinite(ideal).all(-1).sum(1).tolist() == [3, 4]
    assert np.isfinite(ideal[0, :3]).all() and np.isfinite(ideal[1, :4]).all()


def test_fisheyes_see_to_their_side():
    """The equidistant fisheye puts a ray at 120 degrees at the distance 2 pi / 3."""
    rig = make_rig(1, lens=0, fisheye=(0,))
    rig = dataclasses.replace(rig, matrix=np.eye(3)[None], rotation=np.zeros((1, 3)), translation=np.zeros((1, 3)))
    angle = np.array([0, 1e-4, 0.3, 2 * np.pi / 3])
    rays = np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=-1)
    np.testing.assert_allclose(project_jit(rig, rays)[0], np.stack([0 * angle, angle], axis=-1), rtol=1e-5)


def test_selection_by_name():
    rig = make_rig(3)
    chosen = select(rig, ["cam2", "cam0"])
    assert chosen.names == ("cam2", "cam0") and len(chosen) == 2
    np.testing.assert_array_equal(chosen.matrix, rig.matrix[[2, 0]])
    with pytest.raises(InputError, match="no camera 'cam3': did you mean 'cam2'"):
        select(rig, ["cam3"])


def test_rotations_are_those_of_opencv():
    for vectors, tolerance in ((GOLDEN["vectors"], 1e-12), (GOLDEN["vectors"].astype(np.float32), 1e-6)):
        with jax.enable_x64(tolerance < 1e-6):
            matrices = jax.jit(rotation_matrix)(vectors)
            back = jax.jit(lambda m: rotation_matrix(rotation_vector(m)))(GOLDEN["matrices"].astype(vectors.dtype))
        np.testing.assert_allclose(matrices, GOLDEN["matrices"], atol=tolerance)
        np.testing.assert_allclose(back, GOLDEN["matrices"], atol=tolerance)


def test_vectors_of_rotations_around_zero_and_pi():
    """Against scipy, through the whole range of angles, and exactly half a turn about each axis."""
    rng = np.random.default_rng(2)
    axes = rng.normal(size=(400, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = np.concatenate([10.0 ** rng.uniform(-12, 0.4, 200), np.pi - 10.0 ** rng.uniform(-12, 0.4, 200)])
    matrices = Rotation.from_rotvec(axes * angles[:, None]).as_matrix()
    half = np.stack([2 * np.outer(a, a) - np.eye(3) for a in [*np.eye(3), np.array([0.6, 0, 0.8])]])
    with jax.enable_x64(True):
        vectors = np.asarray(jax.jit(rotation_vector)(matrices))
        back = np.asarray(jax.jit(rotation_matrix)(jax.jit(rotation_vector)(half)))
    np.testing.assert_allclose(vectors, axes * angles[:, None], atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), angles, atol=1e-7)
    np.testing.assert_allclose(back, half, atol=1e-12)


def test_rotations_have_derivatives_everywhere():
    """The left Jacobian is what differentiation says, also at zero."""
    vectors = np.concatenate([GOLDEN["vectors"], [[0.3, 0, 0], [0.32, 0, 0]]])  # on both sides of the series

    def turned(vector, small):
        return rotation_matrix(small) @ rotation_matrix(vector)

    with jax.enable_x64(True):
        by_vector = jax.jit(jax.vmap(jax.jacfwd(rotation_matrix)))(vectors)
        by_turn = jax.jit(jax.vmap(jax.jacfwd(turned, argnums=1), in_axes=(0, None)))(vectors, np.zeros(3))
        jacobian = jax.jit(left_jacobian)(vectors)
    assert np.isfinite(by_vector).all()
    np.testing.assert_allclose(by_vector, np.einsum("nabi,nij->nabj", by_turn, jacobian), atol=1e-10)
