"""Pictures of tracks: what is drawn, where, and that unusual tracks can be drawn."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pawjax.data.video import open_video
from pawjax.errors import InputError
from pawjax.report.trajectories import draw_trajectories, plots, sure_points
from tests.report.tracked_video import still, write_numbered


def test_only_sure_points_are_drawn():
    tracks = still(5)
    tracks.likelihood[2, 0, 1] = 0.1
    points = sure_points(tracks, 0.6)
    assert np.isnan(points[2, 1]).all() and np.isfinite(np.delete(points.reshape(10, 2), 5, 0)).all()


def test_trajectory_lies_where_the_points_are(tmp_path):
    tracks = still(40, ("nose",), size=(100, 200))
    tracks.keypoints[:, 0, 0] = np.stack([np.linspace(20, 180, 40), np.full(40, 30)], -1)
    draw_trajectories(tmp_path / "t.png", np.full((100, 200, 3), 255, np.uint8), tracks, 0.6)
    pixels = np.asarray(Image.open(tmp_path / "t.png").convert("RGB"))[:, :1100].astype(int)
    colored = np.ptp(pixels, axis=-1) > 60
    rows, columns = np.flatnonzero(colored.any(1)), np.flatnonzero(colored.any(0))
    frame = np.flatnonzero((pixels < 250).any(-1).any(0))  # begins with the title, at the frame's left edge
    assert np.ptp(rows) < 8 and np.ptp(columns) > 4 * 160
    px = np.ptp(columns) / 160
    assert abs(columns[0] - frame[0] - 20 * px) < 2 * px
    early, late = pixels[rows.mean().astype(int), columns[[5, -5]]]
    assert early[2] > early[0] and late[0] > late[2], "from blue to orange"


@pytest.mark.parametrize("n_frames, n_bodyparts", [(1, 1), (12, 5)])
def test_short_and_unsure_tracks_are_drawn(tmp_path, n_frames, n_bodyparts):
    video = open_video(write_numbered(tmp_path / "v.mp4", n_frames))
    tracks = still(n_frames, tuple(f"${k}_$" for k in range(n_bodyparts)))
    tracks.likelihood[:, 0, -1] = 0.2
    tracks.keypoints[0] = np.nan
    for name, write in plots(video, tracks, 0.6).items():
        write(tmp_path / name)
        assert Image.open(tmp_path / name).width > 500
    with pytest.raises(InputError, match="unlike its tracks"):
        plots(video, dataclasses.replace(tracks, size=(9, 9)), 0.6)
