"""Reads tracks of one animal from SLEAP's analysis file; `pawjax.tracks.sleap` says what is in one."""

from pathlib import Path

import h5py
import numpy as np

from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.tracks.tracks import Tracks

MOST_BYTES = 2**31  # of an array: six million frames of 20 bodyparts


def is_sleap(path: Path) -> bool:
    """Whether the file is HDF5 that holds what SLEAP's analysis files do."""
    try:
        with h5py.File(regular(path), "r") as file:
            return "tracks" in file and "node_names" in file
    except (OSError, RuntimeError):  # the latter from damaged ones
        return False


def read_sleap(path: Path) -> Tracks:
    """The tracks in an analysis file of one animal.

    The file holds neither size nor rate: the size is (0, 0), the rate 1 and `times` counts frames. A point without a
    score, as in files of older versions and of points that a person placed, has likelihood 1. Covariance and
    second-best place are NaN. Raises InputError for another file, or tracks of several animals.
    """
    try:
        with h5py.File(regular(path), "r") as file:
            points = _array(file["tracks"])  # [A, 2, K, T]
            names = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in file["node_names"])
            scores = _array(file["point_scores"]) if "point_scores" in file else None
    except InputError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as tracks of SLEAP ({error}); export them again") from error
    if points.ndim != 4 or points.shape[1:3] != (2, len(names)):
        raise InputError(
            f"{path}: its tracks have shape {points.shape}, not (1, 2, {len(names)}, frames); export SLEAP's analysis "
            f"file with the frames last"
        )
    if len(points) != 1:
        raise InputError(f"{path}: holds tracks of {len(points)} animals, and pawjax reads those of one; export one")
    if scores is not None and scores.shape != (1, *points.shape[2:]):
        raise InputError(f"{path}: its point_scores have shape {scores.shape}, which is not that of the tracks")
    keypoints = points.transpose(3, 0, 2, 1).astype(np.float32)
    found = np.isfinite(keypoints).all(-1)
    likelihood = np.ones(found.shape) if scores is None else np.nan_to_num(scores.transpose(2, 0, 1), nan=1.0)
    likelihood = np.where(found, np.clip(likelihood, 0, 1), 0).astype(np.float32)
    return Tracks(
        keypoints=np.where(found[..., None], keypoints, np.nan),
        likelihood=likelihood,
        covariance=np.full((*found.shape, 2, 2), np.nan, np.float32),
        second=np.full((*found.shape, 3), np.nan, np.float32),
        times=np.arange(len(keypoints), dtype=np.float64),
        bodyparts=names,
        size=(0, 0),
        frames_per_second=1.0,
        origin={"file": path.name, "scorer": "SLEAP"},
    )


def _array(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset in float64. Raises ValueError for one that no recording has."""
    if dataset.size * np.dtype(np.float64).itemsize > MOST_BYTES:
        raise ValueError(f"an array of shape {dataset.shape} is too large")
    return np.asarray(dataset, np.float64)
