"""Label tables in HDF5 as pandas writes them for DeepLabCut (fixed or table layout), read with only h5py."""

import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from pawjax import restricted_pickle
from pawjax.data.label_table import LabelTable, table_from_columns
from pawjax.data.names import frame_path
from pawjax.errors import InputError
from pawjax.files import regular

MOST_BYTES = 2**28  # of a dataset or a chunk of one: a million frames of 16 bodyparts
KEYS = ("df_with_missing", "keypoints")


def read_label_h5(path: Path) -> LabelTable:
    """Reads the labels in `path`: (x, y) pixels as written, NaN where missing; likelihoods are dropped.

    The layouts are 'frame' (fixed) and 'frame_table' of pandas' HDFStore; the row index is the image path in one level
    or three. Raises InputError for another layout, pickles of more than plain data, a multi-animal table, or an
    inconsistent table.
    """
    try:
        with h5py.File(regular(path), "r") as file:
            rows, columns, values = read_frame(path, file)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails in a dozen ways
        raise InputError(
            f"{path}: cannot be read as labels in HDF5 ({' '.join(str(error).split())[:300]}); "
            f"export the labels as CSV beside it and set config.data.label_file=csv"
        ) from error
    if any(len(column) == 4 for column in columns):
        raise InputError(
            f"{path}: this is a multi-animal table (its columns name individuals), which pawjax does not read; "
            f"use a single-animal project"
        )
    if any(len(column) != 3 for column in columns) or values.shape != (len(rows), len(columns)):
        raise InputError(f"{path}: its columns are not (scorer, bodypart, coordinate); write the labels again")
    files = [frame_path(*row) for row in rows]
    columns = [(bodypart.strip(), coord.strip()) for _, bodypart, coord in columns]
    return table_from_columns(path, files, columns, values)


def read_frame(path: Path, file: h5py.File) -> tuple[list[Sequence[str]], list[tuple[str, ...]], np.ndarray]:
    """Row index (path components or number of each frame), column index (levels of each column), values float64 [N, M].

    Raises InputError for another layout; a broken one raises what h5py, numpy and `restricted_pickle` do.
    """
    key = next((key for key in KEYS if key in file), None)
    if key is None:
        raise KeyError(f"no table named {' or '.join(KEYS)}, only {', '.join(file) or 'nothing'}")
    group = _linked(file, key)
    layout = _text(group.attrs.get("pandas_type", b""))
    if layout == "frame":
        return _read_fixed(group)
    if layout == "frame_table":
        return _read_table(group)
    raise InputError(f"{path}: its table has pandas type '{layout}', not 'frame' or 'frame_table'; write it again")


def _read_fixed(group: h5py.Group) -> tuple[list[Sequence[str]], list[tuple[str, ...]], np.ndarray]:
    rows = _read_index(group, "axis1")
    columns: list[tuple[str, ...]] = []
    values = []
    for block in range(int(group.attrs["nblocks"])):
        columns += _read_index(group, f"block{block}_items")
        values.append(_numbers(group.name, _read(group, f"block{block}_values")))
    return rows, columns, np.concatenate(values, axis=1)


def _read_table(group: h5py.Group) -> tuple[list[Sequence[str]], list[tuple[str, ...]], np.ndarray]:
    records = _read(group, "table")
    index = records["index"]
    if index.dtype.kind in "iu":  # the numbers of a video's frames
        index = index.astype(str)
    rows = [(text,) for text in _texts(group.name, index)]
    names = [name for name in records.dtype.names if name.startswith("values_block_")]
    columns: list[tuple[str, ...]] = []
    for name in names:
        kind = group["table"].attrs[f"{name}_kind"]
        if not isinstance(kind, bytes):
            raise TypeError(f"{name}_kind holds {type(kind).__name__}, not a pickle")
        for column in restricted_pickle.loads(kind):
            columns.append(tuple(map(_text, column)) if isinstance(column, tuple) else (_text(column),))
    values = [_numbers(group.name, records[name]).reshape(len(records), -1) for name in names]
    return rows, columns, np.concatenate(values, axis=1)


def _read_index(group: h5py.Group, name: str) -> list[tuple[str, ...]]:
    """Entries of an index as tuples of their levels; a plain index has one level."""
    if _text(group.attrs[f"{name}_variety"]) == "regular":
        return [(text,) for text in _texts(name, _read(group, name))]
    levels = []
    for level in range(int(group.attrs[f"{name}_nlevels"])):
        words = _texts(name, _read(group, f"{name}_level{level}"))
        codes = _read(group, f"{name}_label{level}")
        if codes.dtype.kind not in "iu" or codes.min(initial=0) < 0 or codes.max(initial=0) >= max(len(words), 1):
            raise ValueError(f"{name} has entries without a name")
        levels.append([words[code] for code in codes.tolist()])
    return list(zip(*levels, strict=True))


def _linked(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What a group itself contains: not what lies elsewhere, which a link may name."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise KeyError(f"{name} is missing or lies elsewhere")
    return group[name]


def _read(group: h5py.Group, name: str) -> np.ndarray:
    """A dataset of the file itself, whose declared size is checked before memory is taken."""
    dataset = _linked(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise KeyError(f"{name} is no dataset, or lies elsewhere")
    if dataset.dtype.hasobject:
        raise TypeError(f"{name} holds {dataset.dtype}, neither numbers nor text of fixed length")
    if max(dataset.size, math.prod(dataset.chunks or ())) * dataset.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"{name} declares more than {MOST_BYTES // 2**20} MB")
    return np.asarray(dataset[()])


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """The values as float64."""
    if values.dtype.kind not in "iuf":
        raise TypeError(f"{name} holds {values.dtype}, not numbers")
    return values.astype(np.float64)


def _texts(name: str, values: np.ndarray) -> list[str]:
    if values.dtype.kind not in "SU" or values.ndim != 1:
        raise TypeError(f"{name} holds {values.dtype}, not text")
    return list(map(_text, values.tolist()))


def _text(value: object) -> str:
    if not isinstance(value, bytes | str | int | float | np.number):
        raise TypeError(f"{type(value).__name__} stands in the place of a name")
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
