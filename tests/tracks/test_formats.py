"""Tracks in the formats of other tools: their structure, and each read by its tool where it is installed."""

import concurrent.futures
import importlib.util
import json
import os
import pickle
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.tracks import formats
from pawjax.tracks.file import read_tracks, write_tracks
from pawjax.tracks.formats import FORMATS, File, check_formats, read, write_filtered, write_formats
from pawjax.tracks.made import Made

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/pandas_tracks.h5"  # third_party/pandas/make_golden.py

spec = importlib.util.spec_from_file_location("check_tracks", ROOT / "third_party/tracks/check.py")
check_tracks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_tracks)


@pytest.mark.parametrize("tool", check_tracks.CHECKS)
def test_every_value_is_read_by_the_tool_of_its_format(tool, tmp_path):
    modules, names, check = check_tracks.CHECKS[tool]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: third_party/tracks/README.md")
    check_tracks.write_example(tmp_path, names)
    check(tmp_path)


@pytest.fixture
def two(make_tracks):
    """Two frames of bodyparts a and b; b is missing in the second."""
    points = np.array([[[[1.5, 2], [3, 4.25]]], [[[5, 6], [np.nan, np.nan]]]])
    return make_tracks(points, likelihood=np.array([[[0.5, 1]], [[0.25, 0.125]]], np.float32))


@pytest.fixture
def source(tmp_path, two):
    path = tmp_path / "m1pawjax_mine_3.tracks.h5"
    write_tracks(path, [two[:1], two[1:]])
    return path


def write(source, *names, **options):
    return [path.name for path in write_formats(source, "m1", "pawjax_mine_3", names, **options)]


def test_csv_has_the_columns_and_names_that_deeplabcut_looks_for(source, two):
    names = write(source, "dlc", "lp")
    assert {"m1DLC_pawjax_mine_3.csv", "m1DLC_pawjax_mine_3_meta.pickle", "m1pawjax_mine_3.lightning_pose.csv"} <= {
        *names
    }
    lines = (source.parent / names[0]).read_text().splitlines()
    assert lines == [
        "scorer" + ",DLC_pawjax_mine_3" * 6,
        "bodyparts,a,a,a,b,b,b",
        "coords,x,y,likelihood,x,y,likelihood",
        "0,1.5,2.0,0.5,3.0,4.25,1.0",
        "1,5.0,6.0,0.25,,,0.125",
    ]
    lightning = (source.parent / names[-1]).read_text().splitlines()
    assert lightning[0] == "scorer" + ",heatmap_tracker" * 6 and lightning[1:] == lines[1:]
    data = pickle.loads((source.parent / "m1DLC_pawjax_mine_3_meta.pickle").read_bytes())["data"]
    assert data["Scorer"] == "DLC_pawjax_mine_3" and data["nframes"] == 2 and data["fps"] == 25
    assert data["frame_dimensions"] == (64, 48)
    assert data["cropping"] is False and data["cropping_parameters"] == [0, 64, 0, 48]
    back = read(source.parent / names[0])
    np.testing.assert_array_equal(back.keypoints, two.keypoints)
    np.testing.assert_array_equal(back.likelihood, two.likelihood)
    np.testing.assert_array_equal(back.times, two.times)
    assert (back.bodyparts, back.size, back.frames_per_second) == (two.bodyparts, two.size, 25)


def test_two_animals_are_individuals_to_deeplabcut(tmp_path, make_tracks):
    """As DeepLabCut has it for several animals; formats of one refuse them."""
    points = np.arange(8.0).reshape(2, 2, 1, 2)
    points[1, 0] = np.nan
    source = tmp_path / "m1pawjax_mine_3.tracks.h5"
    write_tracks(source, [make_tracks(points[:1]), make_tracks(points[1:])])
    names = write(source, "dlc")
    assert (tmp_path / names[0]).read_text().splitlines() == [
        "scorer" + ",DLC_pawjax_mine_3" * 6,
        "individuals" + ",animal0" * 3 + ",animal1" * 3,
        "bodyparts" + ",a" * 6,
        "coords" + ",x,y,likelihood" * 2,
        "0,0.0,1.0,1.0,2.0,3.0,1.0",
        "1,,,1.0,6.0,7.0,1.0",
    ]
    data = pickle.loads((tmp_path / names[-1]).read_bytes())["data"]
    assert data["individuals"] == ["animal0", "animal1"]
    with pytest.raises(InputError, match="tracks of several animals"):
        read(tmp_path / names[0])
    with pytest.raises(InputError, match="tracks of 2 animals do not fit this format"):
        write(source, "lp")


