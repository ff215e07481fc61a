"""Reads tracks from a CSV or .h5 of DeepLabCut (or a CSV of Lightning Pose), without pandas."""

import csv
import math
import pickle
from pathlib import Path

import h5py
import numpy as np

from pawjax.data import restricted_pickle
from pawjax.data.label_h5 import read_frame
from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.tracks.deeplabcut import COORDS, LEVELS
from pawjax.tracks.tracks import Tracks

Column = tuple[str, ...]  # (scorer, bodypart, coordinate)


def read_deeplabcut(path: Path) -> Tracks:
    """The tracks in a .csv or .h5 of one animal.

    The frames' size and rate come from the _meta.pickle beside the file; without it the size is (0, 0), the rate 1 and
    `times` counts frames. Covariance and second-best place are NaN. Raises InputError for another file, tracks of
    several animals, or rows that are not frames 0, 1, 2 and so on.
    """
    if path.suffix == ".csv":
        rows, columns, values = _read_csv(path)
    elif path.suffix == ".h5":
        rows, columns, values = _read_h5(path)
    else:
        raise InputError(f"{path}: is no file of tracks that pawjax reads; give a .csv or .h5 of DeepLabCut")
    if any(len(column) > len(LEVELS) for column in columns):
        raise InputError(f"{path}: holds tracks of several animals, which pawjax does not read; give tracks of one")
    if rows != [str(number) for number in range(len(rows))]:
        raise InputError(f"{path}: its rows are not frames 0, 1, 2, ...; give tracks of a video, not labels")
    bodyparts = tuple(dict.fromkeys(column[1] for column in columns))
    if sorted(column[1:] for column in columns) != sorted((name, coord) for name in bodyparts for coord in COORDS):
        raise InputError(f"{path}: each bodypart must have columns x, y and likelihood once; give tracks of a video")
    order = [[column[1:] for column in columns].index((name, coord)) for name in bodyparts for coord in COORDS]
    points = values[:, order].reshape(len(rows), 1, len(bodyparts), 3).astype(np.float32)
    size, rate = _read_meta(path)
    return Tracks(
        keypoints=points[..., :2],
        likelihood=points[..., 2],
        covariance=np.full((*points.shape[:3], 2, 2), np.nan, np.float32),
        second=np.full(points.shape, np.nan, np.float32),
        times=np.arange(len(rows)) / rate,
        bodyparts=bodyparts,
        size=size,
        frames_per_second=rate,
        origin={"file": path.name, "scorer": columns[0][0]},
    )


def _read_csv(path: Path) -> tuple[list[str], list[Column], np.ndarray]:
    try:
        with regular(path).open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            headers = [next(lines, [""]) for _ in LEVELS]
            if headers[1][:1] == ["individuals"]:
                headers.append(next(lines, [""]))
            elif tuple(header[0] for header in headers if header) != LEVELS:
                raise InputError(f"{path}: its first three rows do not begin with {', '.join(LEVELS)}; give tracks")
            columns = list(zip(*(header[1:] for header in headers), strict=True))
            rows, values = [], []
            for row in lines:
                if len(row) != len(columns) + 1:
                    raise InputError(
                        f"{path}: line {lines.line_num} has {len(row)} cells, its header {len(columns) + 1}: write "
                        f"the tracks again"
                    )
                rows.append(row[0])
                values.append(np.array([float(cell) if cell else math.nan for cell in row[1:]]))
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as tracks in CSV ({error}); write the tracks again") from error
    return rows, columns, np.array(values).reshape(len(rows), len(columns))


def _read_h5(path: Path) -> tuple[list[str], list[Column], np.ndarray]:
    try:
        with h5py.File(regular(path), "r") as file:
            rows, columns, values = read_frame(path, file)
    except InputError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: cannot be read as tracks of DeepLabCut ({error}); write the tracks again") from error
    if values.shape != (len(rows), len(columns)) or any(len(column) < len(LEVELS) for column in columns):
        raise InputError(f"{path}: its columns are not (scorer, bodypart, coordinate); write the tracks again")
    return [row[0] for row in rows], columns, values


def _read_meta(path: Path) -> tuple[tuple[int, int], float]:
    """(height, width) and frames per second by the metadata beside the file; (0, 0) and 1 without it."""
    meta = path.with_name(f"{path.stem.removesuffix('_filtered')}_meta.pickle")
    if not meta.exists():
        return (0, 0), 1.0
    try:
        data = restricted_pickle.loads(regular(meta).read_bytes())["data"]
        sides = data["frame_dimensions"]  # (width, height), but (height, width) by DeepLabCut's TensorFlow engine
        height, width = sides if "DLC-model-config file" in data else sides[::-1]
        rate = float(data["fps"])
    except (OSError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{meta}: cannot be read ({error}); move it elsewhere to read the tracks without it"
        ) from error
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"{meta}: states {rate} frames per second; move it away to read the tracks without it")
    return (int(height), int(width)), rate
