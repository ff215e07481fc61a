"""DeepLabCut's stereo_params.pickle: a dict whose one key is the names of the two cameras, "camera-1-camera-2".

Entries as of cv2.stereoCalibrate and cv2.stereoRectify: cameraMatrix1, distCoeffs1, R, T, E, F, R1, P1 (and 2), roi1,
Q, image_shape [(width, height), ...]. The world is the first camera's frame, the unit a square of the board.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax import restricted_pickle
from pawjax.errors import InputError, listed
from pawjax.pickled import BrokenPickle
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.opencv_files import read_fields

INTRINSIC = "_intrinsic_params.pickle"  # beside it, one for each camera


def read(path: Path, unit_mm: float | None) -> Cameras:
    """The two cameras. Raises InputError without `unit_mm`, the side of the board's squares, or for another pickle."""
    try:
        content = restricted_pickle.read(path)
    except BrokenPickle as error:
        raise InputError(f"{path}: is not read as a stereo_params.pickle ({error}): give one of DeepLabCut") from error
    pairs = content if isinstance(content, dict) else {}
    if not pairs or not all(isinstance(pair, dict) and "cameraMatrix1" in pair for pair in pairs.values()):
        raise InputError(f"{path}: is not DeepLabCut's stereo_params.pickle: give that, from the folder camera_matrix")
    if len(pairs) > 1:
        raise InputError(f"{path}: holds the pairs {listed([str(key) for key in pairs], 4)}: give a file of one pair")
    if unit_mm is None:
        raise InputError(f"{path}: DeepLabCut measures in squares of the board: give unit_mm, the side of one in mm")
    ((key, fields),) = pairs.items()
    return read_fields(path, fields, unit_mm, _names(path, str(key)))


def write(path: Path, cameras: Cameras) -> None:
    """Writes two cameras with what cv2.stereoRectify adds, in millimetres instead of squares.

    Raises InputError for another number of cameras, a fisheye, or a size that is not known.
    """
    if len(cameras) != 2 or np.any(cameras.fisheye) or None in cameras.sizes:
        raise InputError(
            f"DeepLabCut has two cameras, without fisheye and of known size, not {', '.join(cameras.names)}: "
            f"select two, or write a calibration.toml"
        )
    (k1, k2), (d1, d2) = np.asarray(cameras.matrix, float), np.asarray(cameras.distortion, float)
    turns, (t1, t2) = Rotation.from_rotvec(np.array(cameras.rotation, float)), np.asarray(cameras.translation, float)
    turn = turns[1] * turns[0].inv()
    shift = t2 - turn.apply(t1)
    essential = np.cross(np.eye(3), shift) @ turn.as_matrix()
    fundamental = np.linalg.inv(k2).T @ essential @ np.linalg.inv(k1)
    entries = {
        "cameraMatrix1": k1,
        "cameraMatrix2": k2,
        "distCoeffs1": d1[None],
        "distCoeffs2": d2[None],
        "R": turn.as_matrix(),
        "T": shift[:, None],
        "E": essential,
        "F": fundamental / fundamental[2, 2],
        **_rectified(turn, shift, (k1 + k2) / 2),
        "roi1": (0, 0, *cameras.sizes[0]),
        "roi2": (0, 0, *cameras.sizes[1]),
        "image_shape": list(cameras.sizes),
    }
    with path.open("wb") as file:
        pickle.dump({"-".join(cameras.names): entries}, file)


def _rectified(turn: Rotation, shift: np.ndarray, matrix: np.ndarray) -> dict[str, Any]:
    """R1, R2, P1, P2 and Q: both cameras turned so that their rows, or columns, fall together (Bouguet's method).

    Each camera turns half of the way to the other's direction, and then both together until the other one lies along x
    or y, whichever is nearer. `matrix` is the new one of both.
    """
    half = Rotation.from_rotvec(turn.as_rotvec() / 2)
    across = half.inv().apply(shift)
    axis = int(abs(across[1]) > abs(across[0]))
    onto = np.eye(3)[axis] * np.sign(across[axis])
    normal = np.cross(across, onto)
    angle = np.arctan2(np.linalg.norm(normal), across @ onto)
    both = Rotation.from_rotvec(normal * angle / max(np.linalg.norm(normal), np.finfo(float).tiny))
    first, second = both * half, both * half.inv()
    base = second.apply(shift)[axis]
    focal, (cx, cy) = (matrix[0, 0] + matrix[1, 1]) / 2, matrix[:2, 2]
    p1 = np.array([[focal, 0, cx, 0], [0, focal, cy, 0], [0, 0, 1, 0]])
    p2 = p1.copy()
    p2[axis, 3] = focal * base
    q = np.array([[1, 0, 0, -cx], [0, 1, 0, -cy], [0, 0, 0, focal], [0, 0, -1 / base, 0]])
    return {"R1": first.as_matrix(), "R2": second.as_matrix(), "P1": p1, "P2": p2, "Q": q}


def _names(path: Path, key: str) -> tuple[str, str]:
    """The names in a key "one-two", which may hold dashes: as the files of the single cameras say, or in the middle."""
    parts = key.split("-")
    splits = [("-".join(parts[:n]), "-".join(parts[n:])) for n in range(1, len(parts))]
    named = [pair for pair in splits if all((path.parent / f"{name}{INTRINSIC}").exists() for name in pair)]
    if not splits or (not named and len(parts) % 2):
        raise InputError(f"{path}: its pair '{key}' is not the names of two cameras with one dash between: rename it")
    return named[0] if named else splits[len(parts) // 2 - 1]
