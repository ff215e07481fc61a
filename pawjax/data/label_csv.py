"""Label tables in CSV, as DeepLabCut and Lightning Pose write them: three header rows, then one row per frame."""

import csv
import math
from pathlib import Path

import numpy as np

from pawjax.data.label_table import LabelTable, frame_id, table_from_columns
from pawjax.errors import InputError

HEADERS = ("scorer", "bodyparts", "coords")


def read_label_csv(path: Path) -> LabelTable:
    """Reads a table whose rows begin with one path column or with three (labeled-data | video | image).

    Coordinates are kept as written, (x, y) pixels; an empty cell or 'nan' is a missing label; likelihoods are dropped.
    Raises InputError for a multi-animal table, an unknown header, or a cell that is not a number.
    """
    rows = _read_rows(path)
    if len(rows) > 1 and "individuals" in (rows[1][1][0].strip(), rows[0][1][0].strip()):
        raise InputError(
            f"{path}: this is a multi-animal table (it has a row 'individuals'), which pawjax does not read; "
            f"use a single-animal project"
        )
    names = tuple(row[0].strip() for _, row in rows[:3])
    if names != HEADERS:
        raise InputError(
            f"{path}: its first three rows begin with {', '.join(map(repr, names)) or 'nothing'}, "
            f"not with 'scorer', 'bodyparts', 'coords', each followed by commas; write the labels as DeepLabCut does"
        )
    (_, bodyparts), (_, coords) = rows[1:3]
    width = 1  # number of path columns
    while width < len(coords) and not coords[width].strip():
        width += 1
    columns = [
        (bodypart.strip(), coord.strip()) for bodypart, coord in zip(bodyparts[width:], coords[width:], strict=False)
    ]
    ids, values = [], np.full((len(rows) - 3, len(columns)), np.nan)
    for index, (line, row) in enumerate(rows[3:]):
        if len(row) != width + len(columns):
            raise InputError(
                f"{path}: line {line} has {len(row)} cells but the header has {width + len(columns)}; fix the line"
            )
        ids.append(frame_id(*row[:width]))
        for column, cell in enumerate(row[width:]):
            values[index, column] = _number(path, line, columns[column], cell)
    return table_from_columns(path, ids, columns, values)


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number starting at 1, cells) of every row that is not empty."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV text ({error}); write the labels again") from error


def _number(path: Path, line: int, column: tuple[str, str], cell: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise InputError(
            f"{path}: line {line}, column '{' '.join(column)}' holds '{cell.strip()}', which is not a number; "
            f"correct it, or leave the cell empty if the bodypart is not labelled"
        ) from None
