"""Pictures of a scene: points lie where the cameras and the view put them."""

import dataclasses

import numpy as np
import pytest

from pawjax.data.video import FrameReader, open_video
from pawjax.errors import InputError
from pawjax.pose3d.cameras import camera_places, project
from pawjax.report import scene_pictures
from pawjax.report.mp4 import write_mp4
from pawjax.report.scene import Positions, reprojected
from pawjax.report.scene_pictures import write_reprojections, write_skeleton_video
from pawjax.report.scene_view import overview, pyramids_of, up_axis
from pawjax.report.style import bodypart_colors
from tests.pose3d.rigs import make_rig
from tests.report.scenes import RATE, N, upright, walking

COLORS = 255 * np.array(bodypart_colors(3))
GRAY = 90


def frames_of(path):
    frames = list(FrameReader(open_video(path), 3))
    return np.stack([frame.pixels for frame in frames]).astype(int), np.array([frame.time for frame in frames])


def middle_of(pixels, color):
    """(x, y) amid the pixels near a colour."""
    rows, columns = np.nonzero(np.abs(pixels - color).sum(-1) < 60)
    return np.array([columns.mean(), rows.mean()]) if len(rows) else np.array([np.nan, np.nan])


@pytest.fixture
def scene():
    return dataclasses.replace(walking(), bodyparts=("nose", "neck", "tail"))


def test_video_shows_the_skeleton_beside_the_raw_one(scene, tmp_path):
    write_skeleton_video(scene, "gimbal", tmp_path / "s.mp4")
    pixels, times = frames_of(tmp_path / "s.mp4")
    side = scene_pictures.PANEL
    assert pixels.shape == (N, side, 2 * side, 3)
    np.testing.assert_allclose(times, np.arange(N) / RATE, atol=1e-4)
    truth = scene.positions[1].mean
    centres, reach, _, up = scene_pictures._course(truth, scene.cameras, RATE)
    view = overview(up, reach, (side, side))
    for frame in (0, 3, 20):
        for place, one in enumerate(scene.positions):
            panel = pixels[frame, 30 : side - 30, place * side : (place + 1) * side]
            for k in range(3):
                found, expected = (
                    middle_of(panel, COLORS[k]) + [0, 30],
                    view.project(one.mean[frame, k] - centres[frame]),
                )
                np.testing.assert_allclose(found, expected, atol=2.5)
    assert np.isnan(middle_of(pixels[3, 30 : side - 30, :side], COLORS[0])).all(), "a missing point"


def test_video_of_the_raw_positions_is_alone_and_may_be_empty(scene, tmp_path):
    empty = dataclasses.replace(scene, positions=(Positions("raw", np.full((N, 3, 3), np.nan)),))
    write_skeleton_video(empty, "raw", tmp_path / "s.mp4")
    assert frames_of(tmp_path / "s.mp4")[0].shape[1:3] == (scene_pictures.PANEL, scene_pictures.PANEL)


def test_view_looks_down_on_its_target_and_keeps_what_is_in_reach():
    rng = np.random.default_rng(0)
    for up in np.concatenate([np.eye(3), -np.eye(3)]):
        view = overview(up, 100.0, (300, 400))
        np.testing.assert_allclose(view.turn @ view.turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.turn) > 0 and (view.turn @ up)[1] < -0.5 and (view.turn @ up)[2] < 0
        np.testing.assert_allclose(view.project(np.zeros(3)), [199.5, 149.5])
        ball = rng.normal(size=(500, 3))
        seen = view.project(100 * ball / np.linalg.norm(ball, axis=-1, keepdims=True))
        assert (seen >= 0).all() and (seen <= [399, 299]).all() and np.ptp(seen[:, 1]) > 200
        assert np.isnan(view.project(-2 * view.distance * view.turn[2])).all()


@pytest.mark.parametrize("axis", range(6))
def test_up_is_where_the_cameras_are(axis):
    up = np.concatenate([np.eye(3), -np.eye(3)])[axis]
    np.testing.assert_array_equal(up_axis(upright(make_rig(5), up), np.zeros(3)), up)


def test_pyramids_end_at_the_corners_of_the_frames():
    cameras = make_rig(4, lens=0.0)
    matrix = cameras.matrix * [[1, 0, 1], [1, 1, 1], [1, 1, 1]]  # no skew
    cameras = dataclasses.replace(cameras, matrix=matrix, sizes=((640, 600), (320, 200), None, (640, 480)))
    pyramids = pyramids_of(cameras, 50.0)
    np.testing.assert_allclose(pyramids[:, 0], camera_places(cameras))
    seen = np.stack([project(cameras, pyramids[number, 1:])[number] for number in range(4)])
    for pixels, size in zip(seen[:2], cameras.sizes, strict=False):
        width, height = size
        expected = [[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]]
        np.testing.assert_allclose(pixels, expected, atol=0.01)
    np.testing.assert_allclose(seen[2].mean(0), matrix[2, :2, 2], atol=0.01)


def test_reprojections_are_discs_and_tracks_open_circles(scene, tmp_path):
    size = scene.cameras.sizes[1]
    blank = np.full((size[1], size[0], 3), GRAY, np.uint8)
    write_mp4(tmp_path / "v.mp4", ((time, blank) for time in np.arange(N) / RATE), blank.shape[:2], RATE, {"crf": "10"})
    pixels = scene.pixels.copy()
    pixels[1, :, 0] += [60, 0]
    apart = dataclasses.replace(scene, pixels=pixels, edges=())
    (path,) = write_reprojections(apart, "gimbal", {"right": tmp_path / "v.mp4"}, tmp_path / "out")
    assert path.name == "right_gimbal_reprojected_labeled.mp4"
    drawn, _ = frames_of(path)
    assert len(drawn) == N
    points = reprojected(scene.cameras, scene.positions[1].mean)[1]
    for frame in (0, N - 1):
        x, y = np.rint(points[frame, 0]).astype(int)
        np.testing.assert_allclose(drawn[frame, y, x], COLORS[0], atol=30)
        x, y = np.rint(pixels[1, frame, 0]).astype(int)
        np.testing.assert_allclose(drawn[frame, y + 1 : y + 3, x + 1], GRAY, atol=40)  # open
        around = np.abs(drawn[frame, y - 7 : y + 8, x - 7 : x + 8] - COLORS[0]).sum(-1)
        assert (around < 90).sum() > 8


def test_videos_that_do_not_fit_are_refused(scene, tmp_path):
    with pytest.raises(InputError, match="of the camera 'rigt', which the scene lacks: did you mean 'right'"):
        write_reprojections(scene, "gimbal", {"rigt": tmp_path / "v.mp4"}, tmp_path)
    blank = np.zeros((40, 60, 3), np.uint8)
    write_mp4(tmp_path / "v.mp4", [(0.0, blank)], (40, 60), RATE, {})
    with pytest.raises(InputError, match="v.mp4 has 60x40 frames"):
        write_reprojections(scene, "gimbal", {"right": tmp_path / "v.mp4"}, tmp_path)