def test_two_animals_in_hdf5_are_read_by_pandas(tmp_path, make_tracks):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    source = tmp_path / "m1pawjax_mine_3.tracks.h5"
    points = np.arange(8.0).reshape(2, 2, 1, 2)
    write_tracks(source, [make_tracks(points[:1]), make_tracks(points[1:])])
    table = pd.read_hdf(next(tmp_path / name for name in write(source, "dlc") if name.endswith(".h5")))
    assert list(table.columns.names) == ["scorer", "individuals", "bodyparts", "coords"]
    np.testing.assert_array_equal(table.loc[:, ("DLC_pawjax_mine_3", "animal1", "a", ["x", "y"])], points[:, 1, 0])


def test_deeplabcut_never_takes_our_own_file_for_its_own(source):
    """It takes any .h5 whose name begins with the video's and its scorer's."""
    write(source, "dlc", "sleap")
    ours = [path.name for path in source.parent.glob("m1DLC_*.h5")]
    assert ours == ["m1DLC_pawjax_mine_3.h5"] * (not FORMATS["dlc"][1].missing)
    assert write(source, "dlc", dlc="DLC_Resnet50_reachshuffle1_snapshot_200")[0].startswith("m1DLC_Resnet50_reach")


def test_analysis_file_has_the_frames_last(tmp_path, make_tracks):
    points = np.random.default_rng(0).uniform(0, 40, (5, 2, 3, 2))
    points[2, 1] = np.nan
    tracks = make_tracks(points, likelihood=np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 2, 3))
    path = tmp_path / "m1s.tracks.h5"
    write_tracks(path, [tracks])
    (written,) = write_formats(path, "m1", "s", ["sleap"])
    with h5py.File(written) as file:
        np.testing.assert_array_equal(file["tracks"][()], tracks.keypoints.transpose(1, 3, 2, 0))
        np.testing.assert_array_equal(file["track_occupancy"][()], [[1, 1]] * 2 + [[1, 0]] + [[1, 1]] * 2)
        np.testing.assert_array_equal(file["point_scores"][0], tracks.likelihood[:, 0].T)
        np.testing.assert_allclose(file["instance_scores"][1], [0.1379, 0.3448, np.nan, 0.7586, 0.9655], atol=1e-4)
        assert file["track_names"][()].tolist() == [b"animal0", b"animal1"]
        assert file["node_names"][()].tolist() == [b"a", b"b", b"c"] and file["edge_inds"].shape == (0, 2)
        assert file["video_path"][()] == b"m1.mp4" and file["tracking_scores"].shape == (2, 5)


def test_coco_numbers_frames_and_leaves_missing_points_out(source):
    (name,) = write(source, "coco")
    content = json.loads((source.parent / name).read_text())
    assert [image["id"] for image in content["images"]] == [0, 1] and content["images"][1]["time"] == 0.04
    assert content["images"][0] | {"width": 64, "height": 48} == content["images"][0]
    one, other = content["annotations"]
    assert one["keypoints"] == [1.5, 2, 2, 3, 4.25, 2] and one["bbox"] == [1.5, 2, 1.5, 2.25] and one["score"] == 0.75
    assert other["keypoints"] == [5, 6, 2, 0, 0, 0] and other["num_keypoints"] == 1 and other["image_id"] == 1
    assert other["keypoint_scores"] == [0.25, 0] and [one["id"], other["id"]] == [1, 2]
    assert content["categories"][0]["keypoints"] == ["a", "b"]


def test_tracks_of_pandas_are_read_without_it():
    tracks = read(GOLDEN)
    assert tracks.bodyparts == ("snout", "tailbase") and len(tracks) == 3
    np.testing.assert_allclose(tracks.keypoints[1, 0], [[6.5, 7.5], [np.nan, np.nan]])
    np.testing.assert_allclose(tracks.likelihood[:, 0], [[0.25, 0.5], [0.25, 0.5], [0.25, 0.5]])
    assert tracks.size == (0, 0) and tracks.frames_per_second == 1 and tracks.times.tolist() == [0, 1, 2]


