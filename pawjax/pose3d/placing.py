"""From the poses of a board in single cameras to the poses of the cameras, and the order of the board's corners.

A pose is a matrix [4, 4] that maps (x, y, z, 1) of the board, or of the world, to a camera's frame, mm. Every view that
two cameras share gives one guess of the pose between them; the guess that most views agree with is taken. A board that
looks the same after a turn gives as many guesses of each view as it has such turns, and only the right ones agree.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError, listed

FAR = 0.3  # radians, and parts of the board's distance: poses that differ more do not agree at all
DOUBTFUL, DISAGREE = 0.2 * FAR, 0.6 * FAR  # mean differences from which something is wrong, and from which it must be
CLEAR = 0.1  # by how much the second best guess must be worse
MUCH_BETTER = 1 / 3  # share of the mean difference that is left if the pictures are mirrored
MIRROR = np.diag([-1.0, 1, 1, 1])

Poses = dict[int, np.ndarray]  # of the board in one camera's frame, by view


class Placed(NamedTuple):
    """The result.

    Attributes:
      cameras: [C, 4, 4], from the world, which is the first camera's frame.
      poses: of the board in each camera's frame, by view, turned as all cameras agree.
      turned: for each camera, by view, the place in `turns` of the order in which its corners must be taken.
    """

    cameras: np.ndarray
    poses: list[Poses]
    turned: list[dict[int, int]]


def pose_matrix(rotation: Rotation, translation: np.ndarray) -> np.ndarray:
    """[4, 4] of x -> R x + t."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.as_matrix(), translation
    return pose


def pose_vector(pose: np.ndarray) -> np.ndarray:
    """[6] of a pose: Rodrigues vector and translation."""
    return np.concatenate([Rotation.from_matrix(pose[:3, :3]).as_rotvec(), pose[:3, 3]])


def vector_pose(vector: np.ndarray) -> np.ndarray:
    """The pose [4, 4] of a vector [6]: the inverse of `pose_vector`."""
    return pose_matrix(Rotation.from_rotvec(np.array(vector[:3], float)), vector[3:])


