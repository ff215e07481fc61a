"""Reads tracks from a CSV or .h5 of DeepLabCut (or a CSV of Lightning Pose), without pandas."""

import csv
import math
import pickle
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from pawjax import restricted_pickle
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
    scorer, bodyparts, values = _read_table(path, COORDS)
    points = values[:, None].astype(np.float32)
    size, rate = _read_meta(path)
    return Tracks(
        keypoints=points[..., :2],
        likelihood=points[..., 2],
        covariance=np.full((*points.shape[:3], 2, 2), np.nan, np.float32),
        second=np.full(points.shape, np.nan, np.float32),
        times=np.arange(len(values)) / rate,
        bodyparts=bodyparts,
        size=size,
        frames_per_second=rate,
        origin={"file": path.name, "scorer": scorer},
    )


def read_truth(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The true points of a video: K bodyparts and (x, y) float64 [T, K, 2], NaN where there is none.

    The table is one of DeepLabCut's, without likelihoods. Raises InputError for anything else.
    """
    _, bodyparts, values = _read_table(path, COORDS[:2])
    return bodyparts, values


def _read_table(path: Path, coords: Sequence[str]) -> tuple[str, tuple[str, ...], np.ndarray]:
    """Scorer, K bodyparts and values float64 [T, K, C] of the C coordinates, frame by frame."""
    if path.suffix == ".csv":
        rows, columns, values = _read_csv(path)
    elif path.suffix == ".h5":
        rows, columns, values = _read_h5(path)
    else:
        raise InputError(
            f"{path}: is no file of tracks that pawjax reads; give a .csv or .h5 of DeepLabCut or Lightning Pose, an "
            f"analysis.h5 of SLEAP, or a .tracks.h5 of pawjax"
        )
    if any(len(column) > len(LEVELS) for column in columns):
        raise InputError(f"{path}: holds tracks of several animals, which pawjax does not read; give tracks of one")
    if rows != [str(number) for number in range(len(rows))]:
        raise InputError(f"{path}: its rows are not frames 0, 1, 2, ...; give tracks of a video, not labels")
    names = [column[1:] for column in columns]
    bodyparts = tuple(dict.fromkeys(column[1] for column in columns))
    wanted = [(bodypart, coord) for bodypart in bodyparts for coord in coords]
    if not names or sorted(names) != sorted(wanted):
        listed = f"{', '.join(coords[:-1])} and {coords[-1]}"
        raise InputError(f"{path}: each bodypart must have columns {listed} once; give a table of a video")
    values = values[:, [names.index(name) for name in wanted]]
    return columns[0][0], bodyparts, values.reshape(len(rows), len(bodyparts), len(coords))


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
