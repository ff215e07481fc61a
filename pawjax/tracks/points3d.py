"""Points in space as files: DeepLabCut-3D's CSV and HDF5, anipose's CSV, and pawjax's own npz with all of it.

DeepLabCut-3D's columns are (scorer, bodypart, coordinate) with x, y and z, and nothing else: its own tools take three
columns for each bodypart. So a point of fewer than two views is empty there, also where a model has filled it.
anipose's columns are, for each bodypart, NAME_x, NAME_y, NAME_z, NAME_error, NAME_ncams and NAME_score, and then the
frame that the points were turned to, M and centre, here the world's own, and the number of the frame, fnum. As in
anipose, a filled point has its position there, but no error and score; ncams is the number of its views, 0 or 1.
"""

import csv
import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pawjax.files import replacing
from pawjax.tracks.deeplabcut import Table, write_csv_table, write_h5_table

COORDS = ("x", "y", "z")
FORMAT = "pawjax points 1"


@dataclasses.dataclass(frozen=True)
class Points:
    """K bodyparts in space in T frames, seen by C cameras. NaN where there is nothing.

    Attributes:
      bodyparts: the K names.
      cameras: the C names.
      times: [T], seconds.
      mean: [T, K, 3], world frame, mm.
      covariance: [T, K, 3, 3], mm^2.
      outlier: [T, C, K], probability that a camera's point is an outlier.
      residual: [C, T, K], distance of each camera's point from the projection of the mean, px.
      used: bool [C, T, K], the points that were taken for this bodypart: those of consensus, or no likely outliers.
      likelihood: [C, T, K], of the points, 0 to 1.
    """

    bodyparts: tuple[str, ...]
    cameras: tuple[str, ...]
    times: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    outlier: np.ndarray
    residual: np.ndarray
    used: np.ndarray
    likelihood: np.ndarray

    @property
    def views(self) -> np.ndarray:
        """[T, K], number of points used."""
        return self.used.sum(0)

    @property
    def few_views(self) -> np.ndarray:
        """bool [T, K], points of fewer than two views, whose position, if they have one, is a model's."""
        return self.views < 2

    @property
    def error(self) -> np.ndarray:
        """[T, K], mean residual of the points used, px; NaN where there is none."""
        return _mean(self.residual, self.used)

    @property
    def score(self) -> np.ndarray:
        """[T, K], mean likelihood of the points used; NaN where there is none."""
        return _mean(self.likelihood, self.used)


def write_dlc_csv(path: Path, points: Points, scorer: str) -> None:
    """Writes the positions as DeepLabCut-3D does, replacing the file atomically."""
    write_csv_table(path, [_table(points, scorer)])


def write_dlc_h5(path: Path, points: Points, scorer: str) -> None:
    """Writes the positions as DeepLabCut-3D does, replacing the file atomically. Needs pandas and PyTables."""
    write_h5_table(path, [_table(points, scorer)])


def write_anipose_csv(path: Path, points: Points) -> None:
    """Writes positions, errors, numbers of cameras and scores as anipose does, replacing the file atomically."""
    error, score = (np.where(points.few_views, np.nan, values) for values in (points.error, points.score))
    columns = list(itertools.product(points.bodyparts, (*COORDS, "error", "ncams", "score")))
    header = [*(f"{name}_{what}" for name, what in columns), *(f"M_{row}{column}" for row in "012" for column in "012")]
    frame = [*np.eye(3).ravel().tolist(), 0.0, 0.0, 0.0]
    values = np.concatenate([points.mean, *(array[..., None] for array in (error, points.views, score))], -1)
    values = values.reshape(len(values), -1)
    counts = np.array([what == "ncams" for _, what in columns])
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        write([*header, *(f"center_{axis}" for axis in "012"), "fnum"])
        for number, row in enumerate(values):
            cells = [
                int(x) if whole else "" if np.isnan(x) else x for x, whole in zip(row.tolist(), counts, strict=True)
            ]
            write([*cells, *frame, number])


def write_npz(path: Path, points: Points, more: Mapping[str, np.ndarray]) -> None:
    """Writes every array of the points, `error`, `views`, `score`, and more arrays by name, replacing the file."""
    arrays = {field.name: np.asarray(getattr(points, field.name)) for field in dataclasses.fields(points)}
    arrays |= {name: getattr(points, name) for name in ("error", "views", "score")}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, format=np.asarray(FORMAT), **arrays, **more)


def _table(points: Points, scorer: str) -> Table:
    columns = list(itertools.product([scorer], points.bodyparts, COORDS))
    positions = np.where(points.few_views[..., None], np.nan, np.asarray(points.mean, np.float64))
    return 0, columns, positions.reshape(len(positions), -1)


def _mean(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    count = used.sum(0)
    return np.where(count > 0, np.where(used, values, 0).sum(0) / np.maximum(count, 1), np.nan)
