"""Corners are found where they were drawn, in the same order however the board is turned."""

import dataclasses

import jax
import numpy as np
import pytest

from pawjax.pose3d.board import Board
from pawjax.pose3d.corners import Finder
from pawjax.pose3d.placing import board_places
from tests.board_pictures import pictures, small_rig
from tests.pose3d.rigs import project_jit

pytest.importorskip("cv2", reason="OpenCV, of pawjax[calibrate], draws and finds the boards")

RIG = dataclasses.replace(small_rig(1))
TURNED = np.array([[0.2, -0.1, angle, 10, 5, 0] for angle in np.deg2rad([5, 95, 185, 275])])


@pytest.mark.parametrize(
    "board",
    [
        Board("chessboard", (8, 5), 25.0),
        Board("chessboard", (5, 8), 25.0),
        Board("chessboard", (6, 4), 25.0),
        Board("chessboard", (5, 5), 25.0),
        Board("chessboard", (4, 4), 30.0),
        Board("charuco", (6, 5), 30.0, 22.0, "4X4_50"),
        Board("charuco", (5, 6), 30.0, 22.0, "5X5_100", legacy=True),
    ],
    ids=lambda board: f"{board.kind} {board.size}",
)
def test_corners_are_found_where_they_are_drawn(board):
    """Up to the turns in which the board looks the same."""
    places = board_places(board.points - board.points.mean(0), TURNED)
    with jax.enable_x64(True):
        expected = np.asarray(project_jit(RIG, places))[0]
    finder = Finder(board)
    for picture, drawn in zip(pictures(board, RIG, TURNED)[0], expected, strict=True):
        found = finder(picture)
        errors = [np.linalg.norm(found[order] - drawn, axis=-1) for order in board.turns()]
        assert np.isfinite(found).all(-1).mean() > 0.8
        assert min(np.nanmedian(error) for error in errors) < 0.1
        assert min(np.nanmax(error) for error in errors) < 0.5


def test_where_there_is_no_board():
    for board in (Board("chessboard", (6, 4), 25.0), Board("charuco", (6, 5), 30.0, 22.0, "4X4_50")):
        assert np.isnan(Finder(board)(np.full((120, 160), 128, np.uint8))).all()
