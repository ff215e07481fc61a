"""DeepLabCut projects: what config.yaml and labeled-data/ may look like."""

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from pawjax.data.deeplabcut import read_deeplabcut, read_project_config
from pawjax.data.names import video_of
from pawjax.errors import InputError

COMPOSED, DECOMPOSED = "\u00fc", "u\u0308"
GOLDEN = Path(__file__).parents[1] / "golden"
MESSY = """# Project definitions (do not edit)
Task:
scorer: Ann
date: Oct30
multianimalproject:
identity:

project_path: D:\\work\\moved away

engine:
video_sets:
  WILL BE AUTOMATICALLY UPDATED BY DEMO CODE:
    crop: 0, 640, 0, 480
  ? C:\\a very long path that ruamel wraps\\over lines\\m1.avi
  : crop: 0, 32, 0, 24
bodyparts:
- snout
- tail
skeleton: []
TrainingFraction:
- 0.95
"""


def test_messy_config_is_read(make_project):
    table = read_deeplabcut(make_project(config=MESSY))
    assert table.bodyparts == ("snout", "tail") and len(table.ids) == 3


def test_bodyparts_that_yaml_reads_as_values(make_project):
    parts = ("on", "1e3", "null", "2024-01-01")
    assert read_deeplabcut(make_project(bodyparts=parts)).bodyparts == parts


def test_videos_are_merged_in_deeplabcuts_order(make_project):
    table = read_deeplabcut(make_project(videos={"m2": 2, "m10": 1, "m1-x": 1, "m1": 2}))
    assert [frame.split("/", 1)[1] for frame in table.ids] == [
        "m1/img000.png",
        "m1/img001.png",
        "m1-x/img000.png",
        "m10/img000.png",
        "m2/img000.png",
        "m2/img001.png",
    ]


def test_bodyparts_follow_the_config(make_project):
    project = make_project()
    before = read_deeplabcut(project)
    (project / "config.yaml").write_text("scorer: Ann\nbodyparts: [tail, snout]\n")
    after = read_deeplabcut(project)
    assert after.bodyparts == ("tail", "snout")
    np.testing.assert_array_equal(after.keypoints, before.keypoints[:, :, ::-1])


def test_folders_without_a_table_are_left_out_silently(make_project, warnings):
    project = make_project()
    folder = project / "labeled-data"
    shutil.copytree(folder / "m1", folder / "m1_labeled", ignore=shutil.ignore_patterns("*.csv"))  # by check_labels
    (folder / "m7").mkdir()
    (folder / "notes.txt").write_text("x")
    assert len(read_deeplabcut(project).ids) == 3 and warnings() == []


def test_a_video_may_be_named_labeled(make_project, warnings):
    table = read_deeplabcut(make_project(videos={"m1": 2, "m2_labeled": 3}))
    assert [video_of(frame) for frame in table.ids] == ["m1"] * 2 + ["m2_labeled"] * 3 and warnings() == []


def test_tables_of_another_scorer_are_left_out_with_a_warning(make_project, warnings):
    project = make_project(videos={"m1": 3, "m2": 2, "m3": 1})
    for video in ("m2", "m3"):
        table = project / f"labeled-data/{video}/CollectedData_Ann.csv"
        table.rename(table.with_name("CollectedData_Bob.csv"))
    shutil.copy(project / "labeled-data/m2/CollectedData_Bob.csv", project / "labeled-data/m1")  # beside its own
    (project / "labeled-data/m3/CollectedData_Bob.csv").write_text("damaged")
    assert [video_of(frame) for frame in read_deeplabcut(project).ids] == ["m1"] * 3
    (text,) = warnings()
    assert "2 folders under labeled-data/ (m2, m3; 2 frames) are left out" in text
    assert "scorers of their tables are Bob, and config.yaml names Ann; name the tables CollectedData_Ann to" in text


