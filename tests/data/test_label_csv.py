"""Label tables in CSV: all layouts and all errors."""

from pathlib import Path

import numpy as np
import pytest

from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_table import LabelTable, first_difference, warn_of_zeros
from pawjax.data.names import frame_id, video_of
from pawjax.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden"
IDS = ["labeled-data/m1/img000.png", "labeled-data/m1/img001.png"]
POINTS = np.array([[[1.25, 2.5], [np.nan, np.nan]], [[0.1 + 0.2, 4.0], [5.0, 6.75]]])
HEADER = "scorer,Ann,Ann\nbodyparts,snout,snout\ncoords,x,y\n"


@pytest.mark.parametrize("path_columns", [1, 3])
def test_values_keep_every_digit_and_gaps(tmp_path, write_csv, path_columns):
    write_csv(tmp_path / "t.csv", IDS, POINTS, path_columns=path_columns)
    table = read_label_csv(tmp_path / "t.csv")
    assert table.ids == tuple(IDS) and table.bodyparts == ("snout", "tail")
    np.testing.assert_array_equal(table.keypoints, POINTS[:, None])


def test_windows_separators_and_byte_order_mark(tmp_path, write_csv):
    write_csv(tmp_path / "t.csv", IDS, POINTS, separator="\\")
    text = (tmp_path / "t.csv").read_text()
    assert "labeled-data\\m1\\img000.png" in text
    (tmp_path / "t.csv").write_text("\ufeff" + text.replace("\n", "\r\n") + "\r\n")
    assert read_label_csv(tmp_path / "t.csv").ids == tuple(IDS)


def test_table_written_by_pandas_is_read():
    one, three = (read_label_csv(GOLDEN / f"pandas_{n}.csv") for n in ("one_column", "three_columns"))
    assert first_difference(one, three) == ""
    assert one.bodyparts == ("snout", "leftear", "tailbase")
    assert np.isnan(one.keypoints[1, 0, 1]).all() and np.isnan(one.keypoints).sum() == 2
    np.testing.assert_allclose(one.keypoints[2, 0, 2], [17.723456789, 18.823456789], rtol=1e-15)


def test_likelihood_is_dropped(tmp_path):
    text = "scorer,A,A,A\nbodyparts,p,p,p\ncoords,x,y,likelihood\na/i.png,1,2,0.5\n"
    (tmp_path / "t.csv").write_text(text)
    np.testing.assert_array_equal(read_label_csv(tmp_path / "t.csv").keypoints, [[[[1.0, 2.0]]]])


def test_visible_column_decides(tmp_path):
    rows = "".join(f"a/i{n}.png,1,2,{cell}\n" for n, cell in enumerate(["2", "1", "0", ""]))
    (tmp_path / "t.csv").write_text(f"scorer,A,A,A\nbodyparts,p,p,p\ncoords,x,y,visible\n{rows}")
    labelled = ~np.isnan(read_label_csv(tmp_path / "t.csv").keypoints[:, 0, 0, 0])
    assert labelled.tolist() == [True, False, False, True]


# A table with a missing label, and what programs make of it. Those of pandas 3.1 were taken from its output, those of R
# and spreadsheets follow their manuals.
ROWS = [
    ["scorer", "Ann", "Ann", "Ann", "Ann"],
    ["bodyparts", "snout", "snout", "tail", "tail"],
    ["coords", "x", "y", "x", "y"],
    [IDS[0], "1.25", "2.5", "", ""],
    [IDS[1], "0.30000000000000004", "4.0", "5.0", "6.75"],
]
SPLIT_ROWS = [[row[0], "", "", *row[1:]] for row in ROWS[:3]] + [[*row[0].split("/"), *row[1:]] for row in ROWS[3:]]


def joined(rows, delimiter=",", end="\n"):
    return "".join(delimiter.join(row) + end for row in rows)


def with_names(rows, first):
    """The rows with a column of row numbers and a row of column names, as R and pandas add them."""
    return [["", *first], *([str(number), *row] for number, row in enumerate(rows))]


