"""The synthetic paw_on_ball: deterministic, correct labels, and a paw of realistic size and motion."""

import csv
import hashlib
import os
import subprocess
import sys

import av
import numpy as np
import pytest

from pawjax import cli, paw_on_ball
from pawjax.data.paw_on_ball import frame_instant, render, render_at
from pawjax.data.paw_on_ball.frame import draw
from pawjax.data.paw_on_ball.look import N_SESSIONS
from pawjax.data.paw_on_ball.motion import BALL_RADIUS, TABLE_RATE, ball_surface, bend, session_motion
from pawjax.data.paw_on_ball.scene import session_stage
from pawjax.data.paw_on_ball.video import write_video
from pawjax.errors import InputError

SMALL = {"height": 150, "width": 200}


def paw_mask(index: int, *, seed: int = 0, height: int = 600, width: int = 800, hidden: bool = False) -> np.ndarray:
    """Coverage float32 [H, W] of the labelled foot in frame `index`: visible pixels, or all with `hidden`."""
    canvas = draw(*frame_instant(index, seed=seed), seed, height, width).canvas
    foot = canvas.whole if hidden else canvas.watched
    mask = np.zeros((height, width), np.float32)
    mask[foot.top : foot.top + foot.alpha.shape[0], foot.left : foot.left + foot.alpha.shape[1]] = foot.alpha
    return mask


def _digest(index: int) -> str:
    frame = render(index, seed=3, **SMALL)
    return hashlib.sha256(frame.image.tobytes() + frame.keypoint.tobytes()).hexdigest()


def _centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = mask.sum(1, dtype=np.float64), mask.sum(0, dtype=np.float64)
    return np.array([columns @ np.arange(mask.shape[1]), rows @ np.arange(mask.shape[0])]) / mask.sum(dtype=np.float64)


def test_frame_types_follow_the_contract():
    frame = render(0, height=90, width=130)
    assert frame.image.shape == (90, 130, 1) and frame.image.dtype == np.uint8
    assert frame.keypoint.shape == (2,) and frame.keypoint.dtype == np.float32
    assert isinstance(frame.labelled, bool) and frame.video == f"session{frame_instant(0)[0]:02d}"


