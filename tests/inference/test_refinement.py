"""Frames worth labelling become a DeepLabCut project, which keeps what it has; labelled, they are training data."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax import cli, refine
from pawjax.data.deeplabcut import read_deeplabcut, read_project_config
from pawjax.data.project import open_project
from pawjax.data.video import open_video
from pawjax.errors import InputError
from pawjax.inference import refinement
from pawjax.inference.predictor import Predictor
from pawjax.inference.refinement import Request, refine_video
from pawjax.inference.videos import Options, predict_video
from pawjax.report.gallery import points_grid
from pawjax.tracks.formats import FORMATS

N, SIZE = 120, (30, 40)
BODYPARTS = ("tail", "snout")
PANDAS = all(importlib.util.find_spec(name) for name in ("pandas", "tables"))
needs_pandas = pytest.mark.skipif(
    not PANDAS, reason="pandas and tables not installed: pip install 'pawjax[deeplabcut]'"
)


def brightest(images):
    """Both bodyparts at the brightest pixel, with its brightness as likelihood."""
    flat = images[..., 0].reshape(len(images), -1).argmax(1)
    place = np.stack([flat % images.shape[2], flat // images.shape[2]], -1).astype(np.float32)
    light = images.max((1, 2, 3)).astype(np.float32) / 255
    return {"keypoints": np.stack([place, place + 1], 1), "likelihood": np.stack([light, light], 1)}


def never(images):
    raise AssertionError("there were tracks")


def predictor(predict=brightest, **origin):
    return Predictor(predict, BODYPARTS, 1, {"run": "/runs/mine", "checkpoint": "3"} | origin)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """The pictures of a video: a pixel that moves slowly, dim in frames 20 to 99."""
    folder = tmp_path_factory.mktemp("videos") / "m2"
    folder.mkdir()
    for number in range(N):
        pixels = np.zeros(SIZE, np.uint8)
        pixels[5 + number // 8, 4 + number // 4] = 60 + number if 20 <= number < 100 else 240
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def labels(monkeypatch):
    """The calls that write machine labels; without pandas they write nothing but two names."""
    calls = []

    def noted(path, *arguments):
        calls.append(arguments)
        if PANDAS:
            write(path, *arguments)
        else:
            path.touch()
            path.with_suffix(".csv").touch()

    write = refinement.write_machine_labels
    monkeypatch.setattr(refinement, "write_machine_labels", noted)
    return calls


@pytest.fixture(autouse=True)
def sheets(monkeypatch):
    """The arguments of the contact sheets, which take most of the time and are drawn in one test alone."""
    drawn = []

    def noted(*arguments):
        drawn.append(arguments)
        arguments[3].touch()

    monkeypatch.setattr(refinement, "points_grid", noted)
    return drawn


def refined(video, out, n=4, by=None, **request):
    by = by or predictor()
    project = open_project(out, by.bodyparts, None, "Ann" if not out.exists() else "")
    project.create()
    return refine_video(by, video, project, Request(n, 0.6, **request), Options(8))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def frames_in(folder: Path) -> list[int]:
    return sorted(int(path.stem[3:]) for path in folder.glob("img*.png"))


def test_doubtful_frames_are_written_with_their_points(tmp_path, video, labels, sheets):
    line = refined(video, tmp_path / "out")
    folder = tmp_path / "out/labeled-data/m2"
    frames = frames_in(folder)
    assert line.endswith(f"4 frames -> {folder}, shown in {tmp_path / 'out/refine_m2.png'}")
    assert len(frames) == 4 and np.diff(frames).min() >= 7 and all(20 <= frame < 100 for frame in frames)
    for frame in frames:
        name = f"img{frame:03d}.png"
        np.testing.assert_array_equal(Image.open(folder / name), Image.open(video / f"{frame}.png"))
    ((tracks, pictures, name, scorer),) = labels
    assert (list(pictures), name, scorer) == ([f"img{n:03d}.png" for n in frames], "m2", "DLC_pawjax_mine_3")
    np.testing.assert_array_equal(tracks.keypoints[:, 0, 0], [[4 + n // 4, 5 + n // 8] for n in frames])
    ((images, points, shown, _, titles, _, bodyparts),) = sheets
    assert [title.split(":")[0] for title in titles] == list(map(str, frames)) and "likelihood 0." in titles[0]
    assert len(images) == 4 and shown.all() and bodyparts == BODYPARTS
    np.testing.assert_array_equal(points, tracks.keypoints)
    points_grid(images, points, shown, tmp_path / "sheet.png", titles, 5, bodyparts)
    assert Image.open(tmp_path / "sheet.png").width > 1000
    others = sorted(path.name for path in folder.iterdir() if path.suffix != ".png")
    assert others == ["machinelabels-iter0.csv", "machinelabels-iter0.h5"]
    config = read_project_config(tmp_path / "out")
    assert config.videos == {"m2"} and (config.scorer, config.bodyparts) == ("Ann", BODYPARTS)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.yaml",
        "labeled-data",
        "refine_m2.png",
        "tracks",
    }


def test_the_choice_follows_from_video_network_and_seed(tmp_path, video, labels):
    names = [set(content((refined(video, tmp_path / out), tmp_path / out)[1] / "labeled-data")) for out in "ab"]
    assert names[0] == names[1]


def test_a_second_call_adds_others_and_changes_nothing(tmp_path, video, labels):
    out = tmp_path / "out"
    refined(video, out)
    before, first = content(out), set(frames_in(out / "labeled-data/m2"))
    refined(video, out, by=predictor(never))
    after = content(out)
    assert {name: after[name] for name in before} == before
    second = set(frames_in(out / "labeled-data/m2")) - first
    assert len(second) == 4 and min(abs(a - b) for a in first for b in second) >= 7
    assert {"labeled-data/m2/machinelabels-iter1.h5", "refine_m2_1.png"} <= after.keys() - before.keys()


def test_a_users_project_gets_frames_and_a_line_and_no_other_change(tmp_path, video, labels):
    text = "# ours\nscorer: Ann\nvideo_sets:\n  /videos/m1.mp4:\n    crop: 0, 1, 0, 1\nbodyparts: [snout, paw, tail]\n"
    root = tmp_path / "ours"
    for name in [
        "config.yaml",
        *(f"labeled-data/{v}/img{n:04d}.png" for v, last in (("m1", 2), ("m2", 60)) for n in range(last)),
    ]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    before = content(root)
    refined(video, root)
    after = content(root)
    changed = {name for name in before if after[name] != before[name]}
    entry = f'  "{video}":\n    crop: 0, 40, 0, 30\n'
    assert changed == {"config.yaml"} and after["config.yaml"].decode().replace(entry, "") == text
    assert all(frame >= 66 or frame < 60 for frame in frames_in(root / "labeled-data/m2"))
    ((tracks, *_),) = labels
    assert tracks.bodyparts == ("snout", "paw", "tail") and np.isnan(tracks.keypoints[:, 0, 1]).all()
    np.testing.assert_array_equal(tracks.keypoints[:, 0, 0], tracks.keypoints[:, 0, 2] + 1)
    assert read_project_config(root).videos == {"m1", "m2"}


def test_tracks_by_the_same_network_are_used(tmp_path, video, labels):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "m2").symlink_to(video)
    path = videos / "m2"
    beside = videos / "m2pawjax_mine_3.tracks.h5"
    predict_video(predictor(), open_video(path), beside, Options(8))
    refined(path, tmp_path / "one", by=predictor(never))
    refined(video, tmp_path / "two", by=predictor(never), tracks=videos)
    before = beside.read_bytes()
    refined(path, tmp_path / "three", by=predictor(flip="True"))
    assert beside.read_bytes() == before and len(list((tmp_path / "three/tracks").iterdir())) == 1
    with pytest.raises(InputError, match=r"m2pawjax_mine_3.tracks.h5 holds other tracks \(flip differ\)"):
        refined(path, tmp_path / "four", by=predictor(flip="True"), tracks=videos)


def test_fewer_frames_than_asked_are_said(tmp_path, video, labels, capsys):
    refined(video, tmp_path / "out", n=50)
    n = len(frames_in(tmp_path / "out/labeled-data/m2"))
    assert n <= N // 7 + 1 and f"only {n} frames are far enough apart" in capsys.readouterr().err
    refined(video, tmp_path / "out", n=50)
    assert "every frame is labelled" in refined(video, tmp_path / "out", n=50)


def test_a_killed_call_leaves_no_frames(tmp_path, video, labels, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(refinement, "write_machine_labels", killed)
        refined(video, tmp_path / "out")
    assert frames_in(tmp_path / "out/labeled-data/m2") == []
    refined(video, tmp_path / "out", by=predictor(never))
    assert len(frames_in(tmp_path / "out/labeled-data/m2")) == 4
    assert [path.name for path in (tmp_path / "out/labeled-data").iterdir()] == ["m2"]


@needs_pandas
def test_pandas_reads_the_machine_labels_and_training_the_saved_ones(tmp_path, video, labels):
    import pandas as pd

    out = tmp_path / "out"
    refined(video, out)
    folder = out / "labeled-data/m2"
    with pytest.raises(InputError, match="no folder under labeled-data/ holds CollectedData_Ann"):
        read_deeplabcut(out)
    found = pd.read_hdf(folder / "machinelabels-iter0.h5")
    assert list(found.columns.names) == ["scorer", "bodyparts", "coords"]
    assert found.columns.to_list()[:3] == [("DLC_pawjax_mine_3", "tail", coord) for coord in ("x", "y", "likelihood")]
    assert found.index.to_list()[0] == ("labeled-data", "m2", f"img{frames_in(folder)[0]:03d}.png")
    np.testing.assert_array_equal(found["DLC_pawjax_mine_3"]["tail"]["x"], labels[0][0].keypoints[:, 0, 0, 0])
    text = pd.read_csv(folder / "machinelabels-iter0.csv", header=[0, 1, 2], index_col=[0, 1, 2])
    np.testing.assert_allclose(text.to_numpy(), found.to_numpy(), rtol=1e-6)
    saved = found.drop("likelihood", axis=1, level="coords")  # as the labelling tool saves
    saved.columns = saved.columns.set_levels(["Ann"], level="scorer")
    saved.to_hdf(folder / "CollectedData_Ann.h5", key="keypoints", mode="w")
    saved.to_csv(folder / "CollectedData_Ann.csv")
    table = read_deeplabcut(out)
    assert len(table.files) == 4 and table.bodyparts == BODYPARTS
    np.testing.assert_array_equal(table.keypoints[:, 0], labels[0][0].keypoints[:, 0])


def call(*words):
    return cli.call(refine.ENTRY_POINT, [str(word) for word in words])


def test_bad_input_is_one_sentence_before_anything_is_predicted(tmp_path, video, monkeypatch, capsys):
    (file,) = (file for file in FORMATS["dlc"] if file.ending == ".h5")
    absent = dataclasses.replace(file, modules=("no_such_module",))
    with monkeypatch.context() as patch:
        patch.setitem(FORMATS, "dlc", (absent,))
        assert call("--workdir=/nowhere", f"--out={tmp_path / 'out'}", video) == 2
    assert "which need no_such_module (pip install 'pawjax[deeplabcut]')" in capsys.readouterr().err
    monkeypatch.setitem(FORMATS, "dlc", (dataclasses.replace(file, modules=()),))
    (tmp_path / "again").mkdir()
    (tmp_path / "again/m2.mp4").touch()
    for words, message in [
        (["--workdir=/nowhere"], "no video to choose frames of"),
        (["--workdir=/nowhere", "m9.mp4"], "m9.mp4: names no video"),
        (["--workdir=/nowhere", video, tmp_path / "again/m2.mp4"], "have the same name, so their frames would share"),
        (["--workdir=/nowhere", video], "/nowhere"),
        (["--workdir=,", video], "--workdir names no run"),
        (["--workdir=/nowhere", "--frames=0", video], "--frames=0"),
    ]:
        assert call(f"--out={tmp_path / 'out'}", *words) == 2
        sentence = capsys.readouterr().err
        assert message in sentence and sentence.count("\n") == 1
    assert not (tmp_path / "out").exists()
