"""Triangulation: exact without noise, optimal with it, robust against wrong views; and on real animals."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d import triangulation
from pawjax.pose3d.calibration_files import read_calibration
from pawjax.pose3d.symmetric import inverse, solve
from pawjax.pose3d.triangulation import METHODS, triangulate
from tests.pose3d.rigs import make_rig, project_jit

N = 60
CAMERAS = 5


def scene(rig, seed, noise=0.0):
    """Points and their pixels, with every point unseen in some cameras, but never in more than three."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-60, 60, (N, 3))
    with jax.enable_x64(True):
        pixels = np.array(project_jit(rig, points)) + noise * rng.normal(size=(len(rig), N, 2))
    order = np.argsort(rng.random((len(rig), N)), axis=0)
    pixels[order < rng.integers(0, len(rig) - 1, N)] = np.nan
    return points, pixels


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_it_is_exact(method):
    rig = make_rig(CAMERAS, fisheye=(2,))
    points, pixels = scene(rig, 1)
    with jax.enable_x64(True):
        double = triangulate(rig, pixels, method=method)
    single = triangulate(rig, pixels.astype(np.float32), method=method)
    for result, tolerance in ((double, 1e-7), (single, 2e-3)):
        np.testing.assert_allclose(result.points, points, atol=tolerance)
        np.testing.assert_array_equal(result.used, np.isfinite(pixels[..., 0]))
        np.testing.assert_array_equal(result.views, result.used.sum(0))
        assert np.max(result.error) < 10 * tolerance
    assert set(np.unique(double.views)) == {2, 3, 4, 5}


@given(seed=st.integers(0, 2**16), flip=st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_moved_world_moves_the_points(seed, flip):
    """In noisy, partly wrong views; and the order of the cameras does not matter."""
    rig = make_rig(CAMERAS, seed % 3, fisheye=(2,))
    points, pixels = scene(rig, seed, noise=2)
    rng = np.random.default_rng(seed)
    pixels[rng.random(pixels.shape[:2]) < 0.1] += 80
    turn, shift = Rotation.random(random_state=seed), rng.normal(size=3) * 100
    turns = Rotation.from_rotvec(rig.rotation) * turn.inv()
    moved = dataclasses.replace(rig, rotation=turns.as_rotvec(), translation=rig.translation - turns.apply(shift))
    order = np.arange(CAMERAS)[:: -1 if flip else 1]
    moved = jax.tree.map(lambda leaf: leaf[order], moved)
    with jax.enable_x64(True):
        first, second = triangulate(rig, pixels), triangulate(moved, pixels[order])
    np.testing.assert_allclose(second.points, turn.apply(first.points) + shift, atol=1e-4)
    np.testing.assert_array_equal(second.used, first.used[order])


def test_least_squares_are_those_of_scipy():
    rig = make_rig(CAMERAS, fisheye=(2,))
    points, pixels = scene(rig, 2, noise=3)
    weights = np.random.default_rng(0).uniform(0.2, 2, pixels.shape[:2])
    with jax.enable_x64(True):
        ours = np.asarray(triangulate(rig, pixels, method="least_squares", weights=weights).points)

        def residuals(x, index):
            difference = (project_jit(rig, x) - pixels[:, index]) * np.sqrt(weights[:, index, None])
            return np.asarray(difference)[np.isfinite(pixels[:, index])]

        best = [optimize.least_squares(residuals, points[i], args=(i,), xtol=1e-14, ftol=1e-14).x for i in range(8)]
    np.testing.assert_allclose(ours[:8], best, atol=1e-4)


def test_consensus_finds_the_wrong_views():
    """Two of six views are wrong, each in its own way."""
    rig = make_rig(6, seed=4)
    rng = np.random.default_rng(4)
    points = rng.uniform(-60, 60, (N, 3))
    pixels = np.array(project_jit(rig, points)) + rng.normal(size=(6, N, 2))
    wrong = np.argsort(rng.random((6, N)), axis=0) < 2
    angle = rng.uniform(0, 2 * np.pi, wrong.sum())
    pixels[wrong] += 60 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    results = {method: triangulate(rig, pixels, method=method, threshold=10) for method in METHODS}
    errors = {method: np.linalg.norm(result.points - points, axis=-1) for method, result in results.items()}
    assert (np.asarray(results["ransac"].used) == ~wrong).mean() > 0.98
    assert errors["ransac"].mean() < 0.6 < errors["median"].mean() < errors["least_squares"].mean() / 1.5
    assert np.asarray(results["ransac"].error).max() < 5 < np.asarray(results["linear"].error).min()


def test_covariance_and_noise_are_those_of_repetition():
    rig = make_rig(3, seed=5)
    rng = np.random.default_rng(5)
    point = np.array([20.0, -30, 10])
    pixels = np.array(project_jit(rig, np.tile(point, (4000, 1)))) + rng.normal(size=(3, 4000, 2)) * 1.5
    result = triangulate(rig, pixels, method="least_squares")
    assert float(result.noise) == pytest.approx(1.5, rel=0.03)
    mean = np.asarray(result.covariance, float).mean(0)
    whitened = np.linalg.solve(np.linalg.cholesky(mean), (np.asarray(result.points, float) - point).T)
    np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.08)
    known = triangulate(rig, pixels, method="least_squares", noise=3.0)
    np.testing.assert_allclose(
        known.covariance, np.asarray(result.covariance) * (3 / float(result.noise)) ** 2, rtol=1e-4
    )


