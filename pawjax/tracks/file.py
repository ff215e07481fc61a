"""pawjax's own file of tracks: HDF5 with every array of `Tracks`, written and read piece by piece.

Datasets: keypoints, likelihood, covariance, second, disagreement (which older files lack) and times, as in `Tracks`.
Attributes: format, bodyparts, size (height, width), frames_per_second, and origin as JSON.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.tracks.hdf5 import write_pieces
from pawjax.tracks.tracks import ARRAYS, Tracks, join

ENDING = ".tracks.h5"
FORMAT = "pawjax tracks 1"
PIECE = 4096  # frames read at once
CHUNK = 256  # frames in a chunk of HDF5
OPTIONAL = "disagreement"


def write_tracks(path: Path, pieces: Iterable[Tracks]) -> None:
    """Writes tracks that come in pieces, replacing the file atomically; memory is bounded by a piece."""
    write_pieces(path, pieces, _append)


def read_tracks(path: Path) -> Tracks:
    """All tracks of a file. Raises InputError if it is not a file of `write_tracks`."""
    return join(list(read_pieces(path)))


def read_pieces(path: Path, n_frames: int = PIECE) -> Iterator[Tracks]:
    """The tracks of a file, `n_frames` at a time. Raises InputError if it is not a file of `write_tracks`."""
    try:
        with h5py.File(regular(path), "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(f"{path}: is no file of tracks by pawjax; give a file that ends in {ENDING}")
            fields = {
                "bodyparts": tuple(json.loads(file.attrs["bodyparts"])),
                "size": tuple(int(side) for side in file.attrs["size"]),
                "frames_per_second": float(file.attrs["frames_per_second"]),
                "origin": json.loads(file.attrs["origin"]),
            }
            for first in range(0, max(1, len(file["times"])), n_frames):
                present = (name for name in ARRAYS if name in file or name != OPTIONAL)
                arrays = {name: file[name][first : first + n_frames] for name in present}
                yield Tracks(**arrays, **fields)
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: the tracks are damaged ({error}); remove it and predict the video again") from error


def read_origin(path: Path) -> dict[str, str]:
    """`Tracks.origin` of a file. Raises InputError if it is not a file of `write_tracks`."""
    return next(read_pieces(path, 1)).origin


def count_frames(path: Path) -> int:
    """Number of frames in a file of tracks. Raises InputError if it is not a file of `write_tracks`."""
    return sum(map(len, read_pieces(path)))


def _append(file: h5py.File, piece: Tracks) -> None:
    if "times" not in file:
        _write_header(file, piece)
    for name in ARRAYS:
        dataset, values = file[name], getattr(piece, name)
        dataset.resize(len(dataset) + len(values), axis=0)
        dataset[len(dataset) - len(values) :] = values


def _write_header(file: h5py.File, like: Tracks) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["bodyparts"] = json.dumps(like.bodyparts, ensure_ascii=False)
    file.attrs["size"] = np.array(like.size, np.int64)
    file.attrs["frames_per_second"] = like.frames_per_second
    file.attrs["origin"] = json.dumps(like.origin, ensure_ascii=False)
    for name in ARRAYS:
        values = getattr(like, name)
        shape = values.shape[1:]
        file.create_dataset(name, (0, *shape), values.dtype, maxshape=(None, *shape), chunks=(CHUNK, *shape))
