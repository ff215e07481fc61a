"""Calibration from corners alone: known rigs, OpenCV's corners of photographs, and what users do wrong."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.calibration import calibrate
from pawjax.pose3d.cameras import camera_places
from pawjax.pose3d.planar import board_pose, focal_length, homography
from tests.pose3d.rigs import make_rig, project_jit

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "opencv_cameras.npz")
BOARD = np.stack([*np.meshgrid(np.arange(6) * 25.0, np.arange(4) * 25.0), np.zeros((4, 6))], axis=-1).reshape(-1, 3)
N_VIEWS = 24


@pytest.fixture(scope="module")
def rig():
    """Three cameras in a row, half a metre from the board; the middle one is a fisheye."""
    rig = make_rig(3, seed=3, fisheye=(1,))
    angles = np.array([[0, -0.45, 0], [0.1, 0, 0.05], [0, 0.45, 0.1]])
    turns, places = Rotation.from_rotvec(angles), np.array([[-250.0, 0, -500], [0, 50, -300], [250, 0, -480]])
    matrix = rig.matrix.copy()
    matrix[1, 0, 0] = 300  # sees 60 degrees to each side
    matrix[:, 0, 1], matrix[:, 1, 1] = 0, matrix[:, 0, 0]
    translation = -turns.apply(places)
    lens = rig.distortion * [1, 1, 0, 0, 0]
    return dataclasses.replace(rig, matrix=matrix, distortion=lens, rotation=angles, translation=translation)


@pytest.fixture(scope="module")
def corners(rig):
    """[3, views, 24, 2] of a board that is turned up to 40 degrees, with noise of 0.1 px."""
    rng = np.random.default_rng(0)
    turns, shifts = Rotation.from_rotvec(rng.normal(size=(N_VIEWS, 3)) * 0.35), rng.uniform(-60, 60, (N_VIEWS, 3))
    points = np.einsum("bij,mj->bmi", turns.as_matrix(), BOARD - BOARD.mean(0)) + shifts[:, None]
    with jax.enable_x64(True):
        return np.array(project_jit(rig, points)) + 0.1 * rng.normal(size=(3, N_VIEWS, len(BOARD), 2))


def test_known_cameras_come_out(rig, corners):
    """Also where each camera misses views, one view is seen by nobody, and a picture in ten is of another moment."""
    corners = corners.copy()
    corners[0, :6], corners[2, 5:9], corners[:, 10] = np.nan, np.nan, np.nan
    corners[1, [12, 20]] += 60
    corners[0, 15, :18] = np.nan  # few corners left
    result = calibrate(rig.names, rig.sizes, corners, BOARD, fisheye=rig.fisheye)
    errors = np.delete(result.errors, [10, 12, 20], axis=1)
    assert np.nanmedian(errors) < 0.15 and np.nanmedian(result.errors[1, 12]) > 5
    assert np.isnan(result.blocks[10]).all() and np.isfinite(np.delete(result.blocks, 10, axis=0)).all()
    np.testing.assert_allclose(result.cameras.matrix[:, 0, 0], rig.matrix[:, 0, 0], rtol=0.01)
    first = Rotation.from_rotvec(rig.rotation[0])
    expected = first.apply(camera_places(rig) - camera_places(rig)[0])  # the world is the first camera's frame
    np.testing.assert_allclose(camera_places(result.cameras), expected, atol=5)
    assert result.cameras.names == rig.names and result.cameras.sizes == rig.sizes


def test_photographs_from_corners_alone():
    """At most OpenCV's error of the 14 pairs of photographs, its focal lengths, and the baseline that is known."""
    corners, board = GOLDEN["boards/corners"], GOLDEN["boards/board"]
    result = calibrate(("left", "right"), [(640, 480)] * 2, corners, board, lens=5, scale=1e6)
    assert np.sqrt((result.errors**2).mean()) <= GOLDEN["boards/rms"][2]
    assert np.linalg.norm(camera_places(result.cameras)[1]) == pytest.approx(99.85, rel=0.01)
    np.testing.assert_allclose(result.cameras.matrix[:, 0, 0], GOLDEN["boards/matrix"][:, 0, 0], rtol=0.01)


def test_faults_of_users_get_a_sentence(rig, corners):
    def run(corners, board=BOARD):
        calibrate(rig.names, rig.sizes, corners, board, fisheye=rig.fisheye)

    apart = corners.copy()
    apart[:2, ::2], apart[2, 1::2] = np.nan, np.nan
    with pytest.raises(InputError, match="cameras cam0, cam1 never see the board together with cam2"):
        run(apart)
    few = corners.copy()
    few[1, 2:] = np.nan
    with pytest.raises(InputError, match="camera 'cam1' sees the board in 2 views: take 3 or more"):
        run(few)
    with pytest.raises(InputError, match="camera 'cam0' sees the board mirrored"):
        run(corners, BOARD * [-1, 1, 1])
    with pytest.raises(InputError, match=r"corners have shape \(3, 24, 24, 2\) and the board \(23, 3\)"):
        run(corners, BOARD[:-1])
    flat = np.tile((500 + BOARD[:, :2])[None, None], (3, N_VIEWS, 1, 1))
    with pytest.raises(InputError, match="camera 'cam0' never saw the board tilted"):
        run(flat)


def test_one_picture_of_a_board():
    """Without noise, the homography gives focal length and pose back."""
    turn, shift, focal = Rotation.from_rotvec([0.4, -0.5, 0.2]), np.array([10.0, -30, 400]), 800.0
    points = turn.apply(BOARD) + shift
    positions = points[:, :2] / points[:, 2:]
    h = homography(BOARD[:, :2], focal * positions + [320, 240])
    assert focal_length([h], np.array([320, 240])) == pytest.approx(focal)
    found, place = board_pose(homography(BOARD[:, :2], positions))
    assert (found * turn.inv()).magnitude() < 1e-8
    np.testing.assert_allclose(place, shift, rtol=1e-8)
    assert homography(BOARD[:6, :2], positions[:6]) is None  # a line of corners
    assert homography(BOARD[:, :2], np.where(np.arange(24)[:, None] < 5, positions, np.nan)) is None