def test_unlikely_and_missing_views_do_not_count():
    rig = make_rig(4, seed=6)
    points, pixels = scene(rig, 6)
    pixels = np.array(project_jit(rig, points))
    likelihood = np.random.default_rng(0).random((4, N))
    likelihood[0, 0], pixels[:, 1], likelihood[1:, 2] = np.nan, np.nan, 0
    spoilt = np.where((likelihood >= 0.4)[..., None], pixels, pixels + 50)
    for method in METHODS:
        result = triangulate(rig, spoilt, likelihood, cut=0.4, method=method)
        counts = (likelihood >= 0.4).sum(0) * (np.arange(N) != 1)
        np.testing.assert_array_equal(result.views[counts != 1], counts[counts != 1])
        enough = counts >= 2
        np.testing.assert_allclose(np.asarray(result.points)[enough], points[enough], atol=5e-3)
        for array in (result.points, result.error, result.covariance):
            assert np.isnan(np.asarray(array)[~enough]).all() and np.isfinite(np.asarray(array)[enough]).all()


def test_nothing_seen_gives_nothing():
    result = triangulate(make_rig(2), np.full((2, 3, 4, 2), np.nan))
    assert np.isnan(result.points).all() and result.points.shape == (3, 4, 3)
    assert not np.any(result.views) and np.isnan(result.noise)
    assert triangulate(make_rig(2), np.zeros((2, 0, 2))).points.shape == (0, 3)


def test_chunks_do_not_show(monkeypatch):
    rig = make_rig(CAMERAS)
    _, pixels = scene(rig, 7, noise=2)
    whole = triangulate(rig, pixels)
    monkeypatch.setattr(triangulation, "AT_ONCE", 7 * CAMERAS**3)
    triangulation._triangulate.clear_cache()
    for ours, theirs in zip(triangulate(rig, pixels), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    triangulation._triangulate.clear_cache()


def test_bad_input_is_said_in_a_sentence():
    rig = make_rig(3)
    with pytest.raises(InputError, match="only the camera cam0 is there: triangulation needs two"):
        triangulate(make_rig(1), np.zeros((1, 4, 2)))
    with pytest.raises(InputError, match="named 'ransack': did you mean 'ransac'"):
        triangulate(rig, np.zeros((3, 4, 2)), method="ransack")
    with pytest.raises(InputError, match=r"shape \(4, 3, 2\), not \(3 cameras, ..., 2\)"):
        triangulate(rig, np.zeros((4, 3, 2)))
    with pytest.raises(InputError, match=r"likelihoods have shape \(3, 5\)"):
        triangulate(rig, np.zeros((3, 4, 2)), np.ones((3, 5)))


def test_small_systems_are_those_of_numpy():
    rng = np.random.default_rng(8)
    root = rng.normal(size=(50, 3, 3))
    matrix, vector = root @ root.swapaxes(-1, -2), rng.normal(size=(50, 3))
    with jax.enable_x64(True):
        np.testing.assert_allclose(inverse(matrix), np.linalg.inv(matrix), rtol=1e-6)
        np.testing.assert_allclose(solve(matrix, vector), np.linalg.solve(matrix, vector[..., None])[..., 0], rtol=1e-6)
        assert np.isnan(solve(np.ones((3, 3)), np.ones(3))).all() and np.isnan(inverse(np.zeros((3, 3)))).all()


def test_rat_against_motion_capture(shared_data):
    """100 frames of a rat, DeepLabCut's points in six views; the stored median of pairs is 9.31 mm off, without cameras
    of the left limbs' points that are wrong in most views.
    """
    file = shared_data / "rat7m-extract" / "mock_data.npz"
    rig, data = read_calibration(file), np.load(file)
    pixels, truth = data["observed_pos_2d"].swapaxes(0, 1), data["groundtruth_pos_3d"]

    def error(points):
        distance = np.linalg.norm(np.asarray(points) - truth, axis=-1)
        return np.nanmean(np.nanmean(distance, axis=0))  # over time, then over keypoints

    assert error(data["triangulated_pos_3d"]) == pytest.approx(9.31, abs=0.01)
    errors = {method: error(triangulate(rig, pixels, method=method).points) for method in METHODS}
    print(errors)
    assert errors["median"] < 9.6 and errors["ransac"] < 9.8


def test_mouse_against_its_labels(shared_data):
    """DANNCE's six cameras with lenses: the labels in 3D project onto those in 2D, and these give them back."""
    file = shared_data / "dannce-mouse" / "label3d_dannce.mat"
    rig = read_calibration(file)
    labels = [camera for camera in loadmat(file, variable_names=["labelData"], simplify_cells=True)["labelData"]]
    pixels = np.stack([camera["data_2d"].reshape(-1, 22, 2) for camera in labels]) - 1  # MATLAB counts from 1
    points = labels[0]["data_3d"].reshape(-1, 22, 3)
    apart = np.linalg.norm(np.asarray(project_jit(rig, points)) - pixels, axis=-1)
    medians = np.nanmedian(apart, axis=(1, 2))
    result = triangulate(rig, pixels, method="least_squares")
    distance = np.linalg.norm(np.asarray(result.points) - points, axis=-1)
    print(medians, np.nanmedian(distance), np.nanmax(distance), float(result.noise))
    assert medians.max() < 1
    assert np.nanmedian(distance) < 0.5
