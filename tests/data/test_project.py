"""Projects that frames are added to: what is there stays as it is, to the byte."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from pawjax.data.deeplabcut import read_project_config
from pawjax.data.project import add_video, frame_name, open_project
from pawjax.data.video import Video
from pawjax.errors import InputError

VIDEO = Video(Path("/videos/new mouse.mp4"), 48, 64, False, 2330, 25.0)
OLD = "/videos/old.avi:\n    crop: 0, 64, 0, 48\n"


def config(video_sets):
    return f"# mine\nTask: reach\nscorer: Ann   # who\n{video_sets}bodyparts:\n- snout\n- tail\niteration: 2\n"


@pytest.mark.parametrize(
    "video_sets, added",
    [
        (f"video_sets:\n  {OLD}", 2),
        ("video_sets:\n    # none\n    ? /videos/old.avi\n    : crop: 0, 1, 2, 3\n", 2),
        ("video_sets:\n", 2),
        ("video_sets: {}\n", 3),
        ("video_sets: null\r\n", 3),
        ("", 4),
        ("video_sets:\n  WILL BE AUTOMATICALLY UPDATED BY DEMO CODE:\n    crop: 0, 1, 2, 3\n", 2),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_video_is_a_further_entry_and_other_lines_stay(video_sets, added, end):
    text = config(video_sets).replace("\r\n", "\n").replace("\n", end)
    changed = add_video(Path("config.yaml"), text, VIDEO)
    before, after = (yaml.safe_load(one) for one in (text, changed))
    videos = (before.get("video_sets") or {}) | {str(VIDEO.path): {"crop": "0, 64, 0, 48"}}
    assert after == before | {"video_sets": videos}
    lines = changed.splitlines(keepends=True)
    assert all(line.endswith(end) for line in lines)
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("video_sets")]
    rest = iter(lines)
    assert all(line in rest for line in kept), "in their order"
    assert len(lines) - len(kept) == added + (added == 2)


@pytest.mark.parametrize("video_sets", ["video_sets: {/videos/a.mp4: {crop: 0}}\n", "video_sets:\n- /videos/a.mp4\n"])
def test_a_field_of_another_form_is_left_to_its_user(video_sets):
    with pytest.raises(InputError, match="config.yaml: the field 'video_sets' .* new mouse.mp4 cannot be added"):
        add_video(Path("config.yaml"), config(video_sets), VIDEO)


def test_a_new_project_is_read_back(tmp_path, make_project):
    like = read_project_config(
        make_project(config="scorer: Ann\nbodyparts: [a, b, c]\nskeleton:\n- [a, b]\n- [b, c]\n")
    )
    folder = tmp_path / 'a "new" one: 2'
    project = open_project(folder, ("on", "a", "b"), like, "")
    assert not folder.exists()
    project.create()
    found = read_project_config(folder)
    assert (found.scorer, found.bodyparts, found.skeleton) == ("Ann", ("on", "a", "b"), (("a", "b"),))
    fields = yaml.safe_load((folder / "config.yaml").read_text())
    assert fields["Task"] == folder.name and fields["project_path"] == str(folder) and fields["iteration"] == 0
    assert fields["video_sets"] is None and fields["bodyparts"] == ["on", "a", "b"]
    assert yaml.safe_load(project.config_with(VIDEO))["video_sets"] == {str(VIDEO.path): {"crop": "0, 64, 0, 48"}}
    assert open_project(folder / "config.yaml", ("a",), None, "").bodyparts == ("on", "a", "b")


def test_folders_and_names_that_do_not_fit_are_refused(tmp_path, make_project):
    folder = make_project()
    with pytest.raises(InputError, match="config.yaml: the field 'bodyparts' lacks 'paw', which the network predicts"):
        open_project(folder, ("snout", "paw"), None, "")
    with pytest.raises(InputError, match="--scorer=Bob: the scorer of .*config.yaml is Ann"):
        open_project(folder, ("snout",), None, "Bob")
    with pytest.raises(InputError, match="labeled-data is neither empty nor a DeepLabCut project"):
        open_project(folder / "labeled-data", ("snout",), None, "")
    with pytest.raises(InputError, match="img000.png is neither empty nor a DeepLabCut project"):
        open_project(folder / "labeled-data/m1/img000.png", ("snout",), None, "")
    with pytest.raises(InputError, match="--scorer='a/b' stands in the names of files"):
        open_project(tmp_path / "new", ("snout",), None, "a/b")


def test_pictures_and_labels_count_as_labelled(make_project, write_csv):
    folder = make_project(videos={"m1": 3})
    labels = folder / "labeled-data/m1"
    write_csv(labels / "CollectedData_Bob.csv", ["labeled-data/m1/img0990.png"], np.ones((1, 2, 2)))
    (labels / "img00041.jpg").touch()
    (labels / "notes.png").touch()
    project = open_project(folder, ("snout",), None, "")
    assert project.labelled_frames("m1") == {0, 1, 2, 41, 990} and project.labelled_frames("m2") == set()
    new = open_project(folder.with_name("new"), ("snout",), read_project_config(folder), "")
    assert new.labelled_frames("m1") == {0, 1, 2, 41, 990}


def test_machine_labels_never_take_the_name_of_others(make_project):
    folder = make_project(config=config(f"video_sets:\n  {OLD}"))
    project = open_project(folder, ("snout",), None, "")
    assert project.labels_name("m1") == "machinelabels-iter2"
    (folder / "labeled-data/m1/machinelabels-iter2.h5").touch()
    assert project.labels_name("m1") == "machinelabels-iter3"


def test_a_project_that_lists_none_of_its_folders_keeps_its_config(make_project):
    """DeepLabCut then reads every folder; with one of them listed it would read that alone."""
    folder = make_project()
    project = open_project(folder, ("snout",), None, "")
    assert project.config_with(VIDEO) == (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config("video_sets:\n  /videos/m1.avi:\n    crop: 0, 1, 2, 3\n"))
    assert "new mouse" in project.config_with(VIDEO)


def test_files_written_meanwhile_are_not_replaced(make_project, tmp_path):
    folder = make_project()
    project = open_project(folder, ("snout",), None, "")
    made = tmp_path / "made"
    made.mkdir()
    (made / "img001.png").write_text("new")
    before = (folder / "labeled-data/m1/img001.png").read_bytes()
    with pytest.raises(InputError, match="img001.png was written meanwhile"):
        project.add("m1", made, "")
    assert (folder / "labeled-data/m1/img001.png").read_bytes() == before


def test_frames_have_the_names_of_deeplabcut():
    assert [frame_name(7, n) for n in (9, 100, 2330, 10_001)] == [
        "img7.png",
        "img07.png",
        "img0007.png",
        "img00007.png",
    ]
    assert frame_name(0, 1) == "img0.png"
