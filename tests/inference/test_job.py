"""Many videos: each has its line, a bad one does not stop the others, and shards divide them."""

import dataclasses
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax import cli, errors, predict
from pawjax.data.video import find_videos, open_video
from pawjax.errors import InputError
from pawjax.inference import job as module
from pawjax.inference.job import Job, TimeAhead, shard_of, warn_of_other_frames
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Crop, Options
from tests.inference.test_videos import brightest

ROOT = Path(__file__).resolve().parents[2]


def make_video(folder, n_frames=3, size=(30, 40)):
    """A folder of pictures, whose brightest pixel is (7, 5)."""
    folder.mkdir(parents=True)
    pixels = np.zeros(size, np.uint8)
    pixels[5, 7] = 200
    for number in range(n_frames):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def predictor():
    return Predictor(brightest, ("paw",), 1, {"run": "/runs/mine", "checkpoint": "3"})


@pytest.fixture
def videos(tmp_path):
    return [make_video(tmp_path / name, n) for name, n in (("a", 2), ("b", 5), ("c", 3))]


def test_a_bad_video_is_reported_and_the_others_go_on(tmp_path, predictor, videos, capsys):
    (videos[1] / "0.png").write_text("no picture")
    taken = tmp_path / "out" / "cpawjax_mine_3.tracks.h5"
    taken.mkdir(parents=True)
    failed = Job(predictor, Options(2), tmp_path / "out", ()).predict_all(videos)
    out, err = capsys.readouterr()
    assert failed == videos[1:] and out.startswith(f"1/3 {videos[0]}: decode ") and len(out.splitlines()) == 1
    assert "0.png" in err and str(taken) in err
    assert not list(taken.iterdir())


def test_a_full_disk_ends_all(tmp_path, predictor, videos, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(module, "predict_video", full)
    with pytest.raises(OSError, match="No space left"):
        Job(predictor, Options(2), tmp_path / "out", ()).predict_all(videos)


def test_truth_and_filtered_tracks(tmp_path, predictor, videos, capsys):
    truth = tmp_path / "truth.csv"
    truth.write_text("scorer,me,me\nbodyparts,paw,paw\ncoords,x,y\n0,7,5\n1,10,9\n2,,\n3,,\n4,,\n")
    job = Job(predictor, Options(2), tmp_path / "out", ("dlc",), "median", truth=truth)
    assert job.predict_all(videos[1:2]) == []
    assert f"against {truth}: 2 points, mean error 2.50 px, median 2.50 px" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"bpawjax_mine_3_filtered.tracks.h5", "bDLC_pawjax_mine_3_filtered.csv"} <= names


def test_formats_of_raw_and_filtered_tracks(tmp_path, predictor, videos):
    Job(predictor, Options(2), tmp_path / "out", ("dlc", "coco"), "savgol", "DLC_Net").predict_all(videos[:1])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    wanted = ["DLC_Net.csv", "DLC_Net_filtered.csv", "pawjax_mine_3.coco.json", "pawjax_mine_3_filtered.coco.json"]
    assert {f"a{name}" for name in wanted} <= names


@pytest.mark.parametrize("n_shards", [1, 2, 3, 5])
def test_shards_divide_the_videos_evenly(tmp_path, n_shards):
    paths = [tmp_path / f"{number:02d}.mp4" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(b"." * (1000 if number < 2 else 100))
    shards = [shard_of(paths, number, n_shards) for number in range(1, n_shards + 1)]
    assert sorted(sum(shards, [])) == paths
    assert shards == [shard_of(paths[::-1], number, n_shards) for number in range(1, n_shards + 1)]
    loads = [sum(path.stat().st_size for path in shard) for shard in shards]
    assert max(loads) <= max(1000, 3000 / n_shards + 100)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "-1/4", "1/0", "/"])
