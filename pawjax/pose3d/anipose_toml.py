"""anipose's calibration.toml, which aniposelib, sleap-anipose and EKS read too: a table for each camera.

Fields: name, size = [width, height], matrix, distortions, rotation (Rodrigues vector), translation; for a fisheye,
fisheye = true and four coefficients. The unit of the translations is that of the board's squares, usually millimetres.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.errors import InputError
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.checked import make_cameras

FIELDS = ("name", "matrix", "distortions", "rotation", "translation")


def read_tables(path: Path, content: dict[str, Any], unit_mm: float | None) -> Cameras:
    """The cameras of a parsed file, in its order. Raises InputError for a field that is missing or wrong."""
    tables = {key: table for key, table in content.items() if isinstance(table, dict) and key != "metadata"}
    if not tables:
        raise InputError(f"{path}: there is no table of a camera, such as [cam_0]: give a calibration of anipose")
    for key, table in tables.items():
        missing = [field for field in FIELDS if field not in table]
        if missing:
            raise InputError(f"{path}: the table [{key}] has no field '{missing[0]}': calibrate again, or add it")
    matrix, distortion, rotation, translation = ([t[field] for t in tables.values()] for field in FIELDS[1:])
    names, sizes = ([table.get(field) for table in tables.values()] for field in ("name", "size"))
    fisheye = [bool(table.get("fisheye", False)) for table in tables.values()]
    return make_cameras(path, names, sizes, matrix, distortion, rotation, translation, fisheye, unit_mm)


def write(path: Path, cameras: Cameras) -> None:
    """Writes the file. Raises InputError where a camera's size is not known, which anipose needs."""
    tables = []
    for index, (name, size) in enumerate(zip(cameras.names, cameras.sizes, strict=True)):
        if size is None:
            raise InputError(
                f"the size of the camera '{name}' is not known, but calibration.toml needs it: set the field 'sizes'"
            )
        fisheye = bool(cameras.fisheye[index])
        fields = {
            "name": name,
            "size": list(size),
            "matrix": _plain(cameras.matrix[index]),
            "distortions": _plain(cameras.distortion[index])[: 4 if fisheye else 5],
            "rotation": _plain(cameras.rotation[index]),
            "translation": _plain(cameras.translation[index]),
        } | ({"fisheye": True} if fisheye else {})
        lines = (f"{field} = {json.dumps(value, ensure_ascii=False)}\n" for field, value in fields.items())
        tables.append(f"[cam_{index}]\n{''.join(lines)}")
    path.write_text("\n".join(tables), encoding="utf-8")


def _plain(array: Any) -> list:
    return np.asarray(array, np.float64).tolist()
