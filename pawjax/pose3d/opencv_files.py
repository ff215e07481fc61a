"""Cameras in OpenCV's words: YAML of `cv2.FileStorage`, and arrays by name (npz, and the entries of other files).

Which entries are understood:
- the fields of `Cameras` (npz), or a list `cameras` of maps with name, image_width, image_height, camera_matrix,
  distortion_coefficients, rotation_vector, translation_vector and perhaps fisheye (YAML): what pawjax writes;
- a stereo pair: cameraMatrix1, distCoeffs1, cameraMatrix2, distCoeffs2 (or M1, D1, M2, D2; K1, K2), R, T and perhaps
  image_shape, as of cv2.stereoCalibrate; the first camera's frame is the world;
- camera_matrices or projection_matrices [C, 3, 4] of cameras with ideal lenses.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pawjax.errors import InputError, listed
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.checked import decompose, make_cameras

ARRAYS = ("matrix", "distortion", "rotation", "translation", "fisheye")
STEREO = {"matrix": ("cameraMatrix", "M", "K"), "distortion": ("distCoeffs", "D"), "R": ("R",), "T": ("T",)}
PROJECTIONS = ("camera_matrices", "projection_matrices")
YAML_FIELDS = ("name", "camera_matrix", "distortion_coefficients", "rotation_vector", "translation_vector")
INDENT = 3


class _Loader(yaml.SafeLoader):
    """YAML with OpenCV's matrices."""


def _matrix(loader: _Loader, node: yaml.Node) -> np.ndarray:
    fields = loader.construct_mapping(node, deep=True)
    shape = fields["sizes"] if "sizes" in fields else (fields["rows"], fields["cols"])
    return np.asarray(fields["data"], np.float64).reshape([int(length) for length in shape])


for _tag in ("opencv-matrix", "opencv-nd-matrix"):  # the second for arrays of one axis, since OpenCV 5
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _matrix)


def parse_yaml(text: str) -> Any:
    """The content of a YAML file, also of OpenCV's, whose first line is not YAML."""
    return yaml.load(text.removeprefix("%YAML:1.0"), Loader=_Loader)  # noqa: S506 - a SafeLoader


def read_fields(
    path: Path, fields: Mapping[str, Any], unit_mm: float | None, names: Sequence[str] | None = None
) -> Cameras:
    """Cameras from entries by name, see the module's docstring. `names` are those of a stereo pair, if known.

    Raises InputError if there is nothing of the kind, or it is not right.
    """
    if "cameras" in fields:
        return _read_list(path, fields["cameras"], unit_mm)
    if all(name in fields for name in ("names", *ARRAYS)):
        values = (fields[name] for name in ARRAYS)
        sizes = [size if np.any(size) else None for size in fields.get("sizes", [None] * np.size(fields["names"]))]
        return make_cameras(path, np.ravel(fields["names"]), sizes, *values, unit_mm)
    if any(name in fields for name in PROJECTIONS):
        return _read_projections(path, fields, unit_mm)
    found = {part: next((word for word in words if _has(fields, part, word)), None) for part, words in STEREO.items()}
    if None not in found.values():
        return _read_stereo(path, fields, found, names or ("camera1", "camera2"), unit_mm)
    raise InputError(
        f"{path}: holds {listed([str(key) for key in fields], 8) or 'nothing'}, by which the cameras cannot be placed: "
        f"give their matrix, lens, rotation and translation, e.g. as anipose's calibration.toml"
    )


def write_yaml(path: Path, cameras: Cameras) -> None:
    """Writes a list `cameras` that cv2.FileStorage reads. A size that is not known is left out."""
    lines = ["%YAML:1.0", "---", "cameras:"]
    for index, (name, size) in enumerate(zip(cameras.names, cameras.sizes, strict=True)):
        values = {"name": json.dumps(name, ensure_ascii=False)}
        values |= {} if size is None else {"image_width": size[0], "image_height": size[1]}
        values |= {"fisheye": int(cameras.fisheye[index])}
        arrays = (cameras.matrix, cameras.distortion, cameras.rotation, cameras.translation)
        values |= {f: _opencv_matrix(a[index]) for f, a in zip(YAML_FIELDS[1:], arrays, strict=True)}
        lines += [" " * INDENT + "-", *(f"{' ' * 2 * INDENT}{field}: {value}" for field, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_npz(path: Path, cameras: Cameras) -> None:
    """Writes the fields of `Cameras`; a size that is not known is 0, 0."""
    sizes = np.array([size or (0, 0) for size in cameras.sizes])
    arrays = {name: np.asarray(getattr(cameras, name)) for name in ARRAYS}
    with path.open("wb") as file:  # np.savez adds an ending to a path
        np.savez(file, names=np.array(cameras.names), sizes=sizes, **arrays)


def _has(fields: Mapping[str, Any], part: str, word: str) -> bool:
    return word in fields if part == word else f"{word}1" in fields and f"{word}2" in fields


def _read_list(path: Path, cameras: Any, unit_mm: float | None) -> Cameras:
    if not isinstance(cameras, list) or not all(isinstance(camera, dict) for camera in cameras):
        raise InputError(f"{path}: the field 'cameras' is not a list of cameras, each with its fields: correct it")
    for number, camera in enumerate(cameras):
        missing = [field for field in YAML_FIELDS if field not in camera]
        if missing:
            raise InputError(f"{path}: camera {number} of the list 'cameras' has no field '{missing[0]}': add it")
    columns = [[camera[field] for camera in cameras] for field in YAML_FIELDS]
    sizes = [
        (c["image_width"], c["image_height"]) if {"image_width", "image_height"} <= c.keys() else None for c in cameras
    ]
    fisheye = [bool(camera.get("fisheye", False)) for camera in cameras]
    return make_cameras(path, columns[0], sizes, *columns[1:], fisheye, unit_mm)


def _read_projections(path: Path, fields: Mapping[str, Any], unit_mm: float | None) -> Cameras:
    projections = fields[next(name for name in PROJECTIONS if name in fields)]
    number = len(projections) if np.ndim(projections) == 3 else 0
    names = [str(name) for name in fields.get("names", [f"camera{index + 1}" for index in range(number)])]
    matrix, rotation, translation = decompose(path, names, projections)
    nothing = [None] * len(names)
    return make_cameras(path, names, nothing, matrix, np.zeros((len(names), 5)), rotation, translation, None, unit_mm)


def _read_stereo(
    path: Path, fields: Mapping[str, Any], found: Mapping[str, str], names: Sequence[str], unit_mm: float | None
) -> Cameras:
    matrix, distortion = ([fields[f"{found[part]}{side}"] for side in (1, 2)] for part in ("matrix", "distortion"))
    sizes = fields.get("image_shape", (None, None))
    rotation, translation = (np.eye(3), fields["R"]), (np.zeros(3), fields["T"])
    return make_cameras(path, names, sizes, matrix, distortion, rotation, translation, None, unit_mm)


def _opencv_matrix(array: Any) -> str:
    rows = np.atleast_2d(np.asarray(array, np.float64))
    rows = rows if rows.shape[0] > 1 else rows.T  # a vector is a column
    space = "\n" + " " * 3 * INDENT
    entries = {"rows": rows.shape[0], "cols": rows.shape[1], "dt": "d", "data": rows.ravel().tolist()}
    return "!!opencv-matrix" + "".join(f"{space}{field}: {value}" for field, value in entries.items())
