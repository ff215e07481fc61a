"""Published results of others, shown below the runs of a comparison."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pawjax.errors import InputError
from pawjax.report.cells import name_in_csv

# Columns that a table shows in another unit. The others keep the digits as published.
NUMBERS = ("training_seconds", "test_ms_per_frame", "parameters", "flops_per_frame")


class Published(NamedTuple):
    """rows: {column of table.csv: value} for each result; note: what readers must know about them, or ''."""

    rows: tuple[dict[str, Any], ...]
    note: str


def read_published(path: Path, columns: Sequence[str]) -> Published:
    """Reads a CSV of published results: `#` lines with the note, a header, and a row for each result.

    Args:
      path: the CSV; empty cells are unknown.
      columns: allowed columns; 'run' is required.

    Raises InputError for a file without rows, an unknown column, or text in a cell that must be a number.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    note = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    table = csv.DictReader(line for line in lines if not line.startswith("#"))
    unknown = [name for name in table.fieldnames or () if name not in columns]
    if unknown or "run" not in (table.fieldnames or ()):
        problem = f"has an unknown column '{unknown[0]}'" if unknown else "has no column 'run'"
        raise InputError(f"--published={path} {problem}: its columns are those of table.csv, {', '.join(columns)}")
    rows = tuple({name: _value(path, name, text) for name, text in row.items() if text} for row in table)
    if not rows:
        raise InputError(f"--published={path} has no rows: omit it or add rows")
    return Published(rows, note)


def _value(path: Path, column: str, text: str) -> Any:
    if column not in NUMBERS:
        return name_in_csv(text)
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError as error:
        raise InputError(f"--published={path}: {column} = '{text}' must be a number") from error
