"""Files of calibrated cameras: anipose, DeepLabCut, DANNCE and Label3D, OpenCV, numpy."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pawjax.errors import InputError, did_you_mean, warn
from pawjax.files import regular, replacing, user_path
from pawjax.pose3d import anipose_toml, deeplabcut_stereo, label3d, opencv_files
from pawjax.pose3d.cameras import Cameras

WRITERS: dict[str, Callable[[Path, Cameras], None]] = {
    ".toml": anipose_toml.write,
    ".pickle": deeplabcut_stereo.write,
    ".mat": label3d.write,
    ".yaml": opencv_files.write_yaml,
    ".yml": opencv_files.write_yaml,
    ".npz": opencv_files.write_npz,
}
WITH_SKEW = (".mat", ".npz")
MOST_BYTES = 2**26  # of a text
ZIP, NPY, PICKLE, MATLAB, HDF5 = b"PK\x03\x04", b"\x93NUMPY", b"\x80", b"MATLAB", b"\x89HDF"
WHAT = "anipose's calibration.toml, DeepLabCut's stereo_params.pickle, a .mat of DANNCE, OpenCV's YAML, or an .npz"


def read_calibration(path: str | Path, unit_mm: float | None = None) -> Cameras:
    """Cameras in float64 numpy from a file of any of the formats, which its content tells, not its name.

    Args:
      path: anipose's calibration.toml; DeepLabCut's stereo_params.pickle; a .mat of DANNCE or Label3D; YAML of OpenCV;
        an .npz; an .npy of projection matrices [C, 3, 4]. See the module of each format.
      unit_mm: millimetres in the file's unit; None: it is in millimetres.

    Raises InputError for another or a damaged file, a camera that cannot be, and translations that look like metres.
    """
    path = user_path(path)
    try:
        with regular(path).open("rb") as file:
            head = file.read(6)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give {WHAT}") from error
    if head.startswith((MATLAB, HDF5)):
        return label3d.read(path, unit_mm)
    if head.startswith((ZIP, NPY)):
        return opencv_files.read_fields(path, _read_numpy(path), unit_mm)
    if head.startswith(PICKLE):
        return deeplabcut_stereo.read(path, unit_mm)
    return _read_text(path, unit_mm)


def write_calibration(path: str | Path, cameras: Cameras, overwrite: bool = False) -> None:
    """Writes cameras in the format of the path's ending, one of WRITERS, atomically.

    Raises InputError for another ending, a file that exists (without `overwrite`), or cameras that the format does not
    hold. Warns of a skew, which OpenCV ignores.
    """
    path = user_path(path)
    check_ending(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already: choose another name, or overwrite it explicitly")
    skewed = [name for name, k in zip(cameras.names, cameras.matrix, strict=True) if k[0, 1]]
    if skewed and path.suffix not in WITH_SKEW:
        warn(f"{path}: OpenCV, and what uses it, ignores the skew of the camera {skewed[0]} in this file")
    with replacing(path) as temporary:
        WRITERS[path.suffix](temporary, cameras)


def check_ending(path: Path) -> None:
    """Raises InputError if no format of WRITERS has the path's ending."""
    if path.suffix not in WRITERS:
        hint = did_you_mean(path.suffix, tuple(WRITERS), f"the endings are {', '.join(WRITERS)}")
        raise InputError(f"{path}: there is no format of calibrations with this ending: {hint}")


def _read_numpy(path: Path) -> dict[str, np.ndarray]:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {opencv_files.PROJECTIONS[0]: content}
        with content:
            return dict(content)
    except Exception as error:  # a damaged file fails in a dozen ways
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as arrays of numpy ({reason}): write it again") from error


def _read_text(path: Path, unit_mm: float | None) -> Cameras:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no calibration that pawjax knows: give {WHAT}") from error
    try:
        return anipose_toml.read_tables(path, tomllib.loads(text), unit_mm)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = error
    try:
        fields = opencv_files.parse_yaml(text)
    except Exception as error:  # also of the matrices in it
        if path.suffix not in (".toml", ".ini"):
            reason = error
        fields = None
    if not isinstance(fields, dict):
        raise InputError(f"{path}: is neither TOML nor YAML ({' '.join(str(reason).split())[:200]}): give {WHAT}")
    return opencv_files.read_fields(path, fields, unit_mm)
