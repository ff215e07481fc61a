"""Calibration of several cameras from the corners of a flat board that was moved through their view.

Each camera by itself first: focal length from homographies, the board's poses, bundle adjustment. Then all together:
cameras are placed by the boards that two of them saw at the same time (`pawjax.pose3d.placing`), and the bundle of
everything is adjusted. The first camera's frame is the world.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d.bundle import Adjusted, adjust_boards, free_parameters
from pawjax.pose3d.cameras import Cameras, undistort
from pawjax.pose3d.placing import Poses, place_cameras, pose_vector, vector_pose
from pawjax.pose3d.planar import board_pose, focal_length, homography

FEWEST_VIEWS = 3  # of a camera
LOOSE = 10.0  # px, the loss's scale while a camera's distortion is not known
_undistort = jax.jit(undistort)


def calibrate(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    corners: Any,
    board: Any,
    lens: int = 2,
    fisheye: Sequence[bool] | None = None,
    scale: float = 1.0,
    turns: Sequence[np.ndarray] | None = None,
) -> Adjusted:
    """Calibrates C cameras from B views of a board.

    Args:
      names: of the cameras.
      sizes: (width, height) of their frames, px.
      corners: [C, B, M, 2], (x, y) of the board's M corners in each view, which all cameras took at the same time; NaN
        where a corner was not found.
      board: [M, 3], mm, the corners on the board, flat (z = 0): as seen from its front, x to the right and y down.
      lens: how many coefficients of the lenses are fitted, up to 5, or 4 of a fisheye.
      fisheye: of each camera; none if None.
      scale: px, of the robust loss, see `pawjax.pose3d.bundle`.
      turns: orders of the corners [M] in which the board looks the same, `Board.turns`: each camera may have taken
        them in any of these. None if the board never looks the same.

    Returns:
      The cameras, the board's poses [B, 6] (NaN for a view that no camera used), the errors [C, B, M], px, and the
      corners [C, B, M, 2] in the order in which all cameras agree.

    Raises InputError for a camera with too few views or whose board was never tilted, a mirrored board, and what
    `place_cameras` refuses.
    """
    corners, board = np.asarray(corners, np.float64), np.asarray(board, np.float64)
    expected = (len(names), *corners.shape[1:2], len(board), 2)
    if corners.shape != expected or board.shape[1:] != (3,) or board[:, 2].any():
        raise InputError(
            f"corners have shape {corners.shape} and the board {board.shape}, not ({len(names)} cameras, views, M, 2) "
            f"and (M, 3) with z = 0"
        )
    wide = np.zeros(len(names), bool) if fisheye is None else np.asarray(fisheye, bool)
    singles, poses = [], []  # for each camera: it alone, and {view: the board's pose in its frame}
    for name, size, seen, is_wide in zip(names, sizes, corners, wide, strict=True):
        single, own = _calibrate_one(_guess(name, size, seen, board, is_wide), seen, board, min(lens, 5 - is_wide))
        singles.append(single)
        poses.append(own)
    turns = [np.arange(len(board))] if turns is None else list(turns)
    placed = place_cameras(names, poses, board, turns)
    corners = np.array(corners)
    for index, turned in enumerate(placed.turned):
        for view, turn in turned.items():
            corners[index, view] = corners[index, view, turns[turn]]
    vectors = np.stack([pose_vector(pose) for pose in placed.cameras])
    cameras = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *(dataclasses.replace(c, names=(), sizes=()) for c in singles)
    )
    cameras = dataclasses.replace(
        cameras,
        names=tuple(names),
        sizes=tuple(map(tuple, sizes)),
        rotation=vectors[:, :3],
        translation=vectors[:, 3:],
    )
    views = sorted(set().union(*poses))
    start = [_board_in_world(view, corners, placed.poses, placed.cameras) for view in views]
    free = free_parameters(cameras, lens)
    result = adjust_boards(cameras, corners[:, views], board, start, free, scale)
    blocks, errors = np.full((corners.shape[1], 6), np.nan), np.full(corners.shape[:3], np.nan)
    blocks[views], errors[:, views] = result.blocks, result.errors
    return result._replace(blocks=blocks, errors=errors, pixels=corners)


def _guess(name: str, size: tuple[int, int], corners: np.ndarray, board: np.ndarray, wide: bool) -> Cameras:
    """One camera in the world's frame, without distortion, its principal point in the middle of the frame."""
    centre = (np.array(size) - 1) / 2
    if wide:
        focal = max(size) / np.pi  # of an equidistant lens that sees half of the world
    else:
        homographies = [h for seen in corners if (h := homography(board[:, :2], seen)) is not None]
        _check_views(name, len(homographies))
        focal = focal_length(homographies, centre)
    if focal is None:
        raise InputError(f"the camera '{name}' never saw the board tilted: take views from the side and from above too")
    matrix = np.array([[[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]]])
    nothing = np.zeros((1, 3))
    return Cameras((name,), (tuple(size),), matrix, np.zeros((1, 5)), nothing, nothing, np.array([wide]))


def _check_views(name: str, number: int) -> None:
    if number < FEWEST_VIEWS:
        raise InputError(
            f"the camera '{name}' sees the board in {number} views: take {FEWEST_VIEWS} or more, better 20"
        )


def _calibrate_one(camera: Cameras, corners: np.ndarray, board: np.ndarray, lens: int) -> tuple[Cameras, Poses]:
    """The camera with focal length and lens fitted to corners [B, M, 2], and the board's poses in its frame by view."""
    found = {}
    with jax.enable_x64(True):
        ideal = np.asarray(_undistort(camera, corners[None]))[0]
    positions = (ideal - camera.matrix[0, :2, 2]) / camera.matrix[0, 0, 0]
    for view, seen in enumerate(positions):
        h = homography(board[:, :2], seen)
        if h is not None:
            found[view] = board_pose(h)
    _check_views(camera.names[0], len(found))
    from_behind = [turn.as_matrix()[:, 2] @ shift < 0 for turn, shift in found.values()]
    if np.mean(from_behind) > 0.5:
        raise InputError(
            f"the camera '{camera.names[0]}' sees the board mirrored: its rows and columns are exchanged, or it was "
            f"printed or filmed in a mirror"
        )
    start = np.zeros((len(corners), 6))
    for view, (turn, shift) in found.items():
        start[view] = *turn.as_rotvec(), *shift
    used = np.full_like(corners, np.nan)
    used[list(found)] = corners[list(found)]
    for scale in (LOOSE, 1.0):
        result = adjust_boards(camera, used[None], board, start, free_parameters(camera, lens), scale)
        camera, start = result.cameras, result.blocks
    return camera, {view: vector_pose(start[view]) for view in found}


def _board_in_world(view: int, corners: np.ndarray, poses: list[Poses], cameras: np.ndarray) -> np.ndarray:
    """The board's pose [6] in a view, from the camera that saw most of its corners."""
    seen = [np.isfinite(own[view]).all(-1).sum() * (view in poses[index]) for index, own in enumerate(corners)]
    best = int(np.argmax(seen))
    return pose_vector(np.linalg.inv(cameras[best]) @ poses[best][view])
