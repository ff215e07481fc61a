"""The smoother equals conditioning of one large Gaussian, and follows an animal better than its measurements."""

import numpy as np
import pytest

from pawjax.tracks.kalman import PRIOR_VELOCITY, Measurements, fit, smooth, smoothed


def random_measurements(rng, n_frames, n_points):
    roots = rng.normal(size=(n_frames, n_points, 2, 2))
    noise = roots @ roots.swapaxes(-1, -2) + 0.1 * np.eye(2)
    positions = np.cumsum(rng.normal(size=(n_frames, n_points, 2)), axis=0) + 50
    return Measurements(positions, noise, rng.random((n_frames, n_points)) < 0.7)


def conditioned(positions, noise, there, steps, ratio):
    """Means [T, 4] and covariances [T, 4, 4] of the states by their joint precision; the first is measured."""
    n = len(steps)
    precision, linear = np.zeros((4 * n, 4 * n)), np.zeros(4 * n)
    precision[2, 2] = precision[3, 3] = 1 / PRIOR_VELOCITY
    for t in range(n):
        if there[t]:
            place = slice(4 * t, 4 * t + 2)
            precision[place, place] += np.linalg.inv(noise[t])
            linear[place] += np.linalg.solve(noise[t], positions[t])
        if t:
            step = steps[t]
            walk = ratio * np.kron([[step**3 / 3, step**2 / 2], [step**2 / 2, step]], np.eye(2))
            forward = np.hstack([-np.kron([[1, step], [0, 1]], np.eye(2)), np.eye(4)])  # next state - motion of this
            pair = slice(4 * t - 4, 4 * t + 4)
            precision[pair, pair] += forward.T @ np.linalg.solve(walk, forward)
    covariance = np.linalg.inv(precision)
    blocks = covariance.reshape(n, 4, n, 4)[np.arange(n), :, np.arange(n)]
    return (covariance @ linear).reshape(n, 4), blocks


def test_smoother_is_the_gaussian_conditioned_on_all_frames():
    rng = np.random.default_rng(2)
    measured = random_measurements(rng, 12, 5)
    measured.there[0, :4], measured.there[:3, 4] = True, [False, False, True]
    steps, ratios = rng.uniform(0.3, 2, 12), np.array([1e-3, 0.1, 1, 10, 1])
    means, covariances = smoothed(measured, steps, ratios)
    for k, start in enumerate([0, 0, 0, 0, 2]):
        arrays = [array[start:, k] for array in measured]
        mean, covariance = conditioned(*arrays, steps[start:], ratios[k])
        np.testing.assert_allclose(means[start:, k], mean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(covariances[start:, k], covariance, rtol=1e-4, atol=1e-5)


def test_fitted_noise_is_that_of_the_data():
    rng = np.random.default_rng(3)
    n, scale, ratio = 600, 4.0, 0.1
    steps = np.ones(n)
    velocity = np.zeros((n, 40, 2))
    position = np.zeros((n, 40, 2))
    factor = np.linalg.cholesky(ratio * scale * np.array([[1 / 3, 1 / 2], [1 / 2, 1]]))
    for t in range(1, n):
        kick = rng.normal(size=(40, 2, 2)) @ factor.T  # of position, of velocity
        position[t] = position[t - 1] + velocity[t - 1] + kick[..., 0]
        velocity[t] = velocity[t - 1] + kick[..., 1]
    noise = np.tile(np.eye(2), (n, 40, 1, 1))
    measured = Measurements(position + rng.normal(size=position.shape) * scale**0.5, noise, np.ones((n, 40), bool))
    ratios, scales = fit(measured, steps)
    assert np.median(ratios) == pytest.approx(ratio) and np.median(scales) == pytest.approx(scale, rel=0.05)


@pytest.fixture
def reach(make_tracks):
    """A paw that moves smoothly, measured with 2 px of noise; a doubtful frame in ten is 100 px off. Also the truth."""
    rng = np.random.default_rng(4)
    times = np.arange(300) / 100
    truth = np.stack([100 + 60 * np.sin(4 * times), 200 + 40 * np.cos(5 * times)], -1)[:, None, None]
    doubtful = rng.random(300) < 0.1
    points = truth + rng.normal(scale=2, size=truth.shape)
    points[doubtful] += 100
    likelihood = np.where(doubtful, 1e-3, 0.95).astype(np.float32)[:, None, None]
    return make_tracks(points, likelihood=likelihood, times=times), truth


def test_smoothed_track_is_closer_to_the_truth(reach):
    tracks, truth = reach
    result = smooth(tracks)
    error = np.linalg.norm(result.keypoints - truth, axis=-1)
    good = tracks.likelihood > 0.5
    raw = np.linalg.norm(tracks.keypoints - truth, axis=-1)
    assert error[good].mean() < 0.7 * raw[good].mean() and error[~good].mean() < 0.1 * raw[~good].mean()
    assert result.likelihood is tracks.likelihood and "Kalman" in result.origin["filter"]
    off = (result.keypoints - truth)[good]
    squared = np.einsum("ti,tij,tj->t", off, np.linalg.inv(result.covariance[good]), off)
    assert 1.2 < squared.mean() < 3  # 2 where the covariances are those of the errors


def test_size_of_the_covariances_does_not_matter(reach, make_tracks):
    tracks, _ = reach
    some = np.tile(np.eye(2, dtype=np.float32), (300, 1, 1, 1, 1))
    one = smooth(make_tracks(tracks.keypoints, likelihood=tracks.likelihood, covariance=some))
    other = smooth(make_tracks(tracks.keypoints, likelihood=tracks.likelihood, covariance=some * 70))
    np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=1e-6)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-4)


