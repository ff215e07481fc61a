"""Filters equal scipy's where scipy has them, and do what they say about gaps and irregular times."""

import dataclasses

import numpy as np
import pytest
from scipy import signal

from pawjax.errors import InputError
from pawjax.tracks.filters import interpolate, median, savitzky_golay


@pytest.fixture
def noise(make_tracks):
    return make_tracks(np.random.default_rng(0).uniform(-50, 600, (2500, 2, 3, 2)))


@pytest.mark.parametrize("window", [1, 5, 9])
def test_median_is_that_of_scipy(noise, window):
    result = median(noise, window)
    expected = np.apply_along_axis(signal.medfilt, 0, noise.keypoints.astype(float), window)
    np.testing.assert_array_equal(result.keypoints, expected.astype(np.float32))
    assert result.likelihood is noise.likelihood and result.origin["filter"] == f"median of {window} frames"


def test_median_of_a_short_track(make_tracks):
    points = np.array([3.0, 9, 4])[:, None, None, None] + np.zeros((1, 1, 2))
    assert median(make_tracks(points), 5).keypoints[:, 0, 0, 0].tolist() == [3, 3, 3]  # zeros beyond the ends


def test_median_leaves_missing_points_out(make_tracks):
    points = np.array([5, 7, np.nan, 100, 9, 8, 6])[:, None, None, None] + np.zeros((1, 1, 2))
    result = median(make_tracks(points), 3).keypoints[:, 0, 0]
    np.testing.assert_array_equal(result[:, 0], [5, 6, np.nan, 54.5, 9, 8, 6])
    np.testing.assert_array_equal(result[:, 1], result[:, 0])


@pytest.mark.filterwarnings("error")
def test_median_of_a_point_that_is_never_there(make_tracks):
    assert np.isnan(median(make_tracks(np.full((9, 1, 1, 2), np.nan))).keypoints).all()


@pytest.mark.parametrize("window, order", [(7, 2), (5, 3), (11, 1)])
def test_savitzky_golay_is_that_of_scipy(noise, window, order):
    result = savitzky_golay(noise, window, order)
    expected = signal.savgol_filter(noise.keypoints.astype(float), window, order, axis=0)
    np.testing.assert_allclose(result.keypoints, expected, atol=1e-4)


def test_savitzky_golay_keeps_a_parabola_at_irregular_times_with_gaps(make_tracks):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.uniform(0.01, 0.1, 40))
    parabola = np.stack([3 + 40 * times - 9 * times**2, 100 - 20 * times], -1)[:, None, None]
    missing = rng.random(40) < 0.2
    missing[:3] = [False, True, False]
    points = np.where(missing[:, None, None, None], np.nan, parabola)
    result = savitzky_golay(make_tracks(points, times=times))
    np.testing.assert_allclose(result.keypoints, points, rtol=1e-5)
    assert 0 < missing.sum() < 20


def test_savitzky_golay_leaves_points_alone_where_too_few_are_left(make_tracks):
    points = np.full((9, 1, 1, 2), np.nan)
    points[[2, 5], 0, 0] = [[1, 2], [30, 4]]
    np.testing.assert_array_equal(savitzky_golay(make_tracks(points)).keypoints, points)
    one = make_tracks(np.ones((1, 1, 1, 2)))
    np.testing.assert_array_equal(savitzky_golay(one).keypoints, one.keypoints)


def test_gaps_up_to_a_length_are_filled_in_time(make_tracks):
    points = np.full((12, 1, 2, 2), np.nan)
    points[[1, 3, 6, 10], 0, 0] = [[0, 0], [40, 8], [70, 8], [110, 0]]
    times = np.arange(12.0)
    times[2] = 1.5
    result = interpolate(make_tracks(points, times=times), 2).keypoints[:, 0]
    expected = points[:, 0].copy()
    expected[[2, 4, 5], 0] = [[10, 2], [50, 8], [60, 8]]  # the gap 7 to 9 is too long, both ends are open
    np.testing.assert_allclose(result, expected)


def test_doubtful_points_are_gaps_too(make_tracks):
    points = np.zeros((5, 1, 1, 2))
    points[2] = 500
    tracks = make_tracks(points, likelihood=np.array([1, 1, 0.1, 1, 1], np.float32)[:, None, None])
    assert interpolate(tracks, 1, below=0.5).keypoints.max() == 0
    assert interpolate(tracks, 0, below=0.5).keypoints.max() == 500
    assert interpolate(tracks, 1).keypoints.max() == 500


def test_bad_windows_and_times_are_refused(noise):
    with pytest.raises(InputError, match="window of 4 frames has no middle"):
        median(noise, 4)
    with pytest.raises(InputError, match="order 7 needs a window of more frames than 7"):
        savitzky_golay(noise, 7, 7)
    times = noise.times.copy()
    times[9] = 0
    with pytest.raises(InputError, match="time of frame 9 comes before"):
        savitzky_golay(dataclasses.replace(noise, times=times))
