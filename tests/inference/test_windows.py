"""A window follows the animal: the same points as from whole frames, for fewer pixels."""

import numpy as np
import pytest
from PIL import Image

from pawjax.data.video import open_video
from pawjax.inference import videos
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Options, predict_video
from pawjax.inference.windows import CELL, Pose, grid_of, is_lost, place_window, window_side
from pawjax.tracks.file import read_tracks
from tests.inference.test_videos import Stopping, brightest

SIZE = (96, 160)
SIDE = 64
FOUND = Pose(np.array([[80.0, 60]]), np.ones(1))


@pytest.fixture(scope="module")
def path_of_animal():
    """Two points that walk, jump across the frame at frame 20, and are hidden in frames 30 to 33."""
    rng = np.random.default_rng(1)
    steps = rng.normal(0, 2, (48, 2)).cumsum(0)
    places = np.clip(np.round([30, 40] + steps), 4, [SIZE[1] - 5, SIZE[0] - 5])
    places[20:] = np.clip(np.round([130, 60] + steps[20:]), 4, [SIZE[1] - 5, SIZE[0] - 5])
    return places


@pytest.fixture(scope="module")
def video(tmp_path_factory, path_of_animal):
    folder = tmp_path_factory.mktemp("walk")
    for number, (x, y) in enumerate(path_of_animal.astype(int)):
        pixels = np.zeros(SIZE, np.uint8)
        if not 30 <= number < 34:
            pixels[y, x] = 200
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return open_video(folder)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(videos, "PART", 8)


def predictor(predict=brightest):
    return Predictor(predict, ("paw",), 1, {"run": "r", "checkpoint": "3"})


def test_windows_find_what_whole_frames_do(tmp_path, video):
    areas = []

    def noted(images):
        areas.append(images.shape[1] * images.shape[2])
        return brightest(images)

    predict_video(predictor(), video, tmp_path / "whole.h5", Options(4))
    predict_video(predictor(noted), video, tmp_path / "window.h5", Options(4, track_window=SIDE))
    whole, window = read_tracks(tmp_path / "whole.h5"), read_tracks(tmp_path / "window.h5")
    seen = whole.likelihood[:, 0, 0] > 0.5
    np.testing.assert_array_equal(window.keypoints[seen], whole.keypoints[seen])
    np.testing.assert_array_equal(window.likelihood, whole.likelihood)
    assert areas.count(SIDE * SIDE) >= 10 and 6 <= areas.count(SIZE[0] * SIZE[1]) <= 14


def test_resumed_windows_end_with_the_same_bytes(tmp_path, video):
    options = Options(4, track_window=SIDE)
    predict_video(predictor(), video, tmp_path / "whole.h5", options)
    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor(Stopping(6)), video, tmp_path / "t.h5", options)
    predict_video(predictor(), video, tmp_path / "t.h5", options)
    assert (tmp_path / "t.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_window_stays_within_the_frame_and_holds_the_pose():
    rng = np.random.default_rng(0)
    for _ in range(200):
        points = rng.uniform(0, (SIZE[1] - 1, SIZE[0] - 1), (3, 2))
        placed = Pose(points[:1], np.ones(1))
        corner = place_window(placed, SIDE, SIZE, CELL)
        assert 0 <= corner[0] <= SIZE[1] - SIDE and 0 <= corner[1] <= SIZE[0] - SIDE
        assert not is_lost(placed, placed, corner, SIDE, SIZE)
        assert not is_lost(Pose(points[:1], np.full(1, 0.3)), placed, corner, SIDE, SIZE), "it may flicker"
        assert is_lost(Pose(points[:1], np.full(1, 0.2)), placed, corner, SIDE, SIZE)
    assert place_window(Pose(points, np.zeros(3)), SIDE, SIZE, CELL) is None
    assert place_window(Pose(points, np.ones(3)), 500, SIZE, CELL) == (0, 0)


@pytest.mark.parametrize("scale, grid", [(1.0, 16), (0.8, 20), (0.5, 32), (0.75, 64), (2.0, 8), (0.77, 16)])
def test_windows_have_the_cells_of_the_whole_frame(scale, grid):
    assert grid_of(scale) == grid and window_side(256, grid) % grid == 0 <= window_side(256, grid) - 256 < grid


def test_point_near_the_border_of_a_window_is_looked_at_again():
    assert is_lost(Pose(np.array([[50.0, 60]]), np.ones(1)), FOUND, (48, 32), SIDE, SIZE)
    assert is_lost(Pose(np.array([[110.0, 60]]), np.ones(1)), FOUND, (48, 32), SIDE, SIZE)
    assert not is_lost(Pose(np.array([[80.0, 94]]), np.ones(1)), FOUND, (48, 32), SIDE, SIZE)
