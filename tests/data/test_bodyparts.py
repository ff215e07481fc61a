"""Bodyparts that were added to config.yaml or removed from it after some videos were labelled."""

from pathlib import Path

import numpy as np
import pytest

from pawjax.data.bodyparts import align_bodyparts
from pawjax.data.label_table import LabelTable
from pawjax.errors import InputError

CONFIG = Path("reach/config.yaml")


def table_of(name, *bodyparts):
    """Two frames; the label of the k-th bodypart is (k, k) and (k + 0.5, k)."""
    x = np.arange(len(bodyparts)) + np.array([[0.0], [0.5]])
    keypoints = np.stack([x, np.floor(x)], axis=-1)[:, None]
    files = tuple(f"labeled-data/{name}/{n}.png" for n in range(2))
    return LabelTable(Path(f"{name}/CollectedData_Ann.csv"), files, bodyparts, keypoints, np.isnan(keypoints[..., 0]))


def test_added_and_removed_bodyparts(warnings):
    tables = [
        table_of("old", "snout", "whisker"),
        table_of("older", "whisker", "snout"),
        table_of("new", "paw", "snout"),
    ]
    old, older, new = align_bodyparts(tables, ("snout", "paw"), CONFIG)
    assert {table.bodyparts for table in (old, older, new)} == {("snout", "paw")}
    np.testing.assert_array_equal(old.keypoints[1, 0], [[0.5, 0], [np.nan, np.nan]])
    np.testing.assert_array_equal(older.keypoints[1, 0], [[1.5, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(new.keypoints[1, 0], [[1.5, 1], [0.5, 0]])
    lacking, left_out = warnings()
    assert "2 of 3 label tables (paw) lack columns of these bodyparts, which count as not labelled there" in lacking
    assert "does not name columns of 2 of 3 label tables (whisker); they are left out" in left_out


def test_tables_that_fit_are_ordered_silently(warnings):
    (table,) = align_bodyparts([table_of("m1", "snout", "tail")], ("tail", "snout"), CONFIG)
    np.testing.assert_array_equal(table.keypoints[0, 0], [[1, 1], [0, 0]])
    assert warnings() == []


@pytest.mark.parametrize(
    "table, config",
    [
        ("left-ear", "leftear"),
        ("Snout", "snout"),
        ("tail base", "tail_base"),
        ("tial", "tail"),
        ("snouts", "snout"),
        ("forepaw1", "forepaw2"),
    ],
)
def test_slips_of_the_pen_are_refused(table, config):
    tables = [table_of("m1", "hip", table), table_of("m2", "hip", config)]
    words = f"m1/CollectedData_Ann.csv: its bodypart '{table}' is not in config.yaml, which names '{config}' instead"
    with pytest.raises(InputError, match=words):
        align_bodyparts(tables, ("hip", config), CONFIG)
    both = align_bodyparts(tables, ("hip", config, table), CONFIG)  # as the message advises for two bodyparts
    assert [np.isnan(one.keypoints[0, 0, :, 0]).tolist() for one in both] == [
        [False, True, False],
        [False, False, True],
    ]


@pytest.mark.parametrize("one, other", [("left_paw", "left_wrist"), ("leftear", "rightear"), ("nose", "snout")])
def test_other_bodyparts_are_no_slips(one, other):
    align_bodyparts([table_of("m1", "hip", one), table_of("m2", "hip", other)], ("hip", other), CONFIG)


def test_bodyparts_of_no_table_are_refused():
    tables = [table_of("m1", "snout", "ear"), table_of("m2", "snout")]
    with pytest.raises(InputError, match="config.yaml: no label table has the bodypart paw, hip; label it in some"):
        align_bodyparts(tables, ("snout", "paw", "hip"), CONFIG)
    with pytest.raises(InputError, match="no label table has the bodypart earlobe; did you mean 'ear'"):
        align_bodyparts(tables, ("snout", "earlobe"), CONFIG)


def test_table_of_another_project_is_refused():
    tables = [table_of("m1", "snout"), table_of("m2", "elbow", "wrist")]
    with pytest.raises(InputError, match="m2/CollectedData_Ann.csv: has columns for elbow, wrist, none of which"):
        align_bodyparts(tables, ("snout",), CONFIG)
