"""Cameras from numbers of a file or a user: everything that could not be a camera is refused in one sentence."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError, listed, shown
from pawjax.pose3d.cameras import Cameras, camera_places

RIGID = 1e-3  # how far R R^T may be from the identity: files round to four digits
METRES = 10.0  # cameras that are at most so far apart are not measured in millimetres
COEFFICIENTS = 5


def make_cameras(
    source: str | Path,
    names: Sequence[str],
    sizes: Sequence[Sequence[int] | None],
    matrix: Any,
    distortion: Any,
    rotation: Any,
    translation: Any,
    fisheye: Any = None,
    unit_mm: float | None = None,
) -> Cameras:
    """Cameras in float64 numpy.

    Args:
      source: the file, for messages.
      names: of C cameras.
      sizes: (width, height) of each camera's frames, px; None where it is not known.
      matrix: C of [3, 3].
      distortion: C lists of coefficients, in OpenCV's order; missing ones are 0.
      rotation: C Rodrigues vectors [3], or matrices [3, 3].
      translation: C of [3].
      fisheye: C booleans; none if None.
      unit_mm: millimetres in the unit of the translations; None: they are in millimetres, unless they look like metres.

    Raises InputError that names the source, the camera and the field: a wrong shape, values that are not finite, names
    that are not different, a matrix that is none of a camera, a mirrored or non-rigid rotation, translations that look
    like metres.
    """
    names = tuple(str(name) for name in names)
    if not names or len(set(names)) < len(names) or not all(names):
        raise InputError(f"{source}: the names of the cameras are {', '.join(names) or 'missing'}: name each one once")
    given = {"size": sizes, "matrix": matrix, "distortion": distortion, "rotation": rotation}
    given |= {"translation": translation, "fisheye": [False] * len(names) if fisheye is None else fisheye}
    for field, values in given.items():
        _check_count(source, names, field, values)
    fisheye = np.array([bool(np.any(wide)) for wide in given["fisheye"]])

    def each(field: str, read: Callable[..., np.ndarray], *more: Any) -> list:
        return [read(source, name, field, *values) for name, *values in zip(names, given[field], *more, strict=True)]

    cameras = Cameras(
        names,
        tuple(each("size", _size)),
        np.stack(each("matrix", _matrix)),
        np.stack(each("distortion", _lens, fisheye)),
        np.stack(each("rotation", _rotation)),
        np.stack(each("translation", _vector)) * (1.0 if unit_mm is None else unit_mm),
        fisheye,
    )
    if unit_mm is None and len(names) > 1:
        _check_unit(source, cameras)
    return cameras


def decompose(source: str | Path, names: Sequence[str], matrices: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Camera matrices [C, 3, 3], rotations [C, 3, 3] and translations [C, 3] of projection matrices [C, 3, 4].

    The sign of a projection matrix has no meaning: it is taken so that the rotation is none of a mirror.
    """
    parts = []
    _check_count(source, names, "projection matrix", matrices)
    for name, p in zip(names, matrices, strict=True):
        p = _shaped(source, name, "projection matrix", p, (3, 4))
        if abs(np.linalg.det(p[:, :3])) < np.finfo(float).tiny:
            raise InputError(f"{source}: the projection matrix of the camera '{name}' is singular: correct it")
        p = p * np.sign(np.linalg.det(p[:, :3]))
        q, r = np.linalg.qr(np.flipud(p[:, :3]).T)  # the last axis of the camera first
        k, turn = np.triu(np.flip(r.T)), np.flipud(q.T)
        signs = np.diag(np.sign(np.diag(k)))
        k, turn = k @ signs, signs @ turn
        parts.append((k / k[2, 2], turn, np.linalg.solve(k, p[:, 3])))
    return tuple(np.stack(part) for part in zip(*parts, strict=True))


