"""Pictures of boards as known cameras see them, drawn with OpenCV."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from pawjax.pose3d.board import CHARUCO, Board
from pawjax.pose3d.cameras import Cameras

SCALE = 2.0  # px of the drawing for each mm
MARGIN = 30.0  # mm of white around the squares
SIZE = (640, 480)
BACKGROUND = 110


def small_rig(n: int = 3) -> Cameras:
    """n cameras beside each other, about half a metre before the origin, each turned towards it."""
    places = np.array([[-180.0, -20, -520], [20, 60, -480], [190, -10, -500]])[:n]
    turns = Rotation.from_rotvec([[0.03, 0.33, 0.05], [-0.1, 0.02, -0.06], [0, -0.36, 0.02]][:n])
    matrix = np.tile([[620.0, 0, 316], [0, 622, 243], [0, 0, 1]], (n, 1, 1))
    lens = np.tile([-0.2, 0.08, 0, 0, 0], (n, 1)) * np.linspace(1, 0.6, n)[:, None]
    names = ("left", "middle", "right")[:n]
    turn = turns.inv()
    return Cameras(names, (SIZE,) * n, matrix, lens, turn.as_rotvec(), -turn.apply(places), np.zeros(n, bool))


def poses(n: int, seed: int = 0) -> np.ndarray:
    """[n, 6] of a board that is held before the cameras, tilted and turned."""
    rng = np.random.default_rng(seed)
    turns = rng.uniform(-1, 1, (n, 3)) * [0.5, 0.5, 0.6]
    return np.concatenate([turns, rng.uniform(-50, 50, (n, 3))], axis=-1)


def drawing(board: Board) -> np.ndarray:
    """uint8 [H, W] of the board at SCALE, with its margin."""
    import cv2

    side, margin = round(SCALE * board.square_mm), round(SCALE * MARGIN)
    if board.kind == CHARUCO:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{board.dictionary}"))
        made = cv2.aruco.CharucoBoard(board.size, board.square_mm, board.marker_mm, dictionary)
        made.setLegacyPattern(board.legacy)
        squares = made.generateImage((side * board.size[0], side * board.size[1]))
    else:
        dark = np.add.outer(np.arange(board.rows + 1), np.arange(board.columns + 1)) % 2 == 0
        squares = np.kron(np.where(dark, 20, 235), np.ones((side, side))).astype(np.uint8)
    return np.pad(squares, margin, constant_values=235)


def pictures(board: Board, cameras: Cameras, blocks: np.ndarray) -> np.ndarray:
    """uint8 [C, V, H, W] of the board at poses [V, 6], whose middle is the origin of the poses."""
    import cv2

    texture = cv2.GaussianBlur(drawing(board), (0, 0), 1.0)
    first = MARGIN + board.square_mm  # of the first corner, from the edge of the drawing
    middle = board.points.mean(0)[:2]
    grid = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), axis=-1).reshape(-1, 1, 2).astype(float)
    taken = []
    for matrix, lens, turn, shift in zip(
        cameras.matrix, cameras.distortion, cameras.rotation, cameras.translation, strict=True
    ):
        ideal = cv2.undistortPoints(grid, matrix, lens).reshape(-1, 2)
        rays = np.c_[ideal, np.ones(len(ideal))]
        for block in blocks:
            rotation = Rotation.from_rotvec(turn) * Rotation.from_rotvec(block[:3])
            place = Rotation.from_rotvec(turn).apply(block[3:]) + shift
            h = np.c_[rotation.as_matrix()[:, :2], place]  # from (x, y, 1) on the board to the camera's rays
            at = rays @ np.linalg.inv(h).T
            x, y = (SCALE * (at[:, :2] / at[:, 2:] + middle + first) - 0.5).T.reshape(2, *SIZE[::-1])
            seen = cv2.remap(
                texture,
                x.astype(np.float32),
                y.astype(np.float32),
                cv2.INTER_LINEAR,
                None,
                cv2.BORDER_CONSTANT,
                BACKGROUND,
            )
            taken.append(cv2.GaussianBlur(seen, (3, 3), 0))
    return np.stack(taken).reshape(len(cameras), len(blocks), *SIZE[::-1])


def save(folder: Path, cameras: Cameras, taken: np.ndarray) -> str:
    """Writes the pictures, a folder for each camera, and returns the words of --cameras."""
    words = []
    for name, own in zip(cameras.names, taken, strict=True):
        (folder / name).mkdir(parents=True)
        for view, pixels in enumerate(own):
            Image.fromarray(pixels).save(folder / name / f"img{view + 1}.png", compress_level=1)
        words.append(f"{name}={folder / name}")
    return ",".join(words)


def moved(cameras: Cameras, index: int, shift: float) -> Cameras:
    """The cameras, one of them moved sideways, mm."""
    translation = np.array(cameras.translation)
    translation[index, 0] += shift
    return dataclasses.replace(cameras, translation=translation)