def test_a_wrong_shard_is_named(text, tmp_path):
    make_video(tmp_path / "a")
    words = ["--workdir=x", f"--shard={text}", str(tmp_path / "a")]
    with pytest.raises(InputError, match=f"^--shard={text} must be"):
        predict.main(*cli.parse(predict.ENTRY_POINT, words))


def test_one_of_run_and_snapshot_is_needed(tmp_path):
    make_video(tmp_path / "a")
    for words in ([], ["--workdir=x", "--snapshot=y"]):
        with pytest.raises(InputError, match="either --workdir=RUN or --snapshot=FILE"):
            predict.main(*cli.parse(predict.ENTRY_POINT, [*words, str(tmp_path / "a")]))


def test_a_snapshot_predicts_as_in_deeplabcut(tmp_path):
    make_video(tmp_path / "a")
    with pytest.raises(InputError, match="--flip is for runs"):
        predict.main(*cli.parse(predict.ENTRY_POINT, ["--snapshot=y.pt", "--flip", str(tmp_path / "a")]))


def test_the_time_of_all_videos_follows_their_bytes(videos, monkeypatch):
    now = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    ahead = TimeAhead(videos)  # 2, 5 and 3 equal pictures
    assert ahead.words(0) == "" and ahead.words(0.5) == "all 3 videos: ETA 4:30"
    ahead.done(videos[0])
    assert ahead.words(0.2) == "all 3 videos: ETA 2:20"


@pytest.mark.parametrize("size, words", [((480, 640), ""), ((380, 520), ""), ((960, 1280), "--scales=0.5")])
def test_frames_of_another_size_are_warned_of(tmp_path, predictor, size, words, capsys):
    video = open_video(make_video(tmp_path / "v", 1, size))
    warn_of_other_frames(video, dataclasses.replace(predictor, frame_sizes=((100, 100), (480, 640))))
    assert (words in capsys.readouterr().err) if words else not capsys.readouterr().err


