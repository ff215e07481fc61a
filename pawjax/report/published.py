"""Published results of others, shown below the runs of a comparison."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.report.cells import name_in_csv

# Columns that a table shows in another unit. The others keep the digits as published.
NUMBERS = ("training_seconds", "test_ms_per_frame", "parameters", "flops_per_frame")
MOST = 1e30  # of a number: far beyond any FLOPs


class Published(NamedTuple):
    """rows: {column of table.csv: value} for each result; note: what readers must know about them, or ''."""

    rows: tuple[dict[str, Any], ...]
    note: str


def read_published(path: Path, columns: Sequence[str]) -> Published:
    """Reads a CSV of published results: `#` lines with the note, a header, and a row for each result.

    Args:
      path: the CSV; empty cells are unknown.
      columns: allowed columns; 'run' is required.

    Raises InputError for a file that is no such CSV or has no rows, an unknown column, or text in a cell that must be a
    number.
    """
    try:
        lines = regular(path).read_text(encoding="utf-8-sig").splitlines()  # spreadsheets begin UTF-8 with a mark
        table = csv.DictReader(line for line in lines if not line.startswith("#"))
        names, cells = table.fieldnames or (), list(table)
    except OSError as error:
        raise InputError(f"--published={path} cannot be read ({error.strerror}): correct the path") from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"--published={path} is not a CSV in UTF-8 ({error}): save the table as one") from error
    unknown = [name for name in names if name not in columns]
    if unknown or "run" not in names:
        problem = f"has an unknown column '{unknown[0]}'" if unknown else "has no column 'run'"
        raise InputError(f"--published={path} {problem}: its columns are those of table.csv, {', '.join(columns)}")
    if any(None in row or not row["run"] for row in cells):
        raise InputError(f"--published={path}: a row has no 'run', or more cells than columns: correct it")
    rows = tuple({name: _value(path, name, text) for name, text in row.items() if text} for row in cells)
    if not rows:
        raise InputError(f"--published={path} has no rows: omit it or add rows")
    return Published(rows, " ".join(line.lstrip("# ") for line in lines if line.startswith("#")))


def _value(path: Path, column: str, text: str) -> Any:
    if column not in NUMBERS:
        return name_in_csv(text)
    try:
        value = int(text) if text.isdecimal() else float(text)
    except ValueError:
        value = -1
    if not 0 <= value < MOST:
        raise InputError(f"--published={path}: {column} = '{text}' must be a number from 0")
    return value
