"""Boards, the turns in which they look the same, and cameras placed by their poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.board import Board, parse_size
from pawjax.pose3d.placing import (
    board_places,
    board_turn,
    place_cameras,
    pose_matrix,
    pose_vector,
    vector_pose,
)
from pawjax.pose3d.world import moved_world, upright_on_board
from tests.board_pictures import poses, small_rig

NAMES = ("left", "middle", "right")


def chessboard(columns, rows):
    return Board("chessboard", (columns, rows), 25.0)


def seen_poses(n=10, noise=0.01, seed=0):
    """Poses of a board in each camera of `small_rig`, with some noise: [{view: [4, 4]}]."""
    rig, rng = small_rig(), np.random.default_rng(seed)
    blocks = poses(n, seed)
    found = []
    for turn, shift in zip(rig.rotation, rig.translation, strict=True):
        camera = pose_matrix(Rotation.from_rotvec(turn), shift)
        wobbly = [pose_matrix(Rotation.from_rotvec(noise * rng.normal(size=3)), np.zeros(3)) for _ in blocks]
        found.append(
            {view: camera @ vector_pose(b) @ w for view, (b, w) in enumerate(zip(blocks, wobbly, strict=True))}
        )
    return found


def between(cameras):
    """Poses of the other cameras in the first one's frame."""
    rig = small_rig()
    each = [pose_matrix(Rotation.from_rotvec(r), t) for r, t in zip(rig.rotation, rig.translation, strict=True)]
    return np.stack([pose @ np.linalg.inv(each[0]) for pose in each[:cameras]])


@pytest.mark.parametrize(
    "size, turns, others", [((9, 6), 1, 1), ((6, 4), 2, 0), ((7, 5), 2, 0), ((5, 5), 2, 2), ((4, 4), 4, 0)]
)
def test_turns_in_which_a_board_looks_the_same(size, turns, others):
    board = chessboard(*size)
    assert (len(board.turns()), len(board.other_turns())) == (turns, others)
    x, y = (board.points[:, :2] / board.square_mm).T
    dark = (x + y) % 2 == 0  # the colour of the square below and to the right of each corner
    inside = (x < size[0] - 1) & (y < size[1] - 1)
    for order in board.turns() + board.other_turns():
        motion = board_turn(board.points, order)
        np.testing.assert_allclose(board.points @ motion[:3, :3].T + motion[:3, 3], board.points[order], atol=1e-9)
        centres = (board.points + [12.5, 12.5, 0])[inside] @ motion[:3, :3].T + motion[:3, 3]
        cells = np.floor(centres[:, :2] / board.square_mm).sum(1) % 2 == 0
        assert (cells == dark[inside]).all() == any(order is one or (order == one).all() for one in board.turns())
    assert len(Board("charuco", (5, 5), 25.0, 18.0, "4X4_50").turns()) == 1


def test_cameras_are_placed_whatever_turn_each_took():
    """Every camera took each view in any of the four turns of a square board; one view in ten is of another moment."""
    board = Board("chessboard", (4, 4), 25.0)
    turns, rng = board.turns(), np.random.default_rng(1)
    motions = [board_turn(board.points, order) for order in turns]
    right = seen_poses()
    wrong = [{view: pose @ motions[rng.integers(4)] for view, pose in own.items()} for own in right]
    wrong[1][4] = wrong[1][7]
    placed = place_cameras(NAMES, wrong, board.points, turns)
    difference = np.linalg.inv(placed.cameras) @ between(3)
    assert np.abs(difference - np.eye(4))[:, :3, :3].max() < 0.05
    assert np.linalg.norm(difference[:, :3, 3], axis=-1).max() < 20
    for view in set(range(10)) - {4}:
        held = [np.linalg.inv(camera) @ own[view] for camera, own in zip(placed.cameras, placed.poses, strict=True)]
        assert max(np.abs(one[:3, :3] - held[0][:3, :3]).max() for one in held) < 0.1
        turned = [wrong[i][view] @ motions[placed.turned[i][view]] for i in range(3)]
        np.testing.assert_allclose(turned, [own[view] for own in placed.poses], atol=1e-9)


