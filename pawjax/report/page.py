"""A self-contained HTML page, with its style and pictures embedded."""

import base64
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

MARK = '<meta name="generator" content="pawjax.compare">'

STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 1500px; background: #fff; color: #222;
       font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.6rem; } h3 { font-size: 1.05rem; margin: 2rem 0 0; }
p { max-width: 62rem; margin: .5rem 0; } p.note { color: #555; font-size: .9rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .5rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th.words, td.words { text-align: left; }
td:first-child, td.words { white-space: normal; min-width: 9rem; }
thead th { font-weight: 600; white-space: normal; vertical-align: bottom; }
thead tr.groups th[colspan] { text-align: center; border-bottom: 1px solid #bbb; }
thead { border-bottom: 2px solid #222; } tbody tr { border-bottom: 1px solid #e4e4e4; }
tbody tr:hover { background: #f5f8fb; } td.best { font-weight: 700; }
tr.other td { color: #666; font-style: italic; } tbody tr.first-other { border-top: 2px solid #bbb; }
code { display: block; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4;
       padding: .45rem .7rem; font-size: .8rem; }
img { display: block; max-width: 100%; height: auto; margin: .8rem 0; }
"""


def render(title: str, parts: Sequence[str]) -> str:
    """The whole page: a title, then the elements in `parts`, made by the functions below."""
    head = f'<meta charset="utf-8">\n{MARK}\n<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join([heading(title, level=1), *parts])
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def is_ours(path: Path) -> bool:
    """Whether a file is a page written by `render`."""
    return path.is_file() and MARK in path.read_text(encoding="utf-8", errors="replace")[:1000]


def heading(text: str, level: int = 2) -> str:
    """A heading; level 1 is the page's own."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """A paragraph in small print."""
    return f'<p class="note">{escape(text)}</p>'


def code(text: str) -> str:
    """Text set as code, for use inside other elements."""
    return f"<code>{escape(text)}</code>"


def picture(png: Path, description: str) -> str:
    """A PNG, embedded in the page; `description` is its alternative text."""
    content = base64.b64encode(png.read_bytes()).decode("ascii")
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{content}">'


def table(
    titles: Sequence[tuple[str, str]], cells: Sequence[Sequence[str]], best: set[tuple[int, int]], n_own: int
) -> str:
    """A table whose adjacent columns of the same group share a header.

    Args:
      titles: (group, title) of each column; the group '' has no header.
      cells: rows of texts, one for each column.
      best: (column, row) of the cells to mark.
      n_own: number of own rows; those after them are results of others, set apart by their style.
    """
    groups, below = [], []
    last = len(titles) - 1
    for group, members in groupby(enumerate(titles), key=lambda item: item[1][0]):
        members = list(members)
        if group:
            groups.append(f'<th colspan="{len(members)}">{escape(group)}</th>')
            below += [f"<th>{escape(title)}</th>" for _, (_, title) in members]
        else:
            words = ['<th rowspan="2"' + ' class="words"' * (i == last) + f">{escape(t)}</th>" for i, (_, t) in members]
            groups += words
    rows = []
    for number, row in enumerate(cells):
        marks = [("best" if (i, number) in best else "words" if i == last else "") for i in range(len(row))]
        kind = "" if number < n_own else "other first-other" if number == n_own else "other"
        texts = (f'<td class="{mark}">{escape(cell)}</td>' for mark, cell in zip(marks, row, strict=True))
        rows.append(f'<tr class="{kind}">{"".join(texts)}</tr>')
    head = f'<tr class="groups">{"".join(groups)}</tr>\n<tr>{"".join(below)}</tr>'
    body = "\n".join(rows).replace(' class=""', "")
    return f'<div class="wide"><table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