def test_frames_do_not_depend_on_order_caches_or_process():
    forward = [_digest(index) for index in range(5)]
    session_stage.cache_clear()
    session_motion.cache_clear()
    assert [_digest(index) for index in (4, 3, 2, 1, 0)] == forward[::-1]
    program = (
        "import hashlib; from pawjax.data.paw_on_ball import render; f = render(4, seed=3, height=150, width=200); "
        "print(hashlib.sha256(f.image.tobytes() + f.keypoint.tobytes()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert other.stdout.strip() == forward[4]


def test_seed_and_index_change_the_frame():
    assert len({_digest(index) for index in range(8)}) == 8
    assert not np.array_equal(render(0, seed=1, **SMALL).image, render(0, seed=2, **SMALL).image)
    assert {frame_instant(index)[0] for index in range(120)} == set(range(N_SESSIONS))


def test_render_is_the_frame_of_its_session():
    session, time_s = frame_instant(7, seed=3)
    again = render_at(session, time_s, seed=3, **SMALL)
    assert np.array_equal(again.image, render(7, seed=3, **SMALL).image)
    assert not np.array_equal(again.image, render_at(session, (time_s + 1 / 150) % 60, seed=3, **SMALL).image)


def test_paw_area_and_centre_at_full_size():
    areas, visible = [], 0
    for index in range(40):
        frame, whole = render(index), paw_mask(index, hidden=True)
        areas.append(whole.sum())
        assert np.linalg.norm(_centroid(whole) - frame.keypoint) < 0.1
        seen = paw_mask(index)
        assert (seen <= whole + 1e-6).all()
        assert frame.labelled == (seen.sum() >= 0.15 * whole.sum())
        visible += frame.labelled
    assert visible >= 38
    assert np.mean((np.array(areas) > 1000) & (np.array(areas) < 2000)) > 0.95


def test_label_lies_on_the_paw_inside_the_frame():
    for index in range(60):
        frame = render(index, height=300, width=400)
        x, y = np.rint(frame.keypoint).astype(int)
        assert 5 < x < 395 and 5 < y < 295
        assert paw_mask(index, height=300, width=400, hidden=True)[y, x] > 0.5


def test_visible_paw_stands_out_from_the_dark():
    contrast = []
    for index in range(40):
        frame, mask = render(index, height=300, width=400), paw_mask(index, height=300, width=400)
        if frame.labelled:
            contrast.append((frame.image[..., 0] * mask).sum() / mask.sum() - frame.image.mean())
    assert np.median(contrast) > 60


def test_hidden_paws_are_rare_and_unlabelled():
    labelled = np.array([render(index, **SMALL).labelled for index in range(400)])
    assert 0.001 < 1 - labelled.mean() < 0.03


@pytest.mark.parametrize("factor", [0.5, 0.25, 1.5])
def test_the_scene_scales_with_the_frame(factor):
    for index in (2, 5, 9):
        full = render(index)
        other = render(index, height=round(600 * factor), width=round(800 * factor))
        np.testing.assert_allclose(other.keypoint, (full.keypoint + 0.5) * factor - 0.5, atol=1e-3)
    if factor < 1:
        block = round(1 / factor)
        shrunk = full.image[..., 0].reshape(600 // block, block, 800 // block, block).mean((1, 3))
        assert np.abs(shrunk - other.image[..., 0]).mean() < 6


def test_other_aspect_ratios_keep_the_scene_centred():
    wide, full = render(4, height=300, width=600), render(4, height=300, width=400)
    np.testing.assert_allclose(wide.keypoint - full.keypoint, [100, 0], atol=1e-3)


def test_gait_moves_the_paw():
    for session in range(3):
        motion = session_motion(0, session)
        foot = motion.feet["left_fore"]
        assert np.ptp(foot[:, 0]) > 60
        step = np.linalg.norm(np.diff(foot[:, :2], axis=0), axis=1)
        assert step.max() < 12  # scene units in 1/600 s: no jumps
        assert np.mean(step > 0.5) > 0.2


def test_stance_moves_with_the_ball():
    motion = session_motion(0, 0)
    foot = motion.feet["left_hind"]  # takes no part in gestures
    forward = np.diff(foot[:, 0])
    surface = np.diff(motion.roll) * BALL_RADIUS
    walking = surface * TABLE_RATE > 250
    with_ball = np.abs(forward - surface) < 1e-6
    assert 0.4 < with_ball[walking].mean() < 0.85
    height = ball_surface(foot[:-1, 0])[0] - foot[:-1, 1]
    swing = walking & (forward < -1)
    assert height[swing].mean() > height[walking & with_ball].mean() + 5


def test_bend_keeps_the_bones_and_reaches():
    root, tip = np.zeros((2, 2)), np.array([[30.0, 80.0], [0.0, 300.0]])
    joint = bend(root, tip, 60.0, 70.0, -1.0)
    upper, lower = np.linalg.norm(joint - root, axis=1), np.linalg.norm(joint - tip, axis=1)
    np.testing.assert_allclose([upper[0], lower[0]], [60.0, 70.0])
    assert upper[1] / lower[1] == pytest.approx(60 / 70) and upper[1] + lower[1] == pytest.approx(300, rel=0.01)


def test_video_and_truth_agree(tmp_path):
    path = tmp_path / "clip.mp4"
    truth = write_video(path, seed=3, session=1, n_frames=12, **SMALL)
    with truth.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[:3]] == ["scorer", "bodyparts", "coords"] and rows[2][1:] == ["x", "y"]
    assert len(rows) == 3 + 12
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 150
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(pictures) == 12
    for number in (0, 11):
        frame = render_at(1, number / 150, seed=3, **SMALL)
        np.testing.assert_allclose([float(v) for v in rows[3 + number][1:]], frame.keypoint, atol=1e-3)
        assert np.abs(pictures[number].astype(int) - frame.image[..., 0]).mean() < 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.csv", "clip.mp4"]
    with pytest.raises(InputError, match="exists"):
        write_video(path, n_frames=1, **SMALL)


def test_the_door_writes_a_video_once(tmp_path, capsys):
    words = [f"--out={tmp_path}/new/clip.mp4", "--frames=2", "--height=48", "--width=64"]
    assert cli.call(paw_on_ball.ENTRY_POINT, words) == 0 and "2 frames of 64x48" in capsys.readouterr().out
    before = (tmp_path / "new" / "clip.mp4").read_bytes()
    assert cli.call(paw_on_ball.ENTRY_POINT, [*words, "--seed=9"]) == 0 and "is kept" in capsys.readouterr().out
    assert (tmp_path / "new" / "clip.mp4").read_bytes() == before


def test_an_interrupted_video_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("stopped")

    monkeypatch.setattr("pawjax.data.paw_on_ball.video.render_at", fail)
    with pytest.raises(RuntimeError):
        write_video(tmp_path / "clip.mp4", n_frames=2, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_name_the_field(tmp_path):
    for call, field in (
        (lambda: render(-1), "index"),
        (lambda: render_at(N_SESSIONS, 0.0), "session"),
        (lambda: render_at(0, 60.0), "time_s"),
        (lambda: render(0, height=8, width=8), "height"),
        (lambda: write_video(tmp_path / "a.avi"), ".mp4"),
        (lambda: write_video(tmp_path / "a.mp4", n_frames=0), "n_frames"),
        (lambda: write_video(tmp_path / "a.mp4", height=151, width=200), "even"),
    ):
        with pytest.raises(InputError, match=field):
            call()
