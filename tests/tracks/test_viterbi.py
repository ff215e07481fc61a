"""The path is the best of all paths, and it leaves a wrong place that fits no frame around it."""

import itertools

import numpy as np
from scipy import stats

from pawjax.tracks.viterbi import JUMPS, best_path, choose, usual_step


def cost_of(path, places, scores, times, sigma, area):
    """Log-likelihood of one point's path, frames without a candidate (-1) left out."""
    frames = [t for t, candidate in enumerate(path) if candidate >= 0]
    total = sum(scores[t, path[t]] for t in frames)
    for before, t in itertools.pairwise(frames):
        step = places[t, path[t]] - places[before, path[before]]
        normal = stats.multivariate_normal(cov=sigma**2 * (times[t] - times[before]) * np.eye(2)).pdf(step)
        total += np.log((1 - JUMPS) * normal + JUMPS / area)
    return total


def test_path_is_the_best_of_all_paths():
    rng = np.random.default_rng(0)
    n_frames, n, c, area = 5, 12, 3, 400.0
    places, scores = rng.uniform(0, 20, (n_frames, n, c, 2)), np.log(rng.random((n_frames, n, c)))
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    places[rng.random(scores.shape) < 0.1] = np.nan
    scores[2, :4], scores[0, 4], scores[-1, 5] = np.nan, -np.inf, -np.inf
    steps, sigma = rng.uniform(0.5, 2, n_frames), rng.uniform(1, 8, n)
    found, times = best_path(places, scores, steps, sigma, area), np.cumsum(steps)
    good = np.isfinite(scores) & np.isfinite(places).all(-1)
    for k in range(n):
        candidates = [np.flatnonzero(here) if here.any() else [-1] for here in good[:, k]]
        data = places[:, k], scores[:, k], times, sigma[k], area
        best = max(itertools.product(*candidates), key=lambda path, data=data: cost_of(path, *data))
        np.testing.assert_array_equal(found[:, k], best)


def test_points_without_any_candidate_have_no_path():
    path = best_path(np.full((4, 2, 3, 2), np.nan), np.zeros((4, 2, 3)), np.ones(4), np.ones(2), 100.0)
    assert (path == -1).all()


def test_usual_step_is_that_of_a_random_walk_in_spite_of_jumps():
    rng = np.random.default_rng(1)
    steps = rng.uniform(0.5, 2, 4000)
    walk = np.cumsum(rng.normal(size=(4000, 2, 2)) * (3 * np.sqrt(steps))[:, None, None], axis=0)
    walk[::200] += 200
    np.testing.assert_allclose(usual_step(walk, steps), 3, rtol=0.12)


def test_a_point_goes_back_to_its_own_place_and_takes_its_likelihood(make_tracks):
    rng = np.random.default_rng(2)
    truth = np.cumsum(rng.normal(size=(60, 1, 2, 2)), axis=0) + 30
    other = truth + [25, 0]
    swapped = np.zeros((60, 1, 2), bool)
    swapped[20:26, 0, 0] = swapped[40, 0, 1] = True
    points = np.where(swapped[..., None], other, truth)
    places = np.where(swapped[..., None], truth, other)
    second = np.concatenate([places, np.full((60, 1, 2, 1), 0.3)], axis=-1).astype(np.float32)
    covariance = np.ones((60, 1, 2, 2, 2), np.float32)
    tracks = make_tracks(points, likelihood=np.full((60, 1, 2), 0.6, np.float32), second=second, covariance=covariance)
    result = choose(tracks)
    np.testing.assert_array_equal(result.keypoints, truth.astype(np.float32))
    np.testing.assert_array_equal(result.second[..., :2], other.astype(np.float32))
    np.testing.assert_array_equal(result.likelihood, np.where(swapped, np.float32(0.3), np.float32(0.6)))
    np.testing.assert_array_equal(result.second[..., 2], np.where(swapped, np.float32(0.6), np.float32(0.3)))
    assert np.isnan(result.covariance[swapped]).all() and (result.covariance[~swapped] == 1).all()
    assert result.keypoints.dtype == result.likelihood.dtype == result.second.dtype == np.float32


def test_a_lasting_jump_and_missing_points_stay(make_tracks):
    points = np.full((40, 1, 1, 2), 5.0)
    points[20:] = 45
    points[7] = np.nan
    second = np.concatenate([50 - points, np.full((40, 1, 1, 1), 0.2)], axis=-1).astype(np.float32)
    likelihood = np.full((40, 1, 1), 0.9, np.float32)
    result = choose(make_tracks(points, second=second, likelihood=likelihood))
    one = choose(make_tracks(points, likelihood=likelihood))  # without next best places
    np.testing.assert_array_equal(one.keypoints, points.astype(np.float32))
    # staying is likelier than the better score only if the jump costs more than 20 frames of log(0.9 / 0.2) = 30 nats
    np.testing.assert_array_equal(result.keypoints, points.astype(np.float32))