VIDEOS = {
    "Windows paths of another machine": ("? D:\\x\\m1.avi\n  : crop: 0, 1\n  D:\\x\\m2.mp4:\n    crop: 0, 1\n", "m3"),
    "plain paths": ("/data/m1.avi: {crop: 0}\n  /data/m3.tar.avi:\n  /data/m2.avi:", "m3"),
    "all of them": ("m1.avi:\n  m2.avi:\n  m3.avi:\n  m4.avi:", ""),
    "a placeholder": ("WILL BE AUTOMATICALLY UPDATED BY DEMO CODE:\n    crop: 0, 640, 0, 480", ""),
    "nothing": ("", ""),
    "none that is labelled, where DeepLabCut reads every folder": ("/data/m9.avi:", ""),
    "a list": ("- m1.avi", ""),
}


@pytest.mark.parametrize("case", VIDEOS)
def test_videos_that_deeplabcut_would_leave_out_are_said(make_project, warnings, case):
    videos, unlisted = VIDEOS[case]
    config = f"scorer: Ann\nvideo_sets:\n  {videos}\nbodyparts: [snout, tail]\n"
    table = read_deeplabcut(make_project(videos={"m1": 3, "m2": 2, "m3": 4}, config=config))
    texts = warnings()
    assert len(table.ids) == 9 and len(texts) == bool(unlisted)
    assert not unlisted or f"does not list the videos of 1 of 3 labelled folders ({unlisted}; 4 frames)" in texts[0]


def _project_with_both(tmp_path: Path) -> Path:
    """A project labelled with the pandas goldens, as h5 and CSV."""
    folder = tmp_path / "both/labeled-data/m1"
    folder.mkdir(parents=True)
    (tmp_path / "both/config.yaml").write_text("scorer: Ann\nbodyparts: [snout, leftear, tailbase]\n")
    shutil.copy(GOLDEN / "pandas_fixed_three_columns.h5", folder / "CollectedData_Ann.h5")
    shutil.copy(GOLDEN / "pandas_one_column.csv", folder / "CollectedData_Ann.csv")
    return tmp_path / "both"


def test_either_table_or_both(tmp_path):
    project = _project_with_both(tmp_path)
    folder = project / "labeled-data/m1"
    tables = [read_deeplabcut(project, labels) for labels in ("auto", "csv", "h5")]
    assert [table.ids for table in tables] == [tables[0].ids] * 3
    (folder / "CollectedData_Ann.csv").rename(folder / "old.csv")
    assert read_deeplabcut(project).ids == tables[0].ids
    with pytest.raises(InputError, match="CollectedData_Ann.csv: is missing"):
        read_deeplabcut(project, "csv")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("4.523456789", "4.6", "tailbase in labeled-data/m1/img007.png is .4.52345679, .* and .4.6, "),
        ("0.123456789,1.223456789", ",", "snout in .* is .* and missing in CollectedData_Ann.csv"),
        ("img010", "img011", "only CollectedData_Ann.h5 has the frame labeled-data/m1/img010.png"),
        ("snout,snout", "nose,nose", "only CollectedData_Ann.h5 has the bodypart snout"),
    ],
)
def test_tables_that_differ_are_refused_until_one_is_chosen(tmp_path, old, new, words):
    project = _project_with_both(tmp_path)
    csv = project / "labeled-data/m1/CollectedData_Ann.csv"
    csv.write_text(csv.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"differ: {words}.*set config.data.label_file to h5 or csv"):
        read_deeplabcut(project)
    assert len(read_deeplabcut(project, "h5").ids) == 3


def test_rounded_text_still_agrees(tmp_path):
    project = _project_with_both(tmp_path)
    csv = project / "labeled-data/m1/CollectedData_Ann.csv"
    csv.write_text(csv.read_text().replace("4.523456789", "4.5235"))
    assert read_deeplabcut(project).keypoints[0, 0, 2, 0] == 4.523456789