def test_labelled_videos_are_not_videos_of_a_folder(tmp_path):
    for name in ("m.mp4", "mDLC_pawjax_mine_3_p60_labeled.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert find_videos([str(tmp_path)]) == find_videos([f"{tmp_path}/*.mp4"]) == [tmp_path / "m.mp4"]
    assert len(find_videos([str(path) for path in tmp_path.iterdir()])) == 2


def test_names_of_any_bytes_are_printed_and_predicted(tmp_path):
    code = f"""
import os, sys
from pathlib import Path
from pawjax import cli
from tests.inference.test_job import Job, Options, Predictor, brightest, make_video
def main(values, words):
    folder = make_video(Path(os.fsdecode(b"{tmp_path}/caf\\xe9")))
    predictor = Predictor(brightest, ("paw",), 1, {{"run": "/runs/mine", "checkpoint": "3"}})
    assert Job(predictor, Options(2), folder.parent / "out", ("dlc", "sleap", "coco")).predict_all([folder]) == []
sys.argv = ["x"]
cli.run(cli.EntryPoint("x", "", (), main, lambda values: None, ()))
"""
    names = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PAWJAX_NO_REEXEC": "1"}
    for environment in ({"PAWJAX_NO_REEXEC": "1"}, names):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        options = {"env": os.environ | environment, "cwd": ROOT, "capture_output": True, "text": True}
        done = subprocess.run([sys.executable, "-c", code], **options)
        assert done.returncode == 0 and "\\udce9" in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["a/b", "/x"])
def test_scorers_that_are_no_part_of_a_name_are_refused(name, tmp_path):
    make_video(tmp_path / "a")
    with pytest.raises(InputError, match=f"^--dlc_scorer={name} is part of the names"):
        predict.main(*cli.parse(predict.ENTRY_POINT, ["--workdir=x", f"--dlc_scorer={name}", str(tmp_path / "a")]))


def test_more_shards_than_videos(videos):
    shards = [shard_of(videos, number, 99_999_999_999) for number in (1, 2, 3, 4, 99_999_999_999)]
    assert sorted(sum(shards[:3], [])) == videos and shards[3:] == [[], []]


def test_a_closed_stdout_is_no_fault_of_a_video(tmp_path, predictor, videos, monkeypatch, capsys):
    class Closed(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        Job(predictor, Options(2), tmp_path / "out", ()).predict_all(videos)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["[]", '{"aDLC_pawjax_mine_3.csv": 3}', '{"a": {"from": 1}}'])
def test_a_damaged_record_is_named(tmp_path, predictor, videos, content, capsys):
    job = Job(predictor, Options(2), tmp_path / "out", ("dlc",))
    assert job.predict_all(videos[:1]) == []
    (tmp_path / "out/.apawjax_mine_3.tracks.h5.made.json").write_text(content)
    assert job.predict_all(videos[:1]) == videos[:1]
    assert "made.json is damaged" in capsys.readouterr().err


def test_long_names_are_predicted(tmp_path, predictor):
    assert Job(predictor, Options(2), tmp_path, ("dlc",)).predict_all([make_video(tmp_path / ("v" * 200))]) == []


@pytest.mark.parametrize("numbers", [(0,), (-1,), ("8",), (True,), (10**23,), (8, None, -5), (8, None, float("nan"))])
def test_wrong_options_are_named(numbers):
    with pytest.raises(InputError, match=r"(batch_size|track_window): .* must be a whole number from"):
        Options(*numbers)
    with pytest.raises(InputError, match="crop, its y: 'a' must be"):
        Options(8, Crop(0, "a", 3, 4))


def test_a_batch_beyond_the_memory_is_named(tmp_path, predictor, videos, monkeypatch, capsys):
    def stack(_):
        raise MemoryError

    monkeypatch.setattr("pawjax.inference.videos.np.stack", stack)
    assert Job(predictor, Options(2), tmp_path / "out", ()).predict_all(videos[:1]) == videos[:1]
    assert "--batch=2 frames do not fit into memory" in capsys.readouterr().err


def test_overwrite_replaces_only_tracks_of_the_same_video(tmp_path, predictor, videos, capsys):
    def run(number, **how):
        return Job(predictor, Options(2), tmp_path / "out", ("lp",), overwrite=True, **how).predict_all([path[number]])

    path = videos[0], make_video(tmp_path / "other" / "a", 4)
    assert run(0) == [] and run(0, dlc_scorer="x") == []
    (tracks,) = (tmp_path / "out").glob("*.tracks.h5")
    before = tracks.read_bytes()
    assert run(1) == [path[1]] and tracks.read_bytes() == before
    assert "holds other tracks (video_sha256 differ)" in capsys.readouterr().err
    tracks.write_text("mine")
    assert run(0) == [path[0]] and tracks.read_text() == "mine"


def test_an_early_end_is_said_again(tmp_path, predictor, videos, capsys, monkeypatch):
    (videos[1] / "2.png").write_text("no picture")
    job = Job(predictor, Options(2), tmp_path / "out", ())
    for _ in range(2):
        monkeypatch.setattr(errors, "_said", set())  # a process says it once
        assert job.predict_all(videos[1:2]) == []
        assert f"{videos[1]} broke off early (" in capsys.readouterr().err
    assert "broke off" not in (job.predict_all(videos[2:]), capsys.readouterr().err)[1]


def test_folders_have_names_of_their_own_and_own_outputs_do_not_change_them(tmp_path, predictor, monkeypatch):
    folders = [make_video(tmp_path / name, 2) for name in ("mouse.day1", "mouse.day2")]
    assert Job(predictor, Options(2), None, ("lp",)).predict_all(folders) == []
    assert len(list(tmp_path.glob("mouse.day?pawjax_mine_3.tracks.h5"))) == 2
    for out in (folders[0], folders[0], None):
        monkeypatch.chdir(folders[0])
        assert Job(predictor, Options(2), out, ("lp",)).predict_all(find_videos(["."])) == []
    assert (folders[0] / "mouse.day1pawjax_mine_3.lightning_pose.csv").exists()
