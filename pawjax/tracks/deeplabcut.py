"""DeepLabCut's files of tracks: CSV, HDF5 (by pandas, which an extra installs) and metadata.

The columns are (scorer, bodypart, coordinate), of several animals (scorer, individual, bodypart, coordinate), the rows
frames from 0. DeepLabCut 3.0.2 looks for the .h5 and the
_meta.pickle whose names begin with the video's and the scorer's; `pawjax.tracks.formats.dlc_scorer` says which scorer.
In machine labels, which its labelling tools open, the rows are pictures: ('labeled-data', VIDEO, 'img0042.png').
"""

import csv
import itertools
import pickle
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pawjax.errors import InputError
from pawjax.files import replacing
from pawjax.tracks.tracks import Tracks

COORDS = ("x", "y", "likelihood")
LEVELS = ("scorer", "bodyparts", "coords")
LEVELS_OF_SEVERAL = ("scorer", "individuals", "bodyparts", "coords")
KEY = "df_with_missing"
TABLE_VERSION = "0.15.2"  # of pandas' table layout

Column = tuple[str, ...]  # of LEVELS, or of LEVELS_OF_SEVERAL
Table = tuple[int, Sequence[Column], np.ndarray]  # number of the first row, columns, values [rows, columns]


def write_csv(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks that come in pieces, replacing the file atomically; a missing value is empty."""
    write_csv_table(path, _tables(pieces, scorer))


def write_csv_table(path: Path, pieces: Iterable[Table]) -> None:
    """Writes a table that comes in pieces, replacing the file atomically; a missing value is empty."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        for first, columns, values in pieces:
            if not first:
                for level, names in zip(_levels(columns), zip(*columns, strict=True), strict=True):
                    write([level, *names])
            rows = np.where(np.isnan(values), None, values) if np.isnan(values).any() else values
            for number, row in enumerate(rows.tolist(), start=first):
                write([number, *row])


def write_h5(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks that come in pieces, replacing the file atomically. Needs the extra."""
    write_h5_table(path, _tables(pieces, scorer))


def write_h5_table(path: Path, pieces: Iterable[Table]) -> None:
    """Writes a table that comes in pieces in the table layout of pandas, replacing the file atomically.

    Needs the extra. The file is made in memory: PyTables crashes the process on a full disk.
    """
    import pandas as pd

    in_memory = {"driver": "H5FD_CORE", "driver_core_backing_store": 0}
    with replacing(path) as temporary, pd.HDFStore(temporary, "w", **in_memory) as store:
        for first, columns, values in pieces:
            index = range(first, first + len(values))
            names = pd.MultiIndex.from_tuples(columns, names=_levels(columns))
            frame = pd.DataFrame(values, index=index, columns=names)
            # Without the time, the same tracks always give the same bytes.
            store.put(KEY, frame, format="table", append=first > 0, index=False, track_times=False)
        # pandas 2, with which DeepLabCut runs, does not read a table without it; pandas 3.1 leaves it out.
        store.get_node(KEY)._v_attrs.pandas_version = TABLE_VERSION
        store.flush()
        temporary.write_bytes(store._handle.get_file_image())


def write_meta(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes what DeepLabCut keeps beside its tracks: a pickle of plain data; None for what it knows and we do not."""
    pieces = iter(pieces)
    like = next(pieces)
    height, width = like.size
    data = {
        "start": None,
        "stop": None,
        "run_duration": None,
        "Scorer": scorer,
        "pytorch-config": {"pawjax": dict(like.origin)},
        "fps": float(like.frames_per_second),
        "batch_size": None,
        "frame_dimensions": (width, height),
        "nframes": len(like) + sum(map(len, pieces)),
        "iteration (active-learning)": None,
        "training set fraction": None,
        "cropping": False,  # our points are in pixels of the whole frame, even where only a part of it was predicted
        "cropping_parameters": [0, width, 0, height],
        "individuals": _individuals(like) or ["animal"],
        "bodyparts": list(like.bodyparts),
        "unique_bodyparts": [],
    }
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps({"data": data}, protocol=4))


def write_machine_labels(path: Path, tracks: Tracks, pictures: Sequence[str], video: str, scorer: str) -> None:
    """Writes the points of some frames as a label table in HDF5 (fixed layout) and, beside it, in CSV.

    Args:
      path: of the .h5.
      tracks: of one animal, T frames.
      pictures: the T names of the frames' pictures.
      video: the folder of the pictures under labeled-data.
      scorer: the name of the network.
    """
    import pandas as pd

    def index(rows: Sequence[tuple[str, ...]], names: Sequence[str] | None = None) -> pd.MultiIndex:
        levels = [pd.Index(level, dtype=object) for level in zip(*rows, strict=True)]  # not pandas 3's own strings
        return pd.MultiIndex.from_arrays(levels, names=names)

    rows = index([("labeled-data", video, picture) for picture in pictures])
    frame = pd.DataFrame(values_of(tracks), index=rows, columns=index(_columns(tracks, scorer), LEVELS))
    with replacing(path) as temporary:
        frame.to_hdf(temporary, key=KEY, mode="w")
    with replacing(path.with_suffix(".csv")) as temporary:
        frame.to_csv(temporary)


def values_of(tracks: Tracks) -> np.ndarray:
    """float64 [T, 3 K]: x, y and likelihood of each bodypart. Raises InputError for more than one animal."""
    return _values(of_one(tracks))


def of_one(tracks: Tracks) -> Tracks:
    """The tracks themselves. Raises InputError for more than one animal."""
    if tracks.likelihood.shape[1] != 1:
        raise InputError(f"tracks of {tracks.likelihood.shape[1]} animals do not fit this format: write one at a time")
    return tracks


def _values(tracks: Tracks) -> np.ndarray:
    """float64 [T, 3 A K]."""
    points = np.concatenate([tracks.keypoints, tracks.likelihood[..., None]], axis=-1)
    return points.astype(np.float64).reshape(len(points), -1)


def _individuals(tracks: Tracks) -> list[str]:
    """Names of the animals; none if there is only one."""
    n_animals = tracks.likelihood.shape[1]
    return [f"animal{number}" for number in range(n_animals)] if n_animals > 1 else []


def _columns(tracks: Tracks, scorer: str) -> list[Column]:
    individuals = _individuals(tracks)
    levels = [[scorer], *([individuals] if individuals else []), tracks.bodyparts, COORDS]
    return list(itertools.product(*levels))


def _levels(columns: Sequence[Column]) -> tuple[str, ...]:
    return LEVELS if len(columns[0]) == len(LEVELS) else LEVELS_OF_SEVERAL


def _tables(pieces: Iterable[Tracks], scorer: str) -> Iterator[Table]:
    first = 0
    for piece in pieces:
        yield first, _columns(piece, scorer), _values(piece)
        first += len(piece)
