"""Bodyparts that are not there: what a missing label means, by source and by config."""

import csv

import numpy as np
import pytest

from pawjax import data
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.data.lightning_pose import read_lightning_pose

GAPS = np.array([[[1.0, 2.0], [np.nan] * 2], [[3.0, 4.0], [5.0, 6.0]], [[np.nan] * 2] * 2])  # a gap, none, nothing
IDS = [f"labeled-data/m1/img{index:03d}.png" for index in range(3)]


@pytest.fixture
def project(make_project, write_csv):
    root = make_project()
    write_csv(root / "labeled-data/m1/CollectedData_Ann.csv", IDS, GAPS)
    return root


def test_gap_in_a_labelled_frame_of_deeplabcut_is_absent(project):
    assert read_deeplabcut(project).absent[:, 0].tolist() == [[False, True], [False, False], [False, False]]


def test_bodypart_that_a_table_has_no_column_for_is_unknown(make_project, write_csv):
    root = make_project(videos={"m1": 3, "m2": 3})
    write_csv(root / "labeled-data/m1/CollectedData_Ann.csv", IDS, GAPS[:, :1], ("snout",))
    table = read_deeplabcut(root)
    assert not table.absent.any() and np.isnan(table.keypoints[:3, 0, 1]).all()


def test_config_overrides_the_source(project, data_config):
    def known(**fields):
        frames = data.load(data_config(source="deeplabcut", path=project, **fields))
        return frames, frames.absent[:, 0].tolist()

    frames, absent = known()
    assert absent == [[False, True], [False, False], [False, False]]
    assert known(unlabelled="ignore")[1] == [[False, False]] * 3
    assert known(unlabelled="negative")[1] == (~frames.labelled[:, 0]).tolist()
    tail, absent = known(bodyparts=("tail",))
    assert absent == [[True], [False], [False]] and tail.fingerprint == frames.fingerprint
    config = data_config(source="deeplabcut", path=project)
    assert (
        config.needs_labels and not data_config(source="deeplabcut", path=project, unlabelled="negative").needs_labels
    )


def write_visible(path, marks):
    """A table of one frame a row, with coordinates and a `visible` mark for each of two bodyparts."""
    columns = [(part, coord) for part in ("snout", "tail") for coord in ("x", "y", "visible")]
    rows = [["scorer", *["Ann"] * 6], ["bodyparts", *(c[0] for c in columns)], ["coords", *(c[1] for c in columns)]]
    rows += [[frame, *(v for mark in pair for v in (1.0, 2.0, mark))] for frame, pair in zip(IDS, marks, strict=True)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_visible_marks_of_lightning_pose(project, tmp_path, data_config):
    """2 is a label, 1 (occluded) is absent, 0 and nothing are unknown."""
    write_visible(project / "CollectedData.csv", [(2, 1), (2, 0), (2, "")])
    table = read_lightning_pose(project)
    assert table.absent[:, 0].tolist() == [[False, True], [False, False], [False, False]]
    assert np.isfinite(table.keypoints[..., 0]).tolist() == [[[True, False]], [[True, False]], [[True, True]]]

    def load(**fields):
        return data.load(data_config(source="lightning_pose", path=project, **fields))

    marked, ignored = load(), load(unlabelled="ignore")
    assert marked.absent.sum() == 1 and not ignored.absent.any()
    write_visible(project / "CollectedData.csv", [(2, 0), (2, 0), (2, "")])
    unmarked = load()
    assert marked.fingerprint != unmarked.fingerprint == ignored.fingerprint, "a mark is a label; runs before it go on"


def test_gap_of_lightning_pose_is_unknown(tmp_path, write_csv):
    write_csv(tmp_path / "CollectedData.csv", IDS, GAPS)
    assert not read_lightning_pose(tmp_path).absent.any()
