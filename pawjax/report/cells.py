"""Cells of tables that other programs open. Names come from users and must not act there."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"\s*['=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")  # and the wide forms of = + - @
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_QUOTED = re.compile(r'[,;"\t\r\n]')  # a spreadsheet may cut a line at any of these


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """The rows as the text of a CSV file; None is an empty cell.

    A text that a spreadsheet would run as a formula begins with an apostrophe in the file, as does a text with an
    apostrophe of its own: `name_in_csv` is the exact text again. Numbers stay numbers.
    """
    return "".join(",".join(map(_csv_cell, cells)) + "\n" for cells in rows)


def name_in_csv(cell: str) -> str:
    """The text that `csv_text` wrote as this cell, once read as CSV."""
    return cell.removeprefix("'")


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table, without its end; each text is shown as it is, whatever marks it contains."""
    return f"| {' | '.join(map(_markdown_cell, cells))} |"


def _csv_cell(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    if isinstance(cell, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _markdown_cell(text: str) -> str:
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text)