BAD_CONFIGS = {
    "not yaml": ("a: [1\nb: }", "config.yaml: is not readable YAML"),
    "a list": ("- a\n- b\n", "holds no 'field: value' lines"),
    "empty": ("", "holds no 'field: value' lines"),
    "multi-animal": ("scorer: Ann\nmultianimalproject: true\nbodyparts: MULTI!\n", "is a multi-animal project"),
    "no scorer": ("scorer:\nbodyparts: [a]\n", "field 'scorer' is empty"),
    "no bodyparts": ("scorer: Ann\nbodyparts:\n", "field 'bodyparts' is not a list"),
    "repeated": ("scorer: Ann\nbodyparts: [a, b, a]\n", "names 'a' twice"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_config_is_named(tmp_path, case):
    text, words = BAD_CONFIGS[case]
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_project_config(tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_folders_without_a_project_are_refused(tmp_path, make_project):
    with pytest.raises(InputError, match="there is no such folder"):
        read_deeplabcut(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is no config.yaml in it"):
        read_deeplabcut(tmp_path)
    project = make_project()
    shutil.rmtree(project / "labeled-data")
    with pytest.raises(InputError, match="there is no folder labeled-data"):
        read_deeplabcut(project)
    (project / "labeled-data/m1").mkdir(parents=True)
    with pytest.raises(InputError, match="no folder under labeled-data/ holds CollectedData_Ann.csv or .h5;"):
        read_deeplabcut(project)


def test_labels_of_another_scorer_are_reported(make_project):
    project = make_project(config="scorer: Bob\nbodyparts: [snout, tail]\n")
    with pytest.raises(InputError, match="CollectedData_Bob.*the scorers of its tables are Ann.*field 'scorer'"):
        read_deeplabcut(project)


def test_rows_of_one_frame_in_two_tables(make_project, warnings):
    project = make_project()
    before = read_deeplabcut(project)
    shutil.copytree(project / "labeled-data/m1", project / "labeled-data/m2")
    after = read_deeplabcut(project)
    assert after.ids == before.ids
    np.testing.assert_array_equal(after.keypoints, before.keypoints)
    (text,) = warnings()
    assert "3 rows of its label tables repeat other rows of the same frames and labels; one of each is kept" in text
    table = project / "labeled-data/m2/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:4], "labeled-data/m1/img001.png,1,2,3,4", lines[5]]))
    with pytest.raises(InputError) as error:
        read_deeplabcut(project)
    x, y = before.keypoints[1, 0, 0]
    assert f"the frame labeled-data/m1/img001.png has two rows that differ: snout is ({x:.9g}, {y:.9g}) in m1/" in str(
        error.value
    )
    assert "and (1, 2) in m2/CollectedData_Ann.csv; keep the right row" in str(error.value)


@pytest.mark.parametrize("spelling", ["labeled-data/m1/img000.png", "labeled-data\\m1\\..\\m1\\img000.png"])
@pytest.mark.parametrize(
    "cells, words",
    [
        ("1,2,,", ""),
        ("1,2,5,5", "tail is missing in m1/CollectedData_Ann.csv and .5, 5. in m1"),
        ("1,2.5,,", "snout is .1, 2. in m1/CollectedData_Ann.csv and .1, 2.5. in m1"),
    ],
)
def test_rows_of_one_frame_in_one_table(make_project, warnings, spelling, cells, words):
    project = make_project()
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    lines = table.read_text().splitlines()[:3]
    table.write_text("\n".join([*lines, "labeled-data/m1/img000.png,1,2,,", f"{spelling},{cells}"]))
    if words:
        with pytest.raises(InputError, match=f"the frame labeled-data/m1/img000.png has two rows that differ: {words}"):
            read_deeplabcut(project)
    else:
        assert read_deeplabcut(project).ids == ("labeled-data/m1/img000.png",) and "1 rows of" in warnings()[0]


def test_rows_of_one_frame_in_an_h5(tmp_path):
    project = _project_with_both(tmp_path)
    with h5py.File(project / "labeled-data/m1/CollectedData_Ann.h5", "r+") as file:
        file["df_with_missing/axis1_label2"][2] = 0
    with pytest.raises(InputError, match="img007.png has two rows that differ: snout is .* in m1/CollectedData_Ann.h5"):
        read_deeplabcut(project, "h5")


def test_names_in_two_unicode_forms_are_one(make_project, warnings):
    """A Mac may write 'ü' as 'u' and dots: scorer, bodyparts, folders, files and rows, each in another form here."""
    config = f"scorer: J{DECOMPOSED}rg\nvideo_sets:\n  /x/M{COMPOSED}use.avi:\nbodyparts: [snout, R{COMPOSED}cken]\n"
    project = make_project(videos={f"M{COMPOSED}use": 2}, bodyparts=("snout", f"R{DECOMPOSED}cken"), config=config)
    folder = project / f"labeled-data/M{COMPOSED}use"
    (folder / "CollectedData_Ann.csv").rename(folder / f"CollectedData_J{COMPOSED}rg.csv")
    folder.rename(project / f"labeled-data/M{DECOMPOSED}use")
    table = read_deeplabcut(project)
    assert table.bodyparts == ("snout", f"R{COMPOSED}cken") and not np.isnan(table.keypoints).any()
    assert table.ids == tuple(f"labeled-data/M{COMPOSED}use/img{n:03d}.png" for n in range(2))
    assert table.files == tuple(f"labeled-data/M{DECOMPOSED}use/img{n:03d}.png" for n in range(2))
    assert warnings() == []
    (project / "config.yaml").write_text(config.replace("snout", f"R{DECOMPOSED}cken"))
    with pytest.raises(InputError, match="names .* twice"):
        read_deeplabcut(project)


def test_tables_without_frames_are_refused(make_project):
    project = make_project()
    table = project / "labeled-data/m1/CollectedData_Ann.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match="with frames in it; label some frames"):
        read_deeplabcut(project)


@pytest.mark.parametrize("fields", ["bodyparts: " + "[" * 5000 + "]" * 5000, "a: " + "{a: " * 5000])
def test_config_nested_deep_is_refused(make_project, fields):
    with pytest.raises(InputError, match="config.yaml: is not readable YAML"):
        read_project_config(make_project(config=f"scorer: Ann\n{fields}\n"))


def test_fields_of_other_types_in_the_config(make_project):
    config = "scorer: Ann\nmultianimalproject: [yes]\nbodyparts: [a]\n"
    assert read_project_config(make_project(config=config)).bodyparts == ("a",)


def test_nul_in_the_name_of_an_image_is_refused(make_project):
    root = make_project()
    table = root / "labeled-data/m1/CollectedData_Ann.csv"
    table.write_text(table.read_text().replace("img001.png", "img\0001.png"))
    with pytest.raises(InputError, match="CollectedData_Ann.csv.*zero bytes"):
        read_deeplabcut(root)


def test_a_path_that_deeplabcut_broke_at_a_space_is_named(make_project):
    """Its issue 3286: the config.yaml of a new project is no YAML."""
    broken = (
        "scorer: Ann\nvideo_sets:\n  C:\\Node 106\\DLC\n  tracks\\m1.avi:\n    crop: 0, 32, 0, 24\nbodyparts: [a]\n"
    )
    with pytest.raises(InputError, match="is not readable YAML .* in one line, in quotes if it has a space"):
        read_project_config(make_project(config=broken))


def test_rows_that_are_numbered_name_no_images(make_project):
    """As in DeepLabCut's issue 465, where another tool wrote the table."""
    root = make_project()
    table = root / "labeled-data/m1/CollectedData_Ann.csv"
    table.write_text(re.sub("labeled-data/m1/img00([0-9]).png", r"\1", table.read_text()))
    with pytest.raises(InputError, match="row 1 of its frames names '0', a number, not an image"):
        read_deeplabcut(root)
