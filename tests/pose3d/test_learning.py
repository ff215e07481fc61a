"""A prior from a recording's own triangulation: its numbers are those that the recording was made with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d.cameras import projection_matrices, undistort
from pawjax.pose3d.fitting import learn_prior, triangulate_views
from pawjax.pose3d.learning import learn_body, noise_of, trusted
from pawjax.pose3d.parameters import Noise
from pawjax.pose3d.settings import Settings, check_fields, default_config, variant
from pawjax.pose3d.views import residuals, undistorted, undistorted_covariance
from tests import recorded


def test_points_that_jump_or_fit_badly_are_not_trusted():
    rng = np.random.default_rng(0)
    points = np.cumsum(rng.normal(size=(100, 2, 3)), 0)
    error, views = np.full((100, 2), 1.0), np.full((100, 2), 3)
    points[40, 0] += 200
    error[50, 0], views[60, 1], points[70, 1] = 30, 2, np.nan
    missing = np.argwhere(np.isnan(trusted(points, error, views, 4)[..., 0]))
    assert missing.tolist() == [[40, 0], [50, 0], [60, 1], [70, 1]]
    hidden = np.stack([views[:, 0], np.where(np.arange(100) < 5, 3, 2)], -1)  # of the second, hardly ever three
    assert np.argwhere(np.isnan(trusted(points, error, hidden, 4)[..., 0])).tolist() == [[40, 0], [50, 0], [70, 1]]
    pair = trusted(points, error, np.full((100, 2), 2), 2)  # of two cameras there are never three
    assert np.argwhere(np.isnan(pair[..., 0])).tolist() == [[40, 0], [50, 0], [70, 1]]


def test_learned_numbers_are_those_of_the_recording():
    rig, truth = recorded.rig(), recorded.make_truth(200)
    pixels, likelihood = recorded.see(rig, truth)
    settings = Settings(model="model2", cut=0.0)
    start = triangulate_views(rig, pixels, likelihood, settings)
    prior = learn_prior(rig, pixels, likelihood, None, start, settings, recorded.BODYPARTS, recorded.PARENTS, None)
    lengths = np.linalg.norm(truth - truth[:, list(recorded.PARENTS)], axis=-1).mean(0)
    np.testing.assert_allclose(prior.limbs.length[1:], lengths[1:], rtol=0.02)
    steps = (np.diff(truth, axis=0) ** 2).mean((0, 2))
    assert ((prior.step_variance > 0.95 * steps) & (prior.step_variance < steps + 0.2)).all()
    assert np.sqrt(prior.noise.inlier).mean() == pytest.approx(recorded.NOISE, rel=0.1)
    assert (prior.noise.probability < recorded.WRONG).all()  # likelihoods say the most
    assert prior.states is None and prior.bodyparts == recorded.BODYPARTS


def test_guesses_at_a_hidden_place_teach_no_limb():
    """In most frames all cameras put a paw at the same wrong place, and say that it is unlikely."""
    rig, truth = recorded.rig(), recorded.make_truth(200)
    pixels, likelihood = recorded.see(rig, truth)
    guessed, frames = truth + [0, 0, -8.0], np.arange(200) % 10 < 7
    seen = np.asarray(recorded.project_jit(rig, guessed))
    pixels[:, frames, 3], likelihood[:, frames, 3] = seen[:, frames, 3], 0.2
    settings = Settings(model="model2", cut=0.0)
    start = triangulate_views(rig, pixels, likelihood, settings)
    body = recorded.BODYPARTS, recorded.PARENTS, None
    prior = learn_prior(rig, pixels, likelihood, None, start, settings, *body)
    lengths = np.linalg.norm(truth - truth[:, list(recorded.PARENTS)], axis=-1).mean(0)
    np.testing.assert_allclose(prior.limbs.length[1:], lengths[1:], rtol=0.03)


def test_limbs_vary_without_the_noise_of_points():
    rng = np.random.default_rng(0)
    root, along = rng.normal(0, 100, (4000, 3)), rng.normal(size=(4000, 3))
    along *= rng.normal(50, 3, (4000, 1)) / np.linalg.norm(along, axis=-1, keepdims=True)
    points = np.stack([root, root + along], 1) + rng.normal(0, 2, (4000, 2, 3))
    covariance = np.broadcast_to(4 * np.eye(3), (4000, 2, 3, 3))
    limbs, states = learn_body(Settings(model="model2"), ("hip", "knee"), points, covariance, (0, 0), None)
    assert limbs.length[1] == pytest.approx(50, abs=0.5) and limbs.variance[1] == pytest.approx(9, rel=0.1)
    assert states is None and learn_body(Settings(model="model1"), ("hip", "knee"), points, covariance, None, None) == (
        None,
        None,
    )


def test_too_few_points_are_named():
    rig = recorded.rig()
    pixels, likelihood = recorded.see(rig, recorded.make_truth())
    pixels[:, 1:, 3] = np.nan
    settings = Settings(model="model1")
    start = triangulate_views(rig, pixels, likelihood, settings)
    with pytest.raises(InputError, match=r"1 of 5 bodyparts \(paw_L\) have too few points"):
        learn_prior(rig, pixels, likelihood, None, start, settings, recorded.BODYPARTS, None, None)
    with pytest.raises(InputError, match="no bodypart is ever seen by two cameras at once"):
        triangulate_views(rig, np.where(np.arange(4)[:, None, None, None] > 0, np.nan, pixels), likelihood, settings)


def test_likelihoods_raise_the_probability_of_outliers():
    noise = Noise(np.full((2, 3), 1.0), np.full((2, 3), 100.0), np.full((2, 3), 0.1))
    likelihood = np.ones((5, 2, 3))
    likelihood[0, 0, 0] = 0.05
    said = noise_of(Settings(model="model1"), noise, likelihood).probability
    assert said.shape == (5, 2, 3) and said[0, 0, 0] > 0.99
    np.testing.assert_allclose(said[1:], 0.1, atol=1e-4)
    for settings, values in (
        (Settings(model="model1", likelihoods=False), likelihood),
        (Settings(model="gimbal"), np.ones((5, 2, 3))),  # all the same tell nothing
    ):
        assert noise_of(settings, noise, values) is noise
    gaussian = noise_of(Settings(model="model0"), noise, likelihood)
    assert (gaussian.probability == 0).all() and gaussian.inlier == pytest.approx(0.9 * 1 + 0.1 * 100)


def test_views_without_lenses_fit_projection_matrices():
    """And a covariance goes with the derivative of the lens, here by jax.jacfwd, at the corners of the frame."""
    rig, truth = recorded.rig(), recorded.make_truth(3)
    pixels = np.asarray(recorded.project_jit(rig, truth), np.float64)
    assert np.abs(residuals(rig, pixels, truth)).max() < 1e-2
    with jax.enable_x64(True):
        ideal = np.einsum("cij,tkj->ctki", projection_matrices(rig), np.concatenate([truth, np.ones((3, 5, 1))], -1))
        np.testing.assert_allclose(undistorted(rig, pixels), ideal[..., :2] / ideal[..., 2:], atol=1e-2)
        corners = np.array([[30.0, 40.0], [600, 550]])
        slopes = np.stack([jax.jacfwd(lambda x: undistort(rig, jnp.stack([x] * 4)))(x) for x in corners])
    covariance = np.array([[4.0, 1.5], [1.5, 2.0]])
    expected = np.einsum("ncij,jk,nclk->cnil", slopes, covariance, slopes)
    shape = (4, 1, 2, 2)
    at, spread = np.broadcast_to(corners, shape), np.broadcast_to(covariance, (*shape, 2))
    found = undistorted_covariance(rig, at, spread)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(found - covariance).max() > 0.3


def test_settings_are_checked():
    config = default_config()
    assert dataclasses.asdict(Settings.of(config)) == config.to_dict()
    config.states = 90
    assert variant(config, "smoke").states == 4
    for field, value, words in (
        ("cut", 2.0, "from 0 to 1"),
        ("overlap", 1000, "twice config.overlap"),
        ("form", "x", "one of"),
    ):
        with pytest.raises(InputError, match=words):
            Settings.of({**default_config().to_dict(), field: value})
    other = default_config()
    with other.unlocked():
        other.more = 1
    with pytest.raises(InputError, match="unknown config field config.more"):
        check_fields(other)
