"""Speeds by hand, and the moments of tracks that are in doubt."""

import numpy as np
import pytest

from pawjax.tracks.moments import DISAGREEMENT, JUMP, LIKELIHOOD, SECOND, find_moments, speeds_of, steps_of
from pawjax.tracks.tracks import Tracks

T = 200


@pytest.fixture
def tracks():
    """Two bodyparts that drift by half a pixel a frame, at 50 frames/s."""
    keypoints = np.zeros((T, 1, 2, 2), np.float32)
    keypoints[..., 0] = np.arange(T)[:, None, None] / 2
    shape = T, 1, 2
    return Tracks(
        keypoints=keypoints,
        likelihood=np.full(shape, 0.9, np.float32),
        covariance=np.full((*shape, 2, 2), np.nan, np.float32),
        second=np.full((*shape, 3), np.nan, np.float32),
        times=np.arange(T) / 50,
        bodyparts=("a", "b"),
        size=(50, 200),
        frames_per_second=50.0,
        origin={},
    )


def test_speed_is_the_step_over_the_time(tracks):
    tracks.keypoints[10:, 0, 1] += [3, 4]
    tracks.times[20:] += 0.02  # a frame was dropped
    tracks.times[30] = tracks.times[29]
    steps, speeds = steps_of(tracks), speeds_of(tracks)
    assert np.isnan(steps[0]).all() and np.isnan(speeds[[0, 30]]).all()
    np.testing.assert_allclose(steps[10, 0], [0.5, np.hypot(3.5, 4)])
    np.testing.assert_allclose(speeds[[5, 20], 0, 0], [25, 12.5], rtol=1e-4)


def test_quiet_tracks_have_no_moments(tracks):
    assert find_moments(tracks, 0.6, 10) == []


def test_moments_are_whole_and_the_worst_of_each_kind_come_first(tracks):
    tracks.likelihood[50:60, 0, 0] = 0.4
    tracks.likelihood[[53, 57], 0, 0] = 0.05, 0.7  # a frame of confidence does not divide it
    tracks.likelihood[100, 0, 1] = 0.3
    tracks.keypoints[120, 0, 1] += 60  # there and back
    tracks.keypoints[160:, 0, 1] += 90
    tracks.second[140:143, 0, 0] = [1, 2, 0.63]
    tracks.second[10, 0, 1] = [1, 2, 0.05]  # the first is far more likely
    found = find_moments(tracks, 0.6, 10)
    told = [(one.kind, one.first, one.worst, one.last, one.bodypart) for one in found]
    assert told == [
        (LIKELIHOOD, 50, 53, 59, 0),
        (JUMP, 160, 160, 160, 1),
        (SECOND, 140, 140, 142, 0),
        (LIKELIHOOD, 100, 100, 100, 1),
        (JUMP, 120, 120, 121, 1),
    ]
    assert [round(one.value, 2) for one in found[:3]] == [0.05, 127.63, 0.7]
    assert find_moments(tracks, 0.6, 1) == found[:3]


def test_points_that_are_in_doubt_anyway_do_not_jump(tracks):
    tracks.keypoints[120, 0, 1] += 60
    tracks.likelihood[120, 0, 1] = 0.1
    tracks.likelihood[0] = np.nan
    found = find_moments(tracks, 0.6, 10)
    assert [(one.kind, one.worst) for one in found] == [(LIKELIHOOD, 0), (LIKELIHOOD, 0), (LIKELIHOOD, 120)]


def test_networks_that_disagree_more_than_usual_are_told(tracks):
    tracks.disagreement[:] = 2
    tracks.disagreement[70:73, 0, 1] = 10, 40, 12  # the limit is 3 + 4 * 2 px
    found = find_moments(tracks, 0.6, 10)
    assert [(one.kind, one.first, one.worst, one.last, one.bodypart) for one in found] == [
        (DISAGREEMENT, 71, 71, 72, 1)
    ]
    assert found[0].value == 40