HEADER = "scorer,s,s,s\nbodyparts,a,a,a\ncoords,x,y,likelihood\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "first three rows do not begin with scorer"),
        ("1,2\n", "first three rows do not begin with scorer"),
        (HEADER + "0,1,2\n", "line 4 has 3 cells, its header 4"),
        (HEADER + "0,1,2,high\n", "could not convert string to float: 'high'"),
        (HEADER + "1,1,2,1\n", "rows are not frames 0, 1, 2"),
        (HEADER.replace("likelihood", "visible") + "0,1,2,1\n", "columns x, y and likelihood once"),
        (HEADER.replace("coords", "individuals,i,i,i\ncoords", 1), "rows do not begin"),
        ("scorer,s,s,s\nindividuals,i,i,i\nbodyparts,a,a,a\ncoords,x,y,likelihood\n0,1,2,1\n", "several animals"),
        ("scorer,s\nbodyparts,a,a\ncoords,x\n", "cannot be read as tracks in CSV"),
    ],
)
def test_bad_csv_is_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"t.csv: .*{message}"):
        read(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "t.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="t.h5: cannot be read as tracks of DeepLabCut"):
        read(path)
    with pytest.raises(InputError, match="labels.csv: .*frames 0, 1, 2"):
        (tmp_path / "labels.csv").write_text(HEADER + "labeled-data/v/img0.png,1,2,1\n")
        read(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="t.txt: there is no such file"):
        read(tmp_path / "t.txt")
    (tmp_path / "t.txt").touch()
    with pytest.raises(InputError, match="t.txt: is no file of tracks"):
        read(tmp_path / "t.txt")
    (tmp_path / "t.csv").write_text(HEADER + "0,1,2,1\n")
    (tmp_path / "t_meta.pickle").write_bytes(pickle.dumps(Path("/")))
    with pytest.raises(InputError, match="t_meta.pickle: cannot be read .*pathlib"):
        read(tmp_path / "t.csv")


def test_formats_are_checked_before_anything_is_predicted(monkeypatch, capsys):
    with pytest.raises(InputError, match="no format 'sleep': did you mean 'sleap'"):
        check_formats(["dlc", "sleep"])
    absent = File(".x", formats.coco.write_coco, ("no_such_module",), "nwb")
    monkeypatch.setitem(FORMATS, "nwb", (absent,))
    with pytest.raises(InputError, match=r"nwb needs no_such_module \(pip install 'pawjax\[nwb\]'\)"):
        check_formats(["nwb"])
    monkeypatch.setitem(FORMATS, "lp", (absent, *FORMATS["lp"]))
    check_formats(["lp"])
    assert "files .x of the format lp are not written: they need no_such_module" in capsys.readouterr().err


def test_nothing_of_another_origin_is_overwritten(source, two):
    (name,) = write(source, "lp")
    path = source.parent / name
    content, stamp = path.read_bytes(), path.stat().st_mtime_ns
    write(source, "lp")
    assert path.stat().st_mtime_ns == stamp  # it was done before
    write(source, "lp", overwrite=True)
    assert path.read_bytes() == content and path.stat().st_mtime_ns > stamp
    path.write_text("changed by hand")
    write(source, "lp")  # done before: left as it is
    with pytest.raises(InputError, match=f"{name} was not made from m1pawjax_mine_3.tracks.h5, or was changed since"):
        write(source, "lp", overwrite=True)
    assert path.read_text() == "changed by hand"
    theirs = source.parent / "m1DLC_Net.csv"
    theirs.write_text("by DeepLabCut")
    with pytest.raises(InputError, match="m1DLC_Net.csv was not made"):
        write(source, "dlc", dlc="DLC_Net", overwrite=True)
    assert theirs.read_text() == "by DeepLabCut"


def test_files_follow_new_tracks_even_after_a_kill(source, two, monkeypatch):
    (name,) = write(source, "lp")
    path = source.parent / name
    write_tracks(source, [two[1:]])
    replace = os.replace

    def killed_before_the_new_file_is_in_place(old, new):
        if not new.name.startswith("."):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr("os.replace", killed_before_the_new_file_is_in_place)
        write(source, "lp")
    assert len(read(path)) == 2
    write(source, "lp")
    assert len(read(path)) == 1


def test_filtered_tracks_lie_beside_the_raw_ones(source, two):
    path = write_filtered(source, "median")
    assert path.name == "m1pawjax_mine_3_filtered.tracks.h5" and len(read_tracks(source)) == 2
    assert read_tracks(path).origin["filter"] == "median of 5 frames"
    names = write(path, "dlc", "sleap")
    assert names[0] == "m1DLC_pawjax_mine_3_filtered.csv" and names[-1] == "m1pawjax_mine_3_filtered.analysis.h5"
    assert not list(source.parent.glob("*filtered_meta.pickle"))  # DeepLabCut would find two
    write_filtered(source, "kalman")
    assert "Kalman" in read_tracks(path).origin["filter"]


def test_two_processes_that_make_files_of_the_same_tracks_lose_no_entry(source):
    paths = [source.with_name(f"{number}.csv") for number in range(2)]

    def make(path):
        for _ in range(40):
            Made(source).write(path, lambda temporary: temporary.write_text(path.name), overwrite=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(make, paths))


def test_the_same_tracks_always_give_the_same_bytes(source):
    pytest.importorskip("tables")
    pytest.importorskip("pandas")
    write(source, "dlc")
    files = {path: path.read_bytes() for path in source.parent.glob("*DLC_*")}
    time.sleep(1.1)  # HDF5's time stamps are whole seconds
    write(source, "dlc", overwrite=True)
    assert len(files) == 3 and all(path.read_bytes() == content for path, content in files.items())
