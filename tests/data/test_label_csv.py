"""Label tables in CSV: all layouts and all errors."""

from pathlib import Path

import numpy as np
import pytest

from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_table import first_difference
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


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
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
    "twice": (HEADER + "a/i.png,1,2\na/j.png,1,2\na\\i.png,3,4\n", "row a/i.png appears more than once"),
    "column twice": (
        "scorer,A,A,A,A\nbodyparts,p,p,p,p\ncoords,x,y,x,y\na/i.png,1,2,3,4\n",
        "column p x, p y appears more than once",
    ),
    "no y": ("scorer,A\nbodyparts,p\ncoords,x\na/i.png,1\n", "bodypart 'p' has no column 'y'"),
    "3D": ("scorer,A\nbodyparts,p\ncoords,z\na/i.png,1\n", "column 'p z' is not x, y"),
    "semicolons": ("scorer;A;A\nbodyparts;p;p\ncoords;x;y\na/i.png;1;2\n", "each followed by commas"),
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


def test_binary_file_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00scorer")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_label_csv(tmp_path / "labels.csv")
