"""Bundle adjustment against scipy's least squares and known cameras."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.bundle import STEPS, adjust_boards, adjust_points, free_parameters
from pawjax.pose3d.cameras import camera_places, project
from pawjax.pose3d.jacobians import parameters, with_parameters
from pawjax.pose3d.triangulation import triangulate
from tests.pose3d.rigs import make_rig, project_jit

BOARD = np.stack([*np.meshgrid(np.arange(6) * 12.0, np.arange(4) * 12.0), np.zeros((4, 6))], axis=-1).reshape(-1, 3)


def moved(rig, rng, angle=0.01, shift=3.0):
    """Cameras whose poses are off, but for the first."""
    off = (np.arange(len(rig)) > 0)[:, None]
    turn = Rotation.from_rotvec(rig.rotation) * Rotation.from_rotvec(off * rng.normal(size=(len(rig), 3)) * angle)
    return dataclasses.replace(
        rig, rotation=turn.as_rotvec(), translation=rig.translation + off * rng.normal(size=(len(rig), 3)) * shift
    )


def views_of_board(rig, rng, n=16, noise=0.05):
    """Poses of the board [n, 6] around the world's origin, and its noisy corners [C, n, M, 2]."""
    poses = np.concatenate([rng.normal(size=(n, 3)) * 0.6, rng.uniform(-40, 40, (n, 3))], axis=-1)
    points = np.einsum("bij,mj->bmi", Rotation.from_rotvec(poses[:, :3]).as_matrix(), BOARD) + poses[:, None, 3:]
    with jax.enable_x64(True):
        pixels = np.array(project_jit(rig, points))
    return poses, pixels + noise * rng.normal(size=pixels.shape)


def test_points_settle_where_scipy_does():
    """Squared loss, two cameras' poses and eight points; everything but the scale is determined, which scipy fixes."""
    rig, rng = make_rig(3, seed=1), np.random.default_rng(1)
    points = rng.uniform(-50, 50, (8, 3))
    pixels = np.array(project_jit(rig, points), float) + rng.normal(size=(3, 8, 2))
    pixels[1, 3] = np.nan
    free = free_parameters(rig, intrinsics=False)
    start = moved(rig, rng, 0.002, 0.5)
    ours = adjust_points(start, pixels, points, free, scale=1e6)
    with jax.enable_x64(True):
        values = np.array(parameters(start))

    def residuals(x):
        now = values.copy()
        now[free] = x[: free.sum()]
        return ((projected(now, x[free.sum() :].reshape(8, 3)) - pixels)[np.isfinite(pixels)]).ravel()

    with jax.enable_x64(True):
        projected = jax.jit(lambda now, x: project(with_parameters(start, now), x))
        best = optimize.least_squares(residuals, np.concatenate([values[free], points.ravel()]), x_scale="jac")
    assert np.nansum(ours.errors**2) == pytest.approx(2 * best.cost, rel=1e-6)
    assert ours.steps < STEPS and np.isnan(ours.errors[1, 3])
    np.testing.assert_array_equal(ours.cameras.rotation[0], values[0, :3])


def test_boards_give_the_cameras_back():
    """From perturbed poses and no lenses, with one corner in twenty wrong and some not seen."""
    rig, rng = make_rig(4, seed=2), np.random.default_rng(2)
    matrix = rig.matrix.copy()
    matrix[:, 0, 1] = 0
    rig = dataclasses.replace(rig, matrix=matrix, distortion=rig.distortion * [1, 1, 0, 0, 0])
    poses, pixels = views_of_board(rig, rng)
    wrong = rng.random(pixels.shape[:3]) < 0.05
    pixels[wrong] += rng.normal(size=(wrong.sum(), 2)) * 40
    pixels[rng.random(pixels.shape[:3]) < 0.1] = np.nan
    start = dataclasses.replace(moved(rig, rng), distortion=0 * rig.distortion)
    result = adjust_boards(start, pixels, BOARD, poses + rng.normal(size=poses.shape) * 0.02)
    assert np.nanmedian(result.errors[~wrong]) < 0.1 < 10 < np.nanmedian(result.errors[wrong])
    places = camera_places(result.cameras), camera_places(rig)
    apart = [np.linalg.norm(place[1:] - place[0], axis=-1) for place in places]
    np.testing.assert_allclose(*apart, rtol=5e-3)
    turns = [Rotation.from_rotvec(cameras.rotation) for cameras in (result.cameras, rig)]
    between = (turns[0] * turns[0][0].inv()).inv() * (turns[1] * turns[1][0].inv())
    assert between.magnitude().max() < 5e-3
    np.testing.assert_allclose(result.cameras.matrix[:, 0, 0], rig.matrix[:, 0, 0], rtol=5e-3)


def test_robust_loss_is_what_helps():
    rig, rng = make_rig(4, seed=3), np.random.default_rng(3)
    points = rng.uniform(-50, 50, (120, 3))
    clean = np.array(project_jit(rig, points), float) + 0.2 * rng.normal(size=(4, 120, 2))
    pixels = clean.copy()
    wrong = rng.random((4, 120)) < 0.05
    pixels[wrong] += 60
    start = moved(rig, rng)
    guess = np.asarray(triangulate(start, pixels, method="linear").points)
    free = free_parameters(rig, intrinsics=False)
    robust, squared = (adjust_points(start, pixels, guess, free, scale=scale) for scale in (1, 1e6))
    assert np.median(robust.errors[~wrong]) < 0.35 < 3 < np.median(squared.errors[~wrong])


def test_shapes_that_do_not_fit():
    with pytest.raises(InputError, match=r"\(3, 4, 1, 2\) and \(5, 3\), which do not fit \(3, 5, 1, 2\)"):
        adjust_points(make_rig(3), np.zeros((3, 4, 2)), np.zeros((5, 3)))