def _check_count(source: str | Path, names: Sequence[str], field: str, values: Any) -> None:
    count = len(values) if isinstance(values, list | tuple) or np.ndim(values) else 0
    if count != len(names):
        raise InputError(
            f"{source}: there are {len(names)} cameras ({listed(names, 4)}), but {count} of '{field}': give one each"
        )


def _numbers(source: str | Path, name: str, field: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{source}: the {field} of the camera '{name}' is {shown(values)}, not numbers") from None
    if not np.isfinite(array).all():
        raise InputError(f"{source}: the {field} of the camera '{name}' has a number that is not finite: correct it")
    return array


def _shaped(source: str | Path, name: str, field: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = _numbers(source, name, field, values)
    if array.shape != shape:
        raise InputError(
            f"{source}: the {field} of the camera '{name}' has shape {array.shape}, not {shape}: correct it"
        )
    return array


def _vector(source: str | Path, name: str, field: str, values: Any, length: int = 3) -> np.ndarray:
    """Also from a row or a column."""
    return _shaped(source, name, field, _numbers(source, name, field, values).ravel(), (length,))


def _matrix(source: str | Path, name: str, field: str, values: Any) -> np.ndarray:
    k = _shaped(source, name, field, values, (3, 3))
    if (k[1, 0], *k[2]) == (0, 0, 0, 1) and k[0, 0] > 0 and k[1, 1] > 0:
        return k
    transposed = "; it looks transposed" if (k[0, 1], *k[:2, 2]) == (0, 0, 0) and k[2, 2] == 1 else ""
    raise InputError(
        f"{source}: the matrix of the camera '{name}' is {k.tolist()}, not [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] "
        f"with positive fx and fy{transposed}: correct it"
    )


def _lens(source: str | Path, name: str, field: str, values: Any, fisheye: bool) -> np.ndarray:
    values = _numbers(source, name, field, values).ravel()
    known = COEFFICIENTS - fisheye
    if np.any(values[known:]):
        model = "a fisheye has k1 to k4" if fisheye else "pawjax knows k1, k2, p1, p2, k3, not OpenCV's rational model"
        raise InputError(
            f"{source}: the distortion of the camera '{name}' has {len(values)} coefficients, but {model}: "
            f"calibrate with {known}"
        )
    return np.pad(values[:known], (0, COEFFICIENTS - min(len(values), known)))


def _rotation(source: str | Path, name: str, field: str, values: Any) -> np.ndarray:
    """A Rodrigues vector of it. Raises InputError for a matrix that is not a rotation."""
    matrix = _numbers(source, name, field, values)
    if matrix.size == 3:
        return matrix.ravel()
    matrix = _shaped(source, name, field, matrix, (3, 3))
    off = np.abs(matrix @ matrix.T - np.eye(3)).max()
    if off > RIGID:
        raise InputError(
            f"{source}: the rotation of the camera '{name}' is not rigid: its rows are not of length 1 and "
            f"perpendicular (by {off:.2g}); calibrate again, or correct the file"
        )
    if np.linalg.det(matrix) < 0:
        raise InputError(
            f"{source}: the rotation of the camera '{name}' is mirrored (its determinant is -1), as after a change "
            f"between left- and right-handed axes: turn one axis of the world round in every camera"
        )
    return Rotation.from_matrix(matrix).as_rotvec()


def _size(source: str | Path, name: str, field: str, size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    values = _vector(source, name, field, size, 2)
    if (values < 1).any() or (values % 1).any():
        raise InputError(f"{source}: the size of the camera '{name}' is {shown(size)}, not (width, height) in pixels")
    return int(values[0]), int(values[1])


def _check_unit(source: str | Path, cameras: Cameras) -> None:
    places = camera_places(cameras)
    apart = np.linalg.norm(places[:, None] - places, axis=-1).max()
    if 0 < apart < METRES:
        raise InputError(
            f"{source}: the cameras are at most {apart:.3g} apart, which looks like metres, or squares of a board, not "
            f"millimetres: give unit_mm, the millimetres in one unit of the file (1000 for metres, 1 if it is right)"
        )
