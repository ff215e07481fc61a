"""Names from users in CSV and Markdown: exact when read again, and without effect where they are opened."""

import csv
import io
import re
from html import unescape

import numpy as np
import pytest

from pawjax.files import read_json, write_json, write_text
from pawjax.report.cells import csv_text, markdown_row, name_in_csv
from pawjax.report.published import read_published
from pawjax.report.tables import write_predictions_csv

NAMES = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1+1",
    "'quoted'",
    "''",
    "a;=1+1",
    'a,"b"',
    "two\nlines",
    "plain",
    "labeled-data/m1/img000.png",
    "",
    "-",
]


def test_names_are_no_formulas_and_come_back_exactly():
    text = csv_text([NAMES])
    (cells,) = csv.reader(io.StringIO(text, newline=""))
    assert list(map(name_in_csv, cells)) == NAMES
    assert not any(re.match(r"\s*[=+\-@\uff1d]|[\t\r\n]", cell) for cell in cells)
    assert csv_text([["a;=1+1", 2]]) == '"a;=1+1",2\n'  # one cell where spreadsheets cut at semicolons too


def test_names_in_published_tables_are_exact(tmp_path):
    (tmp_path / "table.csv").write_text(csv_text([["run", "device"]]) + csv_text([["=mine", "-chip"]]))
    (row,) = read_published(tmp_path / "table.csv", ("run", "device")).rows
    assert row == {"run": "=mine", "device": "-chip"}


def test_ordinary_cells_are_unchanged():
    cells = ["-1.5", "+3", "1e-05", "-.5", -2.25, np.float64(0.1), 7, None, "", "NVIDIA H100", "a b_c"]
    assert csv_text([cells]) == "-1.5,+3,1e-05,-.5,-2.25,0.1,7,,,NVIDIA H100,a b_c\n"


def test_predictions_of_odd_names(tmp_path):
    points = np.full((1, 1, 1, 2), -3.0)
    labelled = np.ones((1, 1, 1), bool)
    arguments = (points, labelled, ~labelled, points, np.ones((1, 1, 1)))
    write_predictions_csv(tmp_path / "p.csv", ["=frame"], ["@paw"], *arguments)
    assert (tmp_path / "p.csv").read_text().splitlines() == [
        "id,'@paw_x_true,'@paw_y_true,'@paw_x,'@paw_y,'@paw_likelihood,'@paw_error_px,'@paw_absent",
        "'=frame,-3.0000,-3.0000,-3.0000,-3.0000,1.0000,0.0000,",
    ]


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a | b", "![x](http://h/x.png)", "`code`", "*a*", "back\\slash|", "&lt;", "a\nb"],
)
def test_markdown_shows_names_as_they_are(name):
    row = markdown_row([name, "1"])
    assert "<" not in row and "\n" not in row
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3  # the table's own
    assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]`*]", row)
    shown = unescape(re.sub(r"\\([\\`*\[\]|])", r"\1", row))
    assert shown == f"| {name.replace(chr(10), ' ')} | 1 |"


def test_file_names_that_are_not_utf8_are_written(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")  # as Python gives the name of an old disk's folder
    write_json(tmp_path / "run.json", {"path": name})
    assert read_json(tmp_path / "run.json", "restore it") == {"path": name}
    write_text(tmp_path / "table.csv", csv_text([[name]]))
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == "caf\\udce9\n"
