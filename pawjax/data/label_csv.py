"""Label tables in CSV, as DeepLabCut and Lightning Pose write them: three header rows, then one row per frame.

What pandas, R and spreadsheets make of such a table is read too, where its meaning is certain: other delimiters and
encodings, names added to rows and columns, words for missing values, empty cells at the ends.
"""

import codecs
import csv
import io
import math
import re
from pathlib import Path

import numpy as np

from pawjax.data.label_table import LabelTable, table_from_columns
from pawjax.data.names import frame_path
from pawjax.errors import InputError
from pawjax.files import regular

HEADERS = ("scorer", "bodyparts", "coords")
# What pandas.read_csv takes for a missing value by default, in any case; R writes NA, a spreadsheet #N/A.
MISSING = frozenset(
    "|na|n/a|#na|#n/a|#n/a n/a|<na>|nan|-nan|null|none|1.#ind|-1.#ind|1.#qnan|-1.#qnan".split("|"),
)
# ASCII only: float() also takes '2_1.5' and the digits of every script. An infinite one is refused as a label.
NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity)", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
DELIMITER = re.compile(r'(?:^|[,;\t|])"?scorer"?([,;\t|])', re.MULTILINE)

Rows = list[tuple[int, list[str]]]  # (line number from 1, cells)


def read_label_csv(path: Path) -> LabelTable:
    """Reads a table whose rows begin with one path column or with three (labeled-data | video | image).

    Coordinates are kept as written, (x, y) pixels; an empty cell, 'NA' or 'nan' is a missing label; likelihoods are
    dropped. Raises InputError for a multi-animal table, an unknown header, or a cell that is not a number.
    """
    rows = _without_added_names(path, _read_rows(path))
    (_, bodyparts), (_, coords) = rows[1:3]
    end = max((index + 1 for index, cell in enumerate(coords) if not _is_blank(cell)), default=0)
    if len(bodyparts) < end or not all(map(_is_blank, bodyparts[end:])):
        raise InputError(f"{path}: its header rows 'bodyparts' and 'coords' differ in length; write the labels again")
    width = 1  # number of path columns
    while width < end and _is_blank(coords[width]):
        width += 1
    columns = [(bodyparts[index].strip(), coords[index].strip()) for index in range(width, end)]
    frames = [(line, row) for line, row in rows[3:] if not all(map(_is_blank, row))]
    if frames and _names_index(frames[0][1], width):
        frames = frames[1:]
    files, values = [], np.full((len(frames), len(columns)), np.nan)
    for index, (line, row) in enumerate(frames):
        _check_length(path, line, row, end)
        files.append(frame_path(*row[:width]))
        for column, cell in enumerate(row[width:end]):
            values[index, column] = _number(path, line, columns[column], cell)
    return table_from_columns(path, files, columns, values)


def _read_rows(path: Path) -> Rows:
    """Every row that is not empty."""
    text = _read_text(path)
    delimiter = DELIMITER.search(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter[1] if delimiter else ",")
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as CSV text ({error}); write the labels again") from error


def _read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark."""
    try:
        content = regular(path).read_bytes()
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); correct its permissions or its disk") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as CSV text in UTF-8 ({error}); save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')"
        ) from error
    if "\0" in text:
        raise InputError(f"{path}: cannot be read as CSV text in UTF-8 (it holds zero bytes); save it as CSV in UTF-8")
    return text


def _without_added_names(path: Path, rows: Rows) -> Rows:
    """The rows from 'scorer' on, without the row and the column of names that R and pandas add to a table."""
    for top in (0, 1):
        for left in (0, 1):
            heads = tuple(row[left].strip() if left < len(row) else "" for _, row in rows[top : top + 3])
            if "individuals" in heads[:2]:
                raise InputError(
                    f"{path}: this is a multi-animal table (it has a row 'individuals'), which pawjax does not read; "
                    f"use a single-animal project"
                )
            if heads == HEADERS:
                return [(line, row[left:]) for line, row in rows[top:]]
    names = ", ".join(repr(row[0].strip()) for _, row in rows[:3])
    raise InputError(
        f"{path}: its first three rows begin with {names or 'nothing'}, not with 'scorer', 'bodyparts', 'coords', each "
        f"followed by commas; write the labels as DeepLabCut does, with this header and a first column of image paths"
    )


def _is_blank(cell: str) -> bool:
    """Whether a cell holds nothing, a word for a missing value, or the name that pandas gives a column without one."""
    return cell.strip().casefold() in MISSING or cell.startswith("Unnamed: ")


def _names_index(row: list[str], width: int) -> bool:
    """Whether the row under the header holds the names of the path columns: pandas writes one if they have names."""
    return "." not in row[width - 1] and all(map(_is_blank, row[width:]))


def _check_length(path: Path, line: int, row: list[str], end: int) -> None:
    problem = f"{path}: line {line} has {len(row)} cells but the header has {end}"
    if len(row) < end:
        raise InputError(f"{problem}; fix the line (Excel may leave out empty cells at the ends of lines: add them)")
    if not all(map(_is_blank, row[end:])):
        raise InputError(f"{problem}; fix the line (a number with a decimal comma makes two cells: save with points)")


def _number(path: Path, line: int, column: tuple[str, str], cell: str) -> float:
    text = cell.strip()
    if text.casefold() in MISSING:
        return math.nan
    if NUMBER.fullmatch(text):
        return float(text)
    place = f"{path}: line {line}, column '{' '.join(column)}' holds '{text}'"
    if DECIMAL_COMMA.fullmatch(text):
        raise InputError(f"{place}, a number with a decimal comma; save the table with decimal points")
    raise InputError(
        f"{place}, which is not a number; correct it, or leave the cell empty if the bodypart is not labelled"
    )
