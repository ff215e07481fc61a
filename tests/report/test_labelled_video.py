"""Labelled videos: decoded again, they show each point in its colour at its place and time."""

import numpy as np
import pytest
from PIL import Image

from pawjax.data.video import FrameReader, open_video
from pawjax.errors import InputError
from pawjax.report import mp4
from pawjax.report.labelled_video import Drawing, write_labelled_video
from pawjax.report.style import bodypart_colors
from tests.report.tracked_video import GRAY, irregular_times, number_in, still, write_numbered

N = 12
COLORS = 255 * np.array(bodypart_colors(2))
SCALE = 8  # 66 pixels are magnified to at least 480


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return open_video(write_numbered(tmp_path_factory.mktemp("video") / "v.mp4", N))


def drawn(path, video, tracks, drawing):
    write_labelled_video(path, video, tracks, drawing)
    frames = list(FrameReader(open_video(path), 3))
    return np.stack([frame.pixels for frame in frames]), np.array([frame.time for frame in frames])


def at(x, y):
    """Index of the pixel at (x, y) of the original frame, at the point's centre."""
    return round((y + 0.5) * SCALE - 0.5), round((x + 0.5) * SCALE - 0.5)


def test_points_lie_at_their_places_and_frames_keep_their_times(tmp_path, video, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    tracks = still(N)
    tracks.keypoints[:, 0, 0, 0] += np.arange(N)
    tracks.likelihood[:, 0, 1] = 0.3
    pixels, times = drawn(tmp_path / "l.mp4", video, [tracks[:5], tracks[5:]], Drawing(pcutoff=0.6, trail=0))
    assert pixels.shape == (N, 66 * SCALE, 98 * SCALE, 3)
    np.testing.assert_allclose(times, irregular_times(N) - irregular_times(N)[0], atol=1e-4)
    assert [number_in(frame) for frame in pixels] == list(range(N))
    for number, frame in enumerate(pixels):
        np.testing.assert_allclose(frame[at(20 + number, 15)], COLORS[0], atol=25)
        np.testing.assert_allclose(frame[at(45, 25)], GRAY, atol=8)  # below the cut-off
        np.testing.assert_allclose(frame[at(20 + number, 25)], GRAY, atol=8)


def test_likelihood_is_opacity_and_lines_join_the_skeleton(tmp_path, video):
    tracks = still(N)
    tracks.likelihood[:, 0, 1] = 0.5
    with_line, _ = drawn(tmp_path / "a.mp4", video, [tracks], Drawing(skeleton=[("nose", "tail")]))
    without, _ = drawn(tmp_path / "b.mp4", video, [tracks], Drawing())
    share = [np.linalg.norm(without[-1][at(20 + 25 * k, 15 + 10 * k)] - COLORS[k]) for k in range(2)]
    assert share[0] < 25 and share[1] > 50
    middle = at(32.5, 20)
    assert with_line[-1][middle].min() > GRAY + 30
    np.testing.assert_allclose(without[-1][middle], GRAY, atol=8)


def test_trail_shows_where_a_point_was(tmp_path, video):
    tracks = still(N)
    tracks.keypoints[:, 0, 0, 0] += 3 * np.arange(N)
    pixels, _ = drawn(tmp_path / "l.mp4", video, [tracks], Drawing(trail=2))
    shift = [np.abs(pixels[8][at(20 + 3 * (8 - age), 15)] - float(GRAY)).max() for age in range(5)]
    assert shift[1] > shift[2] > 15 and max(shift[3:]) < 10


def test_gray_pictures_of_an_extreme_shape_stay_playable(tmp_path):
    for number in range(3):
        Image.new("L", (601, 31), GRAY).save(tmp_path / f"{number}.png")
    pixels, times = drawn(tmp_path / "l.mp4", open_video(tmp_path), [still(3, size=(31, 601))], Drawing())
    assert pixels.shape == (3, 94, 1804, 3)
    np.testing.assert_allclose(times, [0, 0.04, 0.08], atol=1e-4)


@pytest.mark.parametrize("tracks, drawing, words", [
    (still(N, size=(10, 20)), Drawing(), r"v.mp4 has 98x66 frames, unlike its tracks \(20x10\)"),
    (still(N), Drawing(skeleton=[("nose", "tial")]), "names 'tial', which is none of nose, tail"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path, video, tracks, drawing, words):
    with pytest.raises(InputError, match=words):
        write_labelled_video(tmp_path / "l.mp4", video, [tracks], drawing)
    assert not list(tmp_path.iterdir())


def test_missing_encoder_is_named(tmp_path, video, monkeypatch):
    monkeypatch.setattr(mp4, "ENCODER", "libnone")
    with pytest.raises(InputError, match="cannot encode H.264"):
        write_labelled_video(tmp_path / "l.mp4", video, [still(N)])