VARIANTS = {
    "semicolons": joined(ROWS, ";"),
    "tabs": joined(ROWS, "\t"),
    "sep= line of Excel": "sep=;\n" + joined(ROWS, ";"),
    "old Mac line ends": joined(ROWS, end="\r"),
    "Windows line ends": joined(ROWS, end="\r\n"),
    "everything quoted": joined([[f'"{cell}"' for cell in row] for row in ROWS]),
    "byte order mark and quotes": "\ufeff" + joined([[f'"{cell}"' for cell in row] for row in ROWS]),
    "empty columns and rows of a spreadsheet": joined([[*row, "", ""] for row in [*ROWS, [""] * 5]]),
    "empty cells after the header only": joined([[*row, ""] for row in ROWS[:3]] + ROWS[3:]),
    "pandas, index with a name": joined([*ROWS[:3], ["image", "", "", "", ""], *ROWS[3:]]),
    "pandas, index levels with names": joined([*SPLIT_ROWS[:3], ["a", "b", "c", *[""] * 4], *SPLIT_ROWS[3:]]),
    "pandas, reset_index": joined(
        [["scorer", "index", *ROWS[0][1:]], *([row[0], "", *row[1:]] for row in ROWS[1:3])]
        + [[str(number), *row] for number, row in enumerate(ROWS[3:])]
    ),
    "pandas, read without a header": joined(with_names(ROWS, "01234")),
    "pandas, read without a header, no index": joined([list("01234"), *ROWS]),
    "pandas, read plainly": joined(with_names(ROWS[1:], ["scorer", "Ann", "Ann.1", "Ann.2", "Ann.3"])),
    "pandas, three header rows but no index": joined(
        [
            ["", *(cell or f"Unnamed: {n}_level_{level}" for n, cell in enumerate(row))]
            for level, row in enumerate(SPLIT_ROWS[:3])
        ]
        + [[str(number), *row] for number, row in enumerate(SPLIT_ROWS[3:])]
    ),
    "R, write.csv": '"","V1","V2","V3","V4","V5"\n'
    + "".join(
        ",".join(f'"{cell}"' if cell else "NA" for cell in [str(number), *row]) + "\n"
        for number, row in enumerate(ROWS, start=1)
    ),
    "R, no row names": '"V1","V2","V3","V4","V5"\n' + joined(ROWS),
}


@pytest.mark.parametrize("case", VARIANTS)
def test_what_other_programs_write_is_the_same_table(tmp_path, case):
    (tmp_path / "t.csv").write_bytes(VARIANTS[case].encode())
    table = read_label_csv(tmp_path / "t.csv")
    assert table.ids == tuple(IDS) and table.bodyparts == ("snout", "tail")
    np.testing.assert_array_equal(table.keypoints, POINTS[:, None])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_read(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes(joined(ROWS, "\t").replace("snout", "Schnäuzchen").encode(encoding))
    assert read_label_csv(tmp_path / "t.csv").bodyparts == ("Schnäuzchen", "tail")


# pandas.io.parsers.readers.STR_NA_VALUES of pandas 3.1
PANDAS_MISSING = (
    "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null".split(",")
)


@pytest.mark.parametrize("word", [*PANDAS_MISSING, "", " ", "NAN", "na"])
def test_words_for_a_missing_label(tmp_path, word):
    (tmp_path / "t.csv").write_text(f"{HEADER}a/i.png,{word},{word}\na/j.png,1,2\n")
    assert np.isnan(read_label_csv(tmp_path / "t.csv").keypoints[:, 0, 0, 0]).tolist() == [True, False]


@pytest.mark.parametrize(
    "number, value", [("7", 7), ("-0.5", -0.5), ("+1.", 1), (".25", 0.25), ("1e2", 100), ("2.5E-1", 0.25), (" 3 ", 3)]
)
def test_plain_numbers(tmp_path, number, value):
    (tmp_path / "t.csv").write_text(f"{HEADER}a/i.png,{number},{number}\n")
    np.testing.assert_array_equal(read_label_csv(tmp_path / "t.csv").keypoints, [[[[value, value]]]])


@pytest.mark.parametrize(
    "number", ["2_1.5", "१२", "１２", "1+2j", "0x1A", "1e", "--1", "1 2", "e5", "#REF!", "-", "1.2.3"]
)
def test_what_is_no_plain_number_is_named(tmp_path, number):
    (tmp_path / "t.csv").write_text(f"{HEADER}a/i.png,1,{number}\n")
    with pytest.raises(InputError, match="t.csv: line 4, column 'snout y' holds .* is not a number") as error:
        read_label_csv(tmp_path / "t.csv")
    assert f"'{number}'" in str(error.value)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("labeled-data/m1/../m1//i.png",), "labeled-data/m1/i.png"),
        (("./a/i.png",), "a/i.png"),
        (("../reach/labeled-data/m1/i.png",), "labeled-data/m1/i.png"),
        (("labeled-data/m1/../../../i.png",), "../i.png"),
        (("labeled-data/Ma\u0308use/i.png",), "labeled-data/Mäuse/i.png"),
        (("labeled-data/m1/i.png",), "labeled-data/m1/i.png"),
        (("labeled-data", "m1", "i.png"), "labeled-data/m1/i.png"),
        ((r"C:\Users\ann\reach\labeled-data\m 1\i.png",), "labeled-data/m 1/i.png"),
        (("./labeled-data/labeled-data/i.png",), "labeled-data/i.png"),
        (("images/labeled-data",), "images/labeled-data"),
    ],
)
def test_frame_id(parts, expected):
    assert frame_id(*parts) == expected


