"""SLEAP's analysis file: HDF5 whose arrays have the frames last, as MATLAB reads them.

Datasets, with A animals, K nodes, T frames: tracks float64 [A, 2, K, T], (x, y) pixels, centres at whole numbers, NaN
where missing; track_occupancy uint8 [T, A]; point_scores [A, K, T]; instance_scores and tracking_scores [A, T];
track_names (none for one animal), node_names, edge_names, edge_inds; labels_path, video_path, video_ind, provenance.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from pawjax.tracks.hdf5 import write_pieces
from pawjax.tracks.tracks import Tracks

CHUNK = 1024  # frames


def write_sleap(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks that come in pieces, replacing the file atomically. An animal's score is its mean likelihood."""

    def write(file: h5py.File, piece: Tracks) -> None:
        if "tracks" not in file:
            _write_header(file, piece, scorer)
        for name, values in _arrays(piece).items():
            _append(file, name, values, axis=0 if name == "track_occupancy" else -1)

    write_pieces(path, pieces, write)


def _arrays(tracks: Tracks) -> dict[str, np.ndarray]:
    found = np.isfinite(tracks.keypoints).all(-1)
    likelihood = np.where(found, tracks.likelihood, np.nan).astype(np.float64)
    total = np.where(found, tracks.likelihood, 0).sum(-1, dtype=np.float64)
    score = np.where(found.any(-1), total / np.maximum(found.sum(-1), 1), np.nan)
    return {
        "tracks": tracks.keypoints.astype(np.float64).transpose(1, 3, 2, 0),
        "track_occupancy": found.any(-1).astype(np.uint8),
        "point_scores": likelihood.transpose(1, 2, 0),
        "instance_scores": score.T,
        "tracking_scores": np.full(score.T.shape, np.nan),
    }


def _append(file: h5py.File, name: str, values: np.ndarray, axis: int) -> None:
    axis %= values.ndim
    if name not in file:
        limits, chunks = list(values.shape), list(values.shape)
        limits[axis], chunks[axis] = None, CHUNK
        file.create_dataset(name, data=values, maxshape=limits, chunks=tuple(chunks), compression="gzip")
        return
    dataset = file[name]
    first = dataset.shape[axis]
    dataset.resize(first + values.shape[axis], axis=axis)
    place = [slice(None)] * values.ndim
    place[axis] = slice(first, None)
    dataset[tuple(place)] = values


def _write_header(file: h5py.File, like: Tracks, scorer: str) -> None:
    n_animals = like.likelihood.shape[1]
    file.attrs["format"], file.attrs["preset"] = "analysis", "matlab"
    file["track_names"] = _text([f"animal{number}" for number in range(n_animals)] if n_animals > 1 else [])
    file["node_names"] = _text(like.bodyparts)
    file["edge_names"] = np.empty((0, 2), "S1")
    file["edge_inds"] = np.empty((0, 2), np.int64)
    file["labels_path"], file["video_path"], file["video_ind"] = "", like.origin.get("video", ""), 0
    file["provenance"] = json.dumps({"scorer": scorer, **like.origin}, ensure_ascii=False)


def _text(names: Iterable[str]) -> np.ndarray:
    return np.array([name.encode("utf-8") for name in names], "S" if names else "S1")