def test_a_wide_score_map_counts_less_along_its_width(reach, make_tracks):
    tracks, truth = reach
    points = truth.copy()
    points[150] += 30  # as certain by its likelihood as the others
    covariance = np.tile(np.eye(2, dtype=np.float32), (300, 1, 1, 1, 1))
    covariance[150, 0, 0, 0, 0] = 1e4
    result = smooth(make_tracks(points, covariance=covariance, times=tracks.times)).keypoints[150, 0, 0]
    off = np.abs(result - truth[150, 0, 0])
    assert off[0] < 0.1 and off[1] > 3


def test_gaps_are_filled_but_not_what_lies_outside_the_track(make_tracks):
    times = np.cumsum(np.random.default_rng(5).uniform(0.01, 0.1, 40))
    line = np.stack([10 + 30 * times, 50 - 10 * times], -1)
    points = np.tile(line[:, None, None], (1, 1, 3, 1))
    points[:3, 0, 0] = points[20:24, 0, 0] = points[-2:, 0, 0] = np.nan
    points[:, 0, 1] = np.nan
    points[3:, 0, 2] = np.nan
    result = smooth(make_tracks(points, times=times))
    np.testing.assert_allclose(result.keypoints[3:-2, 0, 0], line[3:-2], rtol=1e-3)
    assert np.isnan(result.keypoints[[0, 1, 2, -2, -1], 0, 0]).all()
    np.testing.assert_array_equal(result.keypoints[:, 0, 1:], points[:, 0, 1:].astype(np.float32))
    assert np.isnan(result.covariance[:, 0, 1:]).all()


def test_a_resting_point_stays_where_it_is(make_tracks):
    result = smooth(make_tracks(np.full((20, 1, 1, 2), 7.5)))
    np.testing.assert_allclose(result.keypoints, 7.5, rtol=1e-5)
    assert np.isfinite(result.covariance).all()


def test_covariances_of_all_shapes_and_sizes_leave_the_states_positive(make_tracks):
    rng = np.random.default_rng(6)
    n = 1500
    roots = rng.normal(size=(n, 1, 4, 2, 2)) * 10 ** rng.uniform(-1, 2, (n, 1, 4, 1, 2))
    covariance = roots @ roots.swapaxes(-1, -2)
    covariance[rng.random((n, 1, 4)) < 0.2] *= 1e-3
    truth = 100 + 50 * np.sin(np.arange(n)[:, None, None, None] / 10 + np.arange(4)[:, None])
    points = truth + (roots @ rng.normal(size=(n, 1, 4, 2, 1)))[..., 0]
    result = smooth(make_tracks(points, covariance=covariance.astype(np.float32)))
    assert (np.linalg.eigvalsh(result.covariance) > 0).all()
    assert np.abs(result.keypoints - truth).mean() < 3
