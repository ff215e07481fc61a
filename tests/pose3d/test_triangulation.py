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
from pawjax.pose3d.cameras import depth, projection_matrices
from pawjax.pose3d.symmetric import inverse, solve
from pawjax.pose3d.triangulation import triangulate
from tests.pose3d.rigs import make_rig, project_jit

N = 60
CAMERAS = 6
IN_SINGLE = ("linear", "median", "ransac")  # tried in float32 too; every program takes a second to compile


def scene(rig, seed, noise=0.0):
    """Points and their pixels; each point is not seen by some of the cameras, but by two at least."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-60, 60, (N, 3))
    with jax.enable_x64(True):
        pixels = np.array(project_jit(rig, points)) + noise * rng.normal(size=(len(rig), N, 2))
    order = np.argsort(rng.random((len(rig), N)), axis=0)
    pixels[order < rng.integers(0, len(rig) - 1, N)] = np.nan
    return points, pixels


def pinhole(rig, points):
    """Pixels of cameras without lenses, by their matrices."""
    homogeneous = np.einsum("cij,nj->cni", projection_matrices(rig), np.c_[points, np.ones(len(points))])
    return homogeneous[..., :2] / homogeneous[..., 2:]


@pytest.mark.parametrize(
    ("method", "double"),
    [("linear", False), ("median", False), ("least_squares", True), ("ransac", False), ("ransac", True)],
)
def test_without_noise_it_is_exact(method, double):
    rig = make_rig(CAMERAS, fisheye=(2,))
    points, pixels = scene(rig, 1)
    with jax.enable_x64(double):
        result = jax.tree.map(np.asarray, triangulate(rig, pixels, method=method))
    tolerance = 1e-7 if double else 2e-3
    assert result.points.dtype == (np.float64 if double else np.float32)
    np.testing.assert_allclose(result.points, points, atol=tolerance)
    np.testing.assert_array_equal(result.used, np.isfinite(pixels[..., 0]))
    np.testing.assert_array_equal(result.views, result.used.sum(0))
    assert np.max(result.error) < 10 * tolerance and set(np.unique(result.views)) == {2, 3, 4, 5, 6}


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
    np.testing.assert_allclose(second.points, turn.apply(np.array(first.points)) + shift, atol=1e-4)
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
    rig = make_rig(CAMERAS, seed=4, fisheye=(2,))
    rng = np.random.default_rng(4)
    points = rng.uniform(-60, 60, (N, 3))
    pixels = np.array(project_jit(rig, points)) + rng.normal(size=(6, N, 2))
    wrong = np.argsort(rng.random((6, N)), axis=0) < 2
    angle = rng.uniform(0, 2 * np.pi, wrong.sum())
    pixels[wrong] += 60 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    results = {method: triangulate(rig, pixels, method=method, threshold=10) for method in IN_SINGLE}
    errors = {method: np.linalg.norm(result.points - points, axis=-1) for method, result in results.items()}
    assert (np.asarray(results["ransac"].used) == ~wrong).mean() > 0.98
    assert errors["ransac"].mean() < 0.6 < errors["median"].mean() < errors["linear"].mean() / 1.5
    assert np.asarray(results["ransac"].error).max() < 5 < np.asarray(results["linear"].error).min()


def test_nobody_sees_backwards():
    """Far points lie behind some of the cameras, whose pixels are those of mirror images: consensus leaves them out."""
    rig = make_rig(CAMERAS, seed=9)
    directions = np.random.default_rng(9).normal(size=(N, 3))
    points = 800 * directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    with jax.enable_x64(True):
        ahead = np.asarray(jax.jit(depth)(rig, points)) > 0
        result = triangulate(dataclasses.replace(rig, distortion=0 * rig.distortion), pinhole(rig, points))
    enough = ahead.sum(0) >= 2
    assert (~ahead).sum() > N
    np.testing.assert_array_equal(np.asarray(result.used)[:, enough], ahead[:, enough])
    np.testing.assert_allclose(np.asarray(result.points)[enough], points[enough], atol=1e-4)


def test_linear_solution_is_nearly_that_of_least_squares():
    """With cameras at quite different depths, the second pass makes the errors those in pixels."""
    rig = make_rig(CAMERAS, seed=10, fisheye=(2,))
    near = rig.translation * np.linspace(0.5, 2.5, CAMERAS)[:, None]
    points, pixels = scene(dataclasses.replace(rig, translation=near), 10, noise=1)
    rig = dataclasses.replace(rig, translation=near)
    with jax.enable_x64(True):
        best = np.asarray(triangulate(rig, pixels, method="least_squares").points)
    found = np.asarray(triangulate(rig, pixels, method="linear").points)
    apart, off = (np.sqrt(np.mean((array - other) ** 2)) for array, other in ((found, best), (best, points)))
    assert apart < 0.15 * off


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
    rig = make_rig(CAMERAS, seed=6, fisheye=(2,))
    points = np.random.default_rng(6).uniform(-60, 60, (N, 3))
    pixels = np.array(project_jit(rig, points))
    likelihood = np.random.default_rng(0).random((CAMERAS, N))
    likelihood[0, 0], pixels[:, 1], likelihood[1:, 2] = np.nan, np.nan, 0
    spoilt = np.where((likelihood >= 0.4)[..., None], pixels, pixels + 50)
    for method in IN_SINGLE:
        result = triangulate(rig, spoilt, likelihood, cut=0.4, method=method)
        counts = (likelihood >= 0.4).sum(0) * (np.arange(N) != 1)
        np.testing.assert_array_equal(result.views[counts != 1], counts[counts != 1])
        enough = counts >= 2
        np.testing.assert_allclose(np.asarray(result.points)[enough], points[enough], atol=5e-3)
        for array in (result.points, result.error, result.covariance):
            assert np.isnan(np.asarray(array)[~enough]).all() and np.isfinite(np.asarray(array)[enough]).all()


def test_nothing_seen_gives_nothing():
    result = triangulate(make_rig(CAMERAS), np.full((CAMERAS, 5, N // 5, 2), np.nan))
    assert np.isnan(result.points).all() and result.points.shape == (5, N // 5, 3)
    assert not np.any(result.views) and np.isnan(result.noise)
    assert triangulate(make_rig(2), np.zeros((2, 0, 2)), method="linear").points.shape == (0, 3)


def test_chunks_do_not_show(monkeypatch):
    rig = make_rig(CAMERAS)
    _, pixels = scene(rig, 7, noise=2)
    whole = triangulate(rig, pixels, noise=1)
    monkeypatch.setattr(triangulation, "AT_ONCE", 7 * CAMERAS**3)
    pieces = triangulate(rig, pixels[:, :-1], noise=1)  # another shape, so that the program is another
    for name in ("points", "error", "views", "covariance"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name)[:-1], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(pieces.used, whole.used[:, :-1])


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
    """100 frames of a rat, DeepLabCut's points in six views. Their stored median of pairs is 9.31 mm off, most of it by
    two joints that are wrong in most views.
    """
    file = shared_data / "rat7m-extract" / "mock_data.npz"
    rig, data = read_calibration(file), np.load(file)
    pixels, truth = data["observed_pos_2d"].swapaxes(0, 1), data["groundtruth_pos_3d"]

    def error(points):
        return np.nanmean(np.linalg.norm(np.asarray(points) - truth, axis=-1))

    assert error(data["triangulated_pos_3d"]) == pytest.approx(9.31, abs=0.01)
    errors = {method: error(triangulate(rig, pixels, method=method).points) for method in ("median", "ransac")}
    print(errors)
    assert errors["median"] < 9.6 and errors["ransac"] < 9.4


def test_mouse_against_its_labels(shared_data):
    """DANNCE's six cameras with lenses and skew: the labels in 3D project onto those in 2D, which give them back."""
    file = shared_data / "dannce-mouse" / "label3d_dannce.mat"
    rig = read_calibration(file)
    labels = [camera for camera in loadmat(file, variable_names=["labelData"], simplify_cells=True)["labelData"]]
    pixels = np.stack([camera["data_2d"].reshape(-1, 22, 2) for camera in labels]) - 1  # MATLAB counts from 1
    points = labels[0]["data_3d"].reshape(-1, 22, 3)
    apart = np.linalg.norm(np.asarray(project_jit(rig, points)) - pixels, axis=-1)
    assert np.nanmax(apart) < 2e-3  # float32
    result = triangulate(rig, pixels, method="least_squares")
    there = np.asarray(result.views) >= 2
    assert there.mean() > 0.9
    np.testing.assert_allclose(np.asarray(result.points)[there], points[there], atol=2e-3)
