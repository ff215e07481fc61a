"""A camera that was moved during the recording, and one that stood still."""

import dataclasses

import jax
import numpy as np
import pytest

from pawjax.pose3d.bundle import Adjusted
from pawjax.pose3d.movement import find_movement
from pawjax.pose3d.placing import board_places
from tests.board_pictures import moved, poses, small_rig
from tests.pose3d.rigs import project_jit

BOARD = np.stack([*np.meshgrid(np.arange(6) * 25.0, np.arange(4) * 25.0), np.zeros((4, 6))], axis=-1).reshape(-1, 3)
N_VIEWS, MOVED = 16, 11


@pytest.fixture(scope="module")
def result():
    """A calibration with noise of 0.1 px, whose boards and cameras are right."""
    rig, rng, blocks = small_rig(), np.random.default_rng(0), poses(N_VIEWS)
    pixels = projected(rig, blocks) + 0.1 * rng.normal(size=(3, N_VIEWS, len(BOARD), 2))
    return Adjusted(rig, blocks, np.linalg.norm(pixels - projected(rig, blocks), axis=-1), 0, pixels)


def projected(rig, blocks):
    with jax.enable_x64(True):
        return np.array(project_jit(rig, board_places(BOARD, blocks)))


def test_the_moved_camera_and_its_moment_are_found(result):
    after = projected(moved(result.cameras, 1, 4.0), result.blocks)[1, MOVED:] - projected(*result[:2])[1, MOVED:]
    pixels = result.pixels.copy()
    pixels[1, MOVED:] += after
    pixels[1, 3] += 50  # a picture of another moment
    found = find_movement(result._replace(pixels=pixels), BOARD)
    assert found.pixels[1] == pytest.approx(np.linalg.norm(after, axis=-1).mean(), rel=0.05) and found.pixels[1] > 4
    assert found.views[1] == MOVED and found.noise[1] < 0.2
    assert found.pixels[[0, 2]].max() < 0.2


def test_what_cannot_be_told(result):
    errors = result.errors.copy()
    errors[2, 7:] = np.nan  # seven views: too few on each side
    found = find_movement(result._replace(errors=errors), BOARD)
    assert found.pixels[2] == 0 and found.views[2] == -1 and 0 < found.pixels[0] < 0.2
    errors[1:] = np.nan
    assert not find_movement(result._replace(errors=errors), BOARD).pixels.any()
    assert dataclasses.is_dataclass(result.cameras)
