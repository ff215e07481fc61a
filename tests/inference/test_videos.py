"""Videos become tracks: in order, in bounded pieces, resumed after a kill with the same bytes."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pawjax.data.video import open_video
from pawjax.errors import InputError
from pawjax.inference import videos
from pawjax.inference.parts import Parts, is_done
from pawjax.inference.pipeline import Stages, ahead
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Crop, Options, origin_of_tracks, predict_video
from pawjax.tracks.file import read_tracks

N, SIZE = 23, (30, 40)


def brightest(images: np.ndarray) -> dict[str, np.ndarray]:
    """The place of the brightest pixel of each image, as one bodypart."""
    flat = images[..., 0].reshape(len(images), -1).argmax(1)
    place = np.stack([flat % images.shape[2], flat // images.shape[2]], -1).astype(np.float32)
    return {"keypoints": place[:, None], "likelihood": images.max((1, 2, 3)).astype(np.float32)[:, None] / 255}


@pytest.fixture(scope="module")
def places():
    return np.random.default_rng(0).integers((5, 5), (SIZE[1], SIZE[0]), (N, 2))


@pytest.fixture(scope="module")
def video(tmp_path_factory, places):
    """A folder of pictures with one bright pixel each."""
    folder = tmp_path_factory.mktemp("video")
    for number, (x, y) in enumerate(places):
        pixels = np.zeros(SIZE, np.uint8)
        pixels[y, x] = 100 + number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return open_video(folder)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(videos, "PART", 8)


def predictor(predict=brightest, **origin):
    return Predictor(predict, ("paw",), 1, {"run": "r", "checkpoint": "3"} | origin)


class Stopping:
    """Predicts until it has been called `calls` times; counts its calls."""

    def __init__(self, calls: int):
        self.left, self.frames = calls, 0

    def __call__(self, images):
        if not self.left:
            raise KeyboardInterrupt
        self.left, self.frames = self.left - 1, self.frames + len(images)
        return brightest(images)


def test_tracks_follow_the_frames(tmp_path, video, places):
    stages = Stages()
    assert predict_video(predictor(), video, tmp_path / "t.h5", Options(4), stages) == ""
    tracks = read_tracks(tmp_path / "t.h5")
    np.testing.assert_array_equal(tracks.keypoints[:, 0, 0], places)
    np.testing.assert_allclose(tracks.likelihood[:, 0, 0], (100 + np.arange(N)) / 255)
    np.testing.assert_allclose(tracks.times, np.arange(N) / 25)
    assert tracks.size == SIZE and tracks.bodyparts == ("paw",) and np.isnan(tracks.covariance).all()
    assert np.isnan(tracks.disagreement).all()
    assert stages.frames == {"decode": N, "network": N, "write": N} and stages.bottleneck in str(stages)
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


@pytest.mark.parametrize("calls", range(1, 6))
def test_stopped_prediction_goes_on_and_ends_with_the_same_bytes(tmp_path, video, calls):
    predict_video(predictor(), video, tmp_path / "whole.h5", Options(4))
    stopping = Stopping(calls)
    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor(stopping), video, tmp_path / "t.h5", Options(4))
    assert not (tmp_path / "t.h5").exists()
    done = Parts(tmp_path / "t.h5", {}).n_frames()
    rest = Stopping(99)
    predict_video(predictor(rest), video, tmp_path / "t.h5", Options(4))
    assert rest.frames == -(-(N - done) // 4) * 4 and (done >= 8 or calls < 5)
    assert (tmp_path / "t.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_damaged_parts_are_predicted_again(tmp_path, video):
    predict_video(predictor(), video, tmp_path / "whole.h5", Options(4))
    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor(Stopping(5)), video, tmp_path / "t.h5", Options(4))
    parts = sorted((tmp_path / ".t.h5.parts").glob("*.h5"))
    assert parts
    parts[-1].write_bytes(parts[-1].read_bytes()[:5000])
    rest = Stopping(99)
    predict_video(predictor(rest), video, tmp_path / "t.h5", Options(4))
    assert rest.frames == 4 * -(-(N - 8 * (len(parts) - 1)) // 4)
    assert (tmp_path / "t.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_other_weights_start_again(tmp_path, video):
    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor(Stopping(5)), video, tmp_path / "t.h5", Options(4))
    rest = Stopping(99)
    predict_video(predictor(rest, checkpoint="4"), video, tmp_path / "t.h5", Options(4))
    assert rest.frames == 24


def test_crop_is_predicted_in_pixels_of_the_frame(tmp_path, video, places):
    seen = []

    def noted(images):
        seen.append(images.shape)
        return brightest(images)

    predict_video(predictor(noted), video, tmp_path / "t.h5", Options(4, Crop(5, 5, 35, 25)))
    np.testing.assert_array_equal(read_tracks(tmp_path / "t.h5").keypoints[:, 0, 0], places)
    assert set(seen) == {(4, 25, 35, 1)}
    with pytest.raises(InputError, match="--crop=5,5,36,25 reaches beyond the 40x30"):
        predict_video(predictor(), video, tmp_path / "t.h5", Options(4, Crop(5, 5, 36, 25)))


def test_two_predictions_into_one_file_are_refused(tmp_path, video):
    with Parts(tmp_path / "t.h5", {}).locked(), pytest.raises(InputError, match="another process predicts into .*t.h5"):
        predict_video(predictor(), video, tmp_path / "t.h5", Options(4))


def test_broken_video_keeps_the_frames_before(tmp_path, video):
    for path in video.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "9.png").write_text("no picture")
    broken = dataclasses.replace(video, path=tmp_path)
    assert "9.png" in predict_video(predictor(), broken, tmp_path / "out/t.h5", Options(4))
    tracks = read_tracks(tmp_path / "out/t.h5")
    assert len(tracks) == 9 and "9.png" in tracks.origin["broken"]
    (tmp_path / "0.png").write_text("no picture")
    with pytest.raises(InputError, match="no frame of it can be decoded .*0.png"):
        predict_video(predictor(), broken, tmp_path / "out/none.h5", Options(4))


def test_reading_ahead_raises_where_the_items_do_and_ends_with_its_reader():
    made = []

    def items():
        for number in range(1000):
            made.append(number)
            if number == 50:
                raise InputError("bad")
            yield number

    with pytest.raises(InputError, match="bad"):
        list(ahead(items(), 3))
    made.clear()
    reader = ahead(items(), 3)
    assert [next(reader), next(reader)] == [0, 1]
    reader.close()
    assert len(made) <= 7


def test_damaged_tracks_are_named(tmp_path, video):
    path = Path(tmp_path / "t.h5")
    predict_video(predictor(), video, path, Options(4))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match="t.h5: the tracks are damaged"):
        read_tracks(path)


def done(video, path, by=None, options=None, overwrite=False):
    return is_done(origin_of_tracks(by or predictor(), video.path, options or Options(4)), path, overwrite)


def test_tracks_of_others_are_never_overwritten(tmp_path, video):
    path = tmp_path / "t.h5"
    assert not done(video, path)
    predict_video(predictor(), video, path, Options(4))
    assert done(video, path) and done(video, path, options=Options(8))
    with pytest.raises(InputError, match=r"t.h5 holds other tracks \(checkpoint differ"):
        done(video, path, predictor(checkpoint="4"))
    assert done(video, path, predictor(checkpoint="4"), overwrite=True)
    path.write_text("notes of a user")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="t.h5"):
            done(video, path, overwrite=overwrite)


@pytest.mark.parametrize("name, options", [
    ("crop", Options(4, Crop(5, 5, 35, 25))), ("crop", Options(4, Crop(0, 0, 300, 300))),
    ("track_window", Options(4, track_window=16)),
])  # fmt: skip
def test_tracks_of_whole_frames_are_not_those_of_a_part(tmp_path, video, name, options):
    path = tmp_path / "t.h5"
    predict_video(predictor(), video, path, Options(4))
    with pytest.raises(InputError, match=rf"t.h5 holds other tracks \({name} differ"):
        done(video, path, options=options)
    assert done(video, path, options=options, overwrite=True)


@pytest.mark.parametrize("name", ["structure", "member2 structure", "animals"])
def test_tracks_with_a_setting_are_not_those_without(tmp_path, video, name):
    path = tmp_path / "t.h5"
    predict_video(predictor(**{name: "tree"}), video, path, Options(4))
    with pytest.raises(InputError, match=rf"t.h5 holds other tracks \({name} differ"):
        done(video, path)
    assert done(video, path, predictor(**{name: "tree"}))


def test_a_moved_run_is_the_same(tmp_path, video):
    path = tmp_path / "t.h5"
    one, moved = (predictor(run=run, checkpoint_sha256="a1") for run in ("/old/r", "/new/r"))
    with pytest.raises(KeyboardInterrupt):
        predict_video(dataclasses.replace(one, predict=Stopping(5)), video, path, Options(4))
    rest = Stopping(99)
    predict_video(dataclasses.replace(moved, predict=rest), video, path, Options(4))
    assert rest.frames < N and done(video, path, one) and done(video, path, moved)
    with pytest.raises(InputError, match=r"\(checkpoint_sha256 differ"):
        done(video, path, predictor(run="/old/r", checkpoint_sha256="b2"))


def test_a_video_that_changes_meanwhile_is_not_done(tmp_path, video):
    folder = tmp_path / "v"
    shutil.copytree(video.path, folder)
    growing = dataclasses.replace(video, path=folder)

    def predict(images):
        shutil.copy(folder / "0.png", folder / "99.png")
        return brightest(images)

    with pytest.raises(InputError, match="v changed while it was predicted: predict it again"):
        predict_video(predictor(predict), growing, tmp_path / "t.h5", Options(4))
    assert not (tmp_path / "t.h5").exists()
    predict_video(predictor(), growing, tmp_path / "t.h5", Options(4))
    assert len(read_tracks(tmp_path / "t.h5")) == N + 1


def test_disagreement_goes_to_the_file_and_older_files_lack_it(tmp_path, video):
    path = tmp_path / "t.h5"

    def two(images):
        points = brightest(images)
        return points | {"disagreement": 2 * points["likelihood"]}

    predict_video(predictor(two), video, path, Options(4))
    tracks = read_tracks(path)
    np.testing.assert_array_equal(tracks.disagreement, 2 * tracks.likelihood)
    with h5py.File(path, "a") as file:
        del file["disagreement"]
    older = read_tracks(path)
    assert np.isnan(older.disagreement).all() and older.disagreement.shape == older.likelihood.shape
    np.testing.assert_array_equal(older[3:5].keypoints, tracks.keypoints[3:5])
    with h5py.File(path, "a") as file:
        del file["second"]
    with pytest.raises(InputError, match="t.h5: the tracks are damaged"):
        read_tracks(path)