def test_views_that_do_not_tell_the_turn():
    board = chessboard(6, 4)
    flat = [{view: pose for view, pose in own.items() if view == 0} for own in seen_poses()]
    with pytest.raises(
        InputError, match="looks the same turned by 180 degrees, and 1 shared views do not tell how the"
    ):
        place_cameras(NAMES, flat, board.points, board.turns())
    place_cameras(NAMES, flat, board.points, board.turns()[:1])  # of a board that looks different it is enough


def test_views_that_do_not_fit_each_other():
    board = chessboard(8, 3)
    shuffled = seen_poses()
    shuffled[1] = {view: shuffled[1][(view + 3) % 10] for view in range(10)}
    with pytest.raises(InputError, match="left and middle see the board in poses that do not fit each other in most"):
        place_cameras(NAMES, shuffled, board.points, board.turns())


@pytest.mark.parametrize("size", [(8, 3), (6, 4)])
def test_a_mirrored_camera_is_found(size):
    """In a mirror, the camera sees the mirrored board before its mirrored self."""
    board = chessboard(*size)
    mirror, flipped = np.diag([-1.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 2 * board.points.mean(0)[0]
    seen = seen_poses()
    seen[2] = {view: mirror @ pose @ flipped for view, pose in seen[2].items()}
    with pytest.raises(InputError, match="one of the cameras (left|middle) and right are mirrored against the other's"):
        place_cameras(NAMES, seen, board.points, board.turns())


def test_cameras_apart_are_named():
    seen = seen_poses()
    seen[2] = {view + 10: pose for view, pose in seen[2].items()}
    with pytest.raises(InputError, match="the cameras left, middle never see the board together with right"):
        place_cameras(NAMES, seen, chessboard(8, 3).points, [np.arange(24)])


def test_the_world_on_a_board_has_z_up():
    board, block, rig = chessboard(8, 3), poses(1)[0], small_rig()
    motion = upright_on_board(block)
    (corners,) = board_places(board.points, block[None])
    there = corners @ motion[:3, :3].T + motion[:3, 3]
    np.testing.assert_allclose(there, board.points * [1, -1, 1], atol=1e-9)
    moved = moved_world(rig, motion)
    assert (-np.einsum("cji,cj->ci", Rotation.from_rotvec(moved.rotation).as_matrix(), moved.translation))[
        :, 2
    ].min() > 0
    for before, after in zip((rig.rotation, rig.translation), (moved.rotation, moved.translation), strict=True):
        assert before.shape == after.shape
    old, new = (
        np.einsum("cij,mj->cmi", Rotation.from_rotvec(c.rotation).as_matrix(), p) + c.translation[:, None]
        for c, p in ((rig, corners), (moved, there))
    )
    np.testing.assert_allclose(old, new, atol=1e-9)
    np.testing.assert_allclose(pose_vector(vector_pose(block)), block, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("chessboard", (2, 6), 30.0), "--squares=2x6 is too small: it counts the inner corners of a chessboard"),
        (("circles", (9, 6), 30.0), "--board=circles must be chessboard or charuco"),
        (("chessboard", (9, 6), 0.0), "--square_mm=0 must be 0.1 or more"),
        (("chessboard", (9, 6), 0.03), "30 for 3 cm or 0.03 m"),
        (("charuco", (7, 5), 30.0), "--marker_mm=0 must be between 0 and the side of a square, 30 mm"),
    ],
)
def test_boards_that_cannot_be(arguments, words):
    with pytest.raises(InputError, match=words):
        Board(*arguments)
    for text in ("9", "9x", "9x6x3", "axb", "-9x6"):
        with pytest.raises(InputError, match="must be two numbers, columns x rows, e.g. 9x6"):
            parse_size(text)
    assert parse_size("9X6") == (9, 6)