def board_places(board: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """[B, M, 3], mm, the corners [M, 3] of a board at poses [B, 6]; NaN at a pose that is not known."""
    places = np.full((len(blocks), len(board), 3), np.nan)
    known = np.isfinite(blocks).all(-1)
    turns = Rotation.from_rotvec(blocks[known, :3]).as_matrix()
    places[known] = board @ turns.swapaxes(-1, -2) + blocks[known, None, 3:]
    return places


def board_turn(board: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The motion [4, 4] of the board [M, 3] that takes each corner to the place of the one that `order` puts there."""
    middle = board.mean(0)
    turn, _ = Rotation.align_vectors(board[order] - middle, board - middle)
    return pose_matrix(turn, middle - turn.apply(middle))


def place_cameras(names: Sequence[str], poses: list[Poses], board: np.ndarray, turns: list[np.ndarray]) -> Placed:
    """Places cameras along the pairs that share most views.

    Args:
      names: of C cameras.
      poses: of the board in each camera's frame, by view.
      board: [M, 3], mm.
      turns: orders of the corners in which the board looks the same, the order as it is first.

    Raises InputError for cameras that never see the board together, or in poses that do not fit each other, whose
    pictures are mirrored, or between which no view tells how the board is turned.
    """
    motions = np.stack([board_turn(board, order) for order in turns])
    placed = {0: np.eye(4)}
    while len(placed) < len(names):
        pairs = [(one, other) for one in placed for other in range(len(names)) if other not in placed]
        one, other = max(pairs, key=lambda pair: len(poses[pair[0]].keys() & poses[pair[1]].keys()))
        if not poses[one].keys() & poses[other].keys():
            _refuse_apart(names, placed)
        placed[other] = _between((names[one], names[other]), poses[one], poses[other], board, motions) @ placed[one]
    cameras = np.stack([placed[index] for index in range(len(names))])
    turned = _settle(cameras, poses, motions)
    settled = [{v: pose @ motions[turn[v]] for v, pose in own.items()} for own, turn in zip(poses, turned, strict=True)]
    return Placed(cameras, settled, turned)


def _refuse_apart(names: Sequence[str], placed: dict[int, np.ndarray]) -> None:
    inside, outside = ([name for i, name in enumerate(names) if (i in placed) == of] for of in (True, False))
    raise InputError(
        f"the cameras {listed(inside, 6)} never see the board together with {listed(outside, 6)}: take views that a "
        f"camera of each group sees"
    )


def _between(names: tuple[str, str], one: Poses, other: Poses, board: np.ndarray, motions: np.ndarray) -> np.ndarray:
    """The pose of the other camera in the frame of the one. Raises InputError if the views do not tell it."""
    views = sorted(one.keys() & other.keys())
    first, second = np.stack([one[v] for v in views]), np.stack([other[v] for v in views])
    pose, cost, rival = _agree(first, second, motions)
    if cost > DOUBTFUL:
        _check_mirror(names, first, second, board, cost)
    if cost > DISAGREE:
        raise InputError(
            f"the cameras {names[0]} and {names[1]} see the board in poses that do not fit each other in most of "
            f"{len(views)} views: their pictures must be of the same moments, in the same order, and the cameras must "
            f"not be moved between them"
        )
    if rival < cost + CLEAR and len(motions) > 1:
        raise InputError(
            f"the board looks the same turned by {360 // len(motions)} degrees, and {len(views)} shared views do not "
            f"tell how the cameras {names[0]} and {names[1]} see it: take more views with the board tilted in several "
            f"directions, or a board with an odd and an even number of corners"
        )
    return pose


def _check_mirror(names: tuple[str, str], one: np.ndarray, other: np.ndarray, board: np.ndarray, cost: float) -> None:
    """Raises InputError if the views agree once the pictures of the second camera are mirrored.

    A chessboard in a mirror is a chessboard, so that a camera alone does not show it.
    """
    middle = board.mean(0)
    reflection = MIRROR.copy()
    reflection[0, 3] = 2 * middle[0]
    quarters = [Rotation.from_euler("z", 90 * k, degrees=True) for k in range(4)]
    motions = np.stack([reflection @ pose_matrix(turn, middle - turn.apply(middle)) for turn in quarters])
    _, mirrored, _ = _agree(one, MIRROR @ other, motions)
    if mirrored < MUCH_BETTER * cost:
        raise InputError(
            f"the pictures of one of the cameras {names[0]} and {names[1]} are mirrored against the other's: record "
            f"them without a mirror or a flip, or turn them back"
        )


def _agree(one: np.ndarray, other: np.ndarray, motions: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The pose between two cameras, its mean difference from the nearest guess of each view, and that of its rival.

    Args:
      one, other: [V, 4, 4], the board in the cameras' frames.
      motions: [S, 4, 4], of the board, that cannot be seen.
    """
    guesses = np.einsum("vij,sjk,vkl->svil", other, motions, np.linalg.inv(one))  # [S, V, 4, 4]
    far = np.median(np.linalg.norm(np.concatenate([one, other])[:, :3, 3], axis=-1))
    every = guesses.reshape(-1, 4, 4)
    apart = np.minimum(_differences(every[:, None], every[None], far), FAR).reshape(len(every), *guesses.shape[:2])
    costs = apart.min(1).mean(1)
    best = int(np.argmin(costs))
    distinct = apart[best].ravel() >= FAR
    return every[best], float(costs[best]), float(costs[distinct].min()) if distinct.any() else np.inf


def _differences(first: np.ndarray, second: np.ndarray, far: float) -> np.ndarray:
    """Angle between the axes of poses [..., 4, 4], radians, plus the distance of their origins in units of `far`."""
    turns = np.linalg.norm(first[..., :3, :3] - second[..., :3, :3], axis=(-2, -1)) / np.sqrt(8)  # sin(angle / 2)
    shifts = np.linalg.norm(first[..., :3, 3] - second[..., :3, 3], axis=-1) / far
    return 2 * np.arcsin(np.minimum(turns, 1)) + shifts


def _settle(cameras: np.ndarray, poses: list[Poses], motions: np.ndarray) -> list[dict[int, int]]:
    """For each camera and view the turn that agrees with the first camera that sees the view."""
    turned = []
    for index, own in enumerate(poses):
        chosen = {}
        for view, pose in own.items():
            first = next(i for i, others in enumerate(poses) if view in others)
            expected = np.linalg.inv(cameras[first]) @ poses[first][view]
            guesses = np.linalg.inv(cameras[index]) @ pose @ motions
            far = np.linalg.norm(pose[:3, 3])
            chosen[view] = 0 if first == index else int(np.argmin(_differences(guesses, expected[None], far)))
        turned.append(chosen)
    return turned
