"""What one picture of a flat board tells: its homography, the camera's focal length, and the board's pose."""

import numpy as np
from scipy.spatial.transform import Rotation

LONGEST = 100.0  # focal length, in halves of the frame: longer than any lens, so that the pictures tell nothing
FEWEST = 6  # corners of a picture that is used: two more than a homography needs


def homography(board: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """H [3, 3] with pixels ~ H (x, y, 1), by normalised linear least squares (Hartley and Zisserman, algorithm 4.2).

    Args:
      board: [M, 2], corners in the board's plane.
      pixels: [M, 2], or positions at focal length 1; NaN where a corner is not seen.

    Returns:
      None if fewer than FEWEST corners are seen, or all on a line.
    """
    seen = np.isfinite(pixels).all(-1)
    if seen.sum() < FEWEST:
        return None
    to_board, to_pixels = _normalising(board[seen]), _normalising(pixels[seen])
    x = np.c_[board[seen], np.ones(seen.sum())] @ to_board.T
    u, v = (np.c_[pixels[seen], np.ones(seen.sum())] @ to_pixels.T)[:, :2].T
    nothing = np.zeros_like(x)
    rows = np.concatenate([np.c_[x, nothing, -u[:, None] * x], np.c_[nothing, x, -v[:, None] * x]])
    _, values, vectors = np.linalg.svd(rows)
    if values[7] < 1e-6 * values[0]:
        return None
    return np.linalg.inv(to_pixels) @ vectors[-1].reshape(3, 3) @ to_board


def focal_length(homographies: list[np.ndarray], centre: np.ndarray) -> float | None:
    """Focal length, px, of a camera with square pixels and this principal point [2] (Zhang, 2000).

    The board's axes are perpendicular and as long as each other in every picture: two equations each for 1 / f^2.

    Returns:
      None if the pictures do not tell, as when the board was never tilted.
    """
    move = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1]])
    left, right = [], []
    for h in homographies:
        a, b = (move @ h / np.linalg.norm(h[:2, :2]))[:, :2].T
        left += [a[:2] @ b[:2], a[:2] @ a[:2] - b[:2] @ b[:2]]
        right += [-a[2] * b[2], b[2] ** 2 - a[2] ** 2]
    left, right = np.array(left), np.array(right)
    tilt = left @ right
    focal = np.sqrt(left @ left / tilt) if tilt > 0 else np.inf
    return float(focal) if focal < LONGEST * np.abs(centre).max() else None


def board_pose(h: np.ndarray) -> tuple[Rotation, np.ndarray]:
    """Rotation and translation from the board to the camera, from a homography to positions at focal length 1."""
    h = h * np.sign(h[2, 2]) / np.sqrt(np.linalg.norm(h[:, 0]) * np.linalg.norm(h[:, 1]))
    u, _, vt = np.linalg.svd(np.c_[h[:, :2], np.cross(h[:, 0], h[:, 1])])
    return Rotation.from_matrix(u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt), h[:, 2]


def _normalising(points: np.ndarray) -> np.ndarray:
    """The map [3, 3] to mean 0 and mean distance sqrt(2)."""
    centre = points.mean(0)
    scale = np.sqrt(2) / max(np.linalg.norm(points - centre, axis=-1).mean(), np.finfo(float).tiny)
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
