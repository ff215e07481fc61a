"""Label tables in HDF5 as pandas writes them for DeepLabCut (fixed or table layout), read with only h5py."""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import h5py
import numpy as np

from pawjax.data import restricted_pickle
from pawjax.data.label_table import LabelTable, frame_id, table_from_columns
from pawjax.errors import InputError

KEYS = ("df_with_missing", "keypoints")


def read_label_h5(path: Path) -> LabelTable:
    """Reads the labels in `path`: (x, y) pixels as written, NaN where missing; likelihoods are dropped.

    The layouts are 'frame' (fixed) and 'frame_table' of pandas' HDFStore; the row index is the image path in one level
    or three. Raises InputError for another layout, pickles of more than plain data, a multi-animal table, or an
    inconsistent table.
    """
    try:
        with h5py.File(path, "r") as file:
            rows, columns, values = read_frame(path, file)
    except InputError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as labels in HDF5 ({error}); export the labels as CSV beside it "
            f"and set config.data.label_file=csv"
        ) from error
    if any(len(column) == 4 for column in columns):
        raise InputError(
            f"{path}: this is a multi-animal table (its columns name individuals), which pawjax does not read; "
            f"use a single-animal project"
        )
    if any(len(column) != 3 for column in columns) or values.shape != (len(rows), len(columns)):
        raise InputError(f"{path}: its columns are not (scorer, bodypart, coordinate); write the labels again")
    ids = [frame_id(*row) for row in rows]
    return table_from_columns(path, ids, [(bodypart, coord) for _, bodypart, coord in columns], values)


def read_frame(path: Path, file: h5py.File) -> tuple[list[Sequence[str]], list[tuple[str, ...]], np.ndarray]:
    """Row index (path components or number of each frame), column index (levels of each column), values float64 [N, M].

    Raises InputError for another layout; a broken one raises what h5py, numpy and `restricted_pickle` do.
    """
    key = next((key for key in KEYS if key in file), None)
    if key is None:
        raise KeyError(f"no table named {' or '.join(KEYS)}, only {', '.join(file) or 'nothing'}")
    group = file[key]
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
        values.append(_block(group[f"block{block}_values"]))
    return rows, columns, np.concatenate(values, axis=1)


def _block(dataset: h5py.Dataset) -> np.ndarray:
    """Values float64 [N, M] of a block."""
    values = np.asarray(dataset[()])
    if not np.issubdtype(values.dtype, np.number):
        raise KeyError(f"{dataset.name} holds {values.dtype}, not numbers")
    return values.astype(np.float64)


def _read_index(group: h5py.Group, name: str) -> list[tuple[str, ...]]:
    """Entries of an index as tuples of their levels; a plain index has one level."""
    if _text(group.attrs[f"{name}_variety"]) == "regular":
        return [(text,) for text in _strings(group[name])]
    levels = []
    for level in range(int(group.attrs[f"{name}_nlevels"])):
        words = _strings(group[f"{name}_level{level}"])
        levels.append([words[code] for code in group[f"{name}_label{level}"][()]])
    return list(zip(*levels, strict=True))


def _read_table(group: h5py.Group) -> tuple[list[Sequence[str]], list[tuple[str, ...]], np.ndarray]:
    dataset = group["table"]
    records = dataset[()]
    rows = [(_text(value),) for value in records["index"].tolist()]
    names = [name for name in records.dtype.names if name.startswith("values_block_")]
    columns: list[tuple[str, ...]] = []
    for name in names:
        kind = restricted_pickle.loads(bytes(dataset.attrs[f"{name}_kind"]))
        columns += [tuple(_text(level) for level in column) for column in kind]
    values = [records[name].reshape(len(records), -1).astype(np.float64) for name in names]
    return rows, columns, np.concatenate(values, axis=1)


def _strings(dataset: h5py.Dataset) -> list[str]:
    values = np.asarray(dataset[()])
    if values.dtype.kind not in "SU":
        raise KeyError(f"{dataset.name} holds {values.dtype}, not text")
    return [_text(value) for value in values.tolist()]


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
