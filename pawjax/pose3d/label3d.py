"""The .mat of DANNCE and Label3D, of MATLAB 5 to 7.3: a cell `params` with a struct for each camera, a cell `camnames`.

MATLAB multiplies rows from the left: K and r are the transposed matrix and rotation, t a row. RDistort holds k1, k2 and
perhaps k3, TDistort p1, p2. MATLAB counts pixels from 1, so the principal point is 1 px less here; `data_2d` of such a
file needs the same. The size of the frames is not in it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import io
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.checked import make_cameras
from pawjax.pose3d.matlab import read_variables

FIELDS = ("K", "RDistort", "TDistort", "r", "t")
CELLS = ("params", "camParams")  # of an export to DANNCE, of a session of Label3D
NAMES = "camnames"
FIRST_PIXEL = 1  # of MATLAB


def read(path: Path, unit_mm: float | None) -> Cameras:
    """The cameras, named Camera1 and so on if the file does not name them. Raises InputError for another .mat."""
    try:
        content = read_variables(path, (*CELLS, NAMES))
    except Exception as error:  # a damaged file fails in a dozen ways
        raise InputError(
            f"{path}: cannot be read as a .mat of DANNCE or Label3D ({' '.join(str(error).split())[:200]}): "
            f"export it again"
        ) from error
    params = next((content[cell] for cell in CELLS if cell in content), None)
    params = [params] if isinstance(params, dict) else params
    if not isinstance(params, list) or not params:
        raise InputError(
            f"{path}: holds no cameras, a cell 'params': give the label3d_dannce.mat that Label3D exported"
        )
    for number, camera in enumerate(params):
        missing = [field for field in FIELDS if not isinstance(camera, dict) or field not in camera]
        if missing:
            raise InputError(f"{path}: camera {number + 1} of 'params' has no field '{missing[0]}': export it again")
    names = content.get(NAMES)
    names = names if isinstance(names, list) else [f"Camera{number + 1}" for number in range(len(params))]
    matrix = [_from_first_pixel(np.asarray(camera["K"]).T, -FIRST_PIXEL) for camera in params]
    distortion = [_coefficients(path, camera) for camera in params]
    rotation, translation = [np.asarray(camera["r"]).T for camera in params], [camera["t"] for camera in params]
    sizes = [None] * len(params)
    return make_cameras(path, names, sizes, matrix, distortion, rotation, translation, None, unit_mm)


def write(path: Path, cameras: Cameras) -> None:
    """Writes `params` and `camnames` as MATLAB 5. Raises InputError for a fisheye, which the format does not know."""
    if np.any(cameras.fisheye):
        raise InputError("the .mat of DANNCE has no fisheye: write a calibration.toml")
    params, names = np.empty((len(cameras), 1), object), np.empty((1, len(cameras)), object)
    rotations = Rotation.from_rotvec(np.array(cameras.rotation, np.float64)).as_matrix()
    for index, (name, k) in enumerate(zip(cameras.names, np.asarray(cameras.distortion, np.float64), strict=True)):
        params[index, 0] = {
            "K": _from_first_pixel(np.asarray(cameras.matrix[index], np.float64), FIRST_PIXEL).T,
            "RDistort": k[None, [0, 1, 4]],
            "TDistort": k[None, 2:4],
            "r": rotations[index].T,
            "t": np.asarray(cameras.translation[index], np.float64)[None],
        }
        names[0, index] = name
    with path.open("wb") as file:  # savemat adds an ending to a path
        io.savemat(file, {CELLS[0]: params, NAMES: names})


def _from_first_pixel(matrix: np.ndarray, shift: int) -> np.ndarray:
    """A matrix [3, 3] with its principal point moved."""
    return np.array([[1, 0, shift], [0, 1, shift], [0, 0, 1]]) @ matrix


def _coefficients(path: Path, camera: dict[str, Any]) -> list[float]:
    radial, tangential = (np.ravel(camera[field]).tolist() for field in ("RDistort", "TDistort"))
    if not 2 <= len(radial) <= 3 or len(tangential) != 2:
        raise InputError(
            f"{path}: RDistort and TDistort have {len(radial)} and {len(tangential)} numbers, not 2 or 3 and 2: export "
            f"the cameras again"
        )
    return [*radial[:2], *tangential, *radial[2:]]
