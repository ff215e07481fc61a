"""Cells of tables that other programs open. Names come from users and must not act there."""

import re
from collections.abc import Sequence
from typing import Any

_FORMULA = re.compile(r"\s*['=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")  # and the wide forms of = + - @
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_QUOTED = re.compile(r'[,;"\t\r\n]')  # a spreadsheet may cut a line at any of these


def csv_row(cells: Sequence[Any]) -> str:
    """A line of CSV, with its end; None is an empty cell.

    A text that a spreadsheet would run as a formula begins with an apostrophe in the file, as does a text with an
    apostrophe of its own: `name_in_csv` is the exact text again. Numbers stay numbers.
    """
    return ",".join(_csv_cell("" if cell is None else cell) for cell in cells) + "\n"


def name_in_csv(cell: str) -> str:
    """The text that `csv_row` wrote as this cell, once read as CSV."""
    return cell.removeprefix("'")


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table, without its end; each text is shown as it is, whatever marks it contains."""
    return f"| {' | '.join(map(_markdown_cell, cells))} |"


def _csv_cell(cell: Any) -> str:
    text = str(cell)
    if isinstance(cell, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _markdown_cell(text: str) -> str:
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text)
