"""What --labelled_video, --page and --plots write beside tracks, when, and which lines join the points."""

import dataclasses
from types import SimpleNamespace

import pytest

from pawjax import cli, predict
from pawjax.data.video import open_video
from pawjax.errors import InputError
from pawjax.report.looks import Looks, parse_skeleton, project_skeleton
from pawjax.tracks.file import write_tracks
from tests.report.tracked_video import still, write_numbered

CONFIG = "scorer: me\nbodyparts: [nose, tail, a-b]\nskeleton:\n- [nose, tail]\n- [bodypart1, objectA]\n- nose\n"


@pytest.fixture
def tracked(tmp_path):
    """A video and the file of its tracks, in another folder."""
    video = open_video(write_numbered(tmp_path / "v.mp4", 6)).path
    tracks = tmp_path / "out" / "vpawjax_mine_7.tracks.h5"
    write_tracks(tracks, [still(6)])
    return video, tracks


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("wanted, names", [
    ((True, False, False), {"vpawjax_mine_7_p60_labeled.mp4"}),
    ((False, True, False), {"vpawjax_mine_7_review.html"}),
    ((False, False, True), {f"plot-poses/vpawjax_mine_7/{name}.png" for name in ("trajectory", "plot", "hist")}),
    ((False, False, False), set()),
])  # fmt: skip
def test_files_lie_beside_the_tracks(tracked, wanted, names):
    video, tracks = tracked
    Looks(*wanted, 0.6, [("nose", "tail")]).write(video, tracks)
    assert {name for name in files_in(tracks.parent) if not name.startswith(".")} - {tracks.name} == names


@pytest.mark.parametrize("wanted, name", [
    ((False, True, False), "vpawjax_mine_7_review.html"),
    ((False, False, True), "plot-poses/vpawjax_mine_7/plot.png"),
])  # fmt: skip
def test_files_are_written_again_only_for_other_tracks_or_settings(tracked, wanted, name):
    video, tracks = tracked
    path = tracks.parent / name

    def written(pcutoff: float) -> bool:
        before = path.stat().st_mtime_ns if path.exists() else 0
        Looks(*wanted, pcutoff, []).write(video, tracks)
        return path.stat().st_mtime_ns != before

    assert [written(0.6), written(0.6), written(0.5), written(0.5)] == [True, False, True, False]
    moved = still(6)
    write_tracks(tracks, [dataclasses.replace(moved, keypoints=moved.keypoints + 1)])
    assert written(0.5)


@pytest.mark.parametrize("name", ["vpawjax_mine_7_p60_labeled.mp4", "plot-poses/vpawjax_mine_7/hist.png"])
def test_files_of_others_are_never_overwritten(tracked, name):
    video, tracks = tracked
    path = tracks.parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("of DeepLabCut")
    with pytest.raises(InputError, match="was not made from"):
        Looks(True, False, True, 0.6, []).write(video, tracks)
    assert path.read_text() == "of DeepLabCut"


def test_pairs_of_bodyparts_may_hold_hyphens():
    bodyparts = ["nose", "tail", "a-b", "a", "b-tail"]
    assert parse_skeleton("nose-tail,a-b-nose", bodyparts) == (("nose", "tail"), ("a-b", "nose"))
    for text, word in (("nose-tial", "nose-tial"), ("nose-tail,", ""), ("nose", "nose"), ("a-b-tail", "a-b-tail")):
        with pytest.raises(InputError, match=f"--skeleton={text}: '{word}' must be two bodyparts"):
            parse_skeleton(text, bodyparts)


def test_skeleton_is_the_projects_without_placeholders(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert project_skeleton(str(tmp_path)) == (("nose", "tail"),)
    assert project_skeleton(str(tmp_path / "config.yaml")) == (("nose", "tail"),)
    assert project_skeleton("") == project_skeleton("/nowhere") == ()
    (tmp_path / "config.yaml").write_text("scorer: [")
    assert project_skeleton(str(tmp_path)) == ()
    assert "no skeleton is drawn" in capsys.readouterr().err


def test_flags_say_what_is_drawn():
    run = SimpleNamespace(bodyparts=("nose", "tail"), pcutoff=0.4, project="")

    def looks(*words):
        return predict.looks_of(cli.parse(predict.ENTRY_POINT, ["--workdir=x", *words])[0], run)

    assert looks() == Looks(False, False, False, 0.4, ())
    assert looks("--page", "--labelled_video", "--plots", "--skeleton=tail-nose") == Looks(
        True, True, True, 0.4, (("tail", "nose"),)
    )
