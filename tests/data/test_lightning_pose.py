"""Lightning Pose folders: one CSV at the root."""

import numpy as np
import pytest

from pawjax.data.lightning_pose import read_lightning_pose
from pawjax.errors import InputError

IDS = ["labeled-data/img02.png", "labeled-data/img01.png"]
POINTS = np.arange(8.0).reshape(2, 2, 2)


@pytest.mark.parametrize(
    "others", [["CollectedData.csv"], ["CollectedData.csv", "CollectedData_new.csv"], ["mine.csv"]]
)
def test_table_is_found(tmp_path, write_csv, others):
    for index, name in enumerate(others):
        write_csv(tmp_path / name, IDS, POINTS + index)
    table = read_lightning_pose(tmp_path)
    assert table.ids == tuple(sorted(IDS))
    np.testing.assert_array_equal(table.keypoints, POINTS[::-1, None])


def test_mirror_mouse(shared_data):
    table = read_lightning_pose(shared_data / "mirror-mouse-example")
    assert len(table.ids) == 90 and len(table.bodyparts) == 17
    first = table.ids.index("labeled-data/img01.png")
    np.testing.assert_array_equal(table.keypoints[first, 0, :2], [[77.25, 36.25], [253.5, 101.900392541708]])
    assert np.isnan(table.keypoints[first, 0, table.bodyparts.index("tailBase_top")]).all()


def test_bad_folders_are_named(tmp_path, write_csv, make_project):
    with pytest.raises(InputError, match="there is no such folder"):
        read_lightning_pose(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is no label table CollectedData.csv"):
        read_lightning_pose(tmp_path)
    with pytest.raises(InputError, match="looks like a DeepLabCut project: set config.data.source=deeplabcut"):
        read_lightning_pose(make_project())
    write_csv(tmp_path / "CollectedData_cam1.csv", [], POINTS[:0])
    with pytest.raises(InputError, match="the table has no rows"):
        read_lightning_pose(tmp_path)
    write_csv(tmp_path / "CollectedData_cam2.csv", IDS, POINTS)
    with pytest.raises(InputError, match="none of the tables CollectedData_cam1.csv, CollectedData_cam2.csv is named"):
        read_lightning_pose(tmp_path)