def test_video_of_is_the_folder():
    assert [video_of(f) for f in ("labeled-data/m1/i.png", "labeled-data/i.png", "x/m1/i.png", "i.png")] == [
        "m1",
        "labeled-data",
        "x/m1",
        "",
    ]


WRONG = {
    "number": (HEADER + "a/i.png,1,2\na/j.png,1,2o\n", "line 5, column 'snout y' holds '2o'"),
    "infinite": (HEADER + "a/i.png,1,inf\n", "snout in a/i.png has an infinite"),
    "half": (HEADER + "a/i.png,1,\n", "snout in a/i.png has only one coordinate"),
    "short row": (HEADER + "a/i.png,1\n", "line 4 has 2 cells but the header has 3"),
    "long row": (HEADER + "a/i.png,1,2,3\n", "line 4 has 4 cells"),
    "outside": (
        HEADER + "a/i.png,1,2\na/../../i.png,1,2\n",
        "row 2 of its frames names '../i.png', which lies outside",
    ),
    "no path": (HEADER + ",1,2\n", "row 1 of its frames names no image"),
    "column twice": (
        "scorer,A,A,A,A\nbodyparts,p,p,p,p\ncoords,x,y,x,y\na/i.png,1,2,3,4\n",
        "column p x, p y appears more than once",
    ),
    "no y": ("scorer,A\nbodyparts,p\ncoords,x\na/i.png,1\n", "bodypart 'p' has no column 'y'"),
    "3D": ("scorer,A\nbodyparts,p\ncoords,z\na/i.png,1\n", "column 'p z' is not x, y"),
    "decimal commas": (
        HEADER.replace(",", ";") + "a/i.png;1,5;2\n",
        "'snout x' holds '1,5', a number with a decimal comma",
    ),
    "quoted decimal commas": (HEADER + 'a/i.png,"1,5",2\n', "a decimal comma; save the table with decimal points"),
    "colons": (HEADER.replace(",", ":") + "a/i.png:1:2\n", "each followed by commas"),
    "no paths (index=False)": (joined([row[1:] for row in ROWS]), "begin with 'Ann', 'snout', 'x', not with 'scorer'"),
    "no header (header=False)": (joined(ROWS[3:]), "begin with 'labeled-data/m1/img000.png'"),
    "two tables in one": (joined(ROWS * 2), "line 6, column 'snout x' holds 'Ann'"),
    "no coordinate": ("scorer,A,A,A\nbodyparts,p,p,q\ncoords,x,y,\na/i.png,1,2,3\n", "'coords' differ in length"),
    "empty": ("", "nothing"),
    "multi-animal": (
        "scorer,A,A\nindividuals,m1,m1\nbodyparts,p,p\ncoords,x,y\na/i.png,1,2\n",
        "multi-animal table",
    ),
    "visible 3": ("scorer,A,A,A\nbodyparts,p,p,p\ncoords,x,y,visible\na/i.png,1,2,3\n", "'p visible' of a/i.png"),
    "visible 0 and 1": ("scorer,A,A,A\nbodyparts,p,p,p\ncoords,x,y,visible\na/i.png,1,2,1\n", "never 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_table_is_named(tmp_path, case):
    text, words = WRONG[case]
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_label_csv(tmp_path / "labels.csv")
    assert words in str(error.value) and "labels.csv" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00scorer",
        HEADER.replace("snout", "Maul-ä").encode("cp1252"),
        HEADER.encode("utf-16-le"),
        b"PK\3\4\xff",
    ],
)
def test_other_encodings_are_refused(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError, match="labels.csv: cannot be read as CSV text in UTF-8 .* save it as CSV in UTF-8"):
        read_label_csv(tmp_path / "labels.csv")


def test_labels_at_the_origin_are_reported_and_kept(tmp_path, warnings):
    rows = [f"a/{n}.png,0,0,{'0,0' if n < 2 else '1,0'}\n" for n in range(5)]
    (tmp_path / "t.csv").write_text(f"scorer,A,A,A,A\nbodyparts,p,p,q,q\ncoords,x,y,x,y\n{''.join(rows)}")
    table = read_label_csv(tmp_path / "t.csv")
    warn_of_zeros(table)
    (text,) = warnings()
    assert "5 of 5 labels of p are at exactly (0, 0), as some tools write a bodypart that is not visible" in text
    assert not np.isnan(table.keypoints).any()
    many = np.concatenate([table.keypoints[:3, :, :1], np.ones((58, 1, 1, 2))])  # 3 of 61: under 5 %
    warn_of_zeros(LabelTable(tmp_path, tuple(map(str, range(61))), ("p",), many, np.isnan(many[..., 0])))
    assert warnings() == []
