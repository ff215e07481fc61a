"""Noise and steps by EM: expectations against a dense Gaussian, and numbers that a recording was made with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.pose3d import noise as noises
from pawjax.pose3d.cameras import projection_matrices
from pawjax.pose3d.expectation import expect, learn_noise_and_steps
from pawjax.pose3d.fitting import fit_views, learn_prior, triangulate_views
from pawjax.pose3d.model0 import fit_problem
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.problem import pose, start_of
from pawjax.pose3d.rig import project
from pawjax.pose3d.settings import Settings
from tests.pose3d.rigs import make_rig, project_jit

REGION = 7.815  # squared deviations within which a Gaussian in three dimensions has 95 % of its mass
STEP, NOISE = 1.5, 3.0  # mm and px
NAMES = ("nose", "neck", "tail")


def walks(frames: int, seed: int = 0) -> np.ndarray:
    """Positions [T, 3, 3] of bodyparts that walk at random, within the view."""
    steps = np.random.default_rng(seed).normal(0, STEP, (frames, len(NAMES), 3))
    return np.cumsum(steps, 0) - np.cumsum(steps, 0).mean(0)


def seen(n_cameras: int, truth: np.ndarray, wrong: float = 0.0) -> tuple:
    """A rig without lenses, and what it sees with noise: pixels [C, T, K, 2]."""
    rig, rng = make_rig(n_cameras, seed=1, lens=0), np.random.default_rng(2)
    with jax.enable_x64(True):
        pixels = np.array(project_jit(rig, truth))
    pixels += NOISE * rng.normal(size=pixels.shape)
    far = rng.random(pixels.shape[:-1]) < wrong
    pixels[far] += rng.normal(0, 80, (far.sum(), 2))
    return rig, pixels


def test_expectations_are_those_of_a_dense_gaussian():
    """Whose precision is made of Jacobians by jax.jacfwd, all positions at once."""
    truth = walks(4)[:, :1]
    rig, pixels = seen(2, truth)
    with jax.enable_x64(True):
        noise = Noise(np.array([[4.0], [9.0]]), np.full((2, 1), 1e4), np.zeros((2, 1)))
        prior = Prior(np.array([STEP**2]), noise, None, None, NAMES[:1])
        problem, origin = pose(Observations(pixels.swapaxes(0, 1)), projection_matrices(rig), prior)
        start = start_of(problem, truth, origin)
        found = jax.tree.map(np.asarray, expect(problem, start))
        mode = fit_problem(problem, start, noises.mixture).mean

        def residuals(flat):
            return (problem.measured.pixels - project(problem.rig, flat.reshape(mode.shape))[0]) / jnp.sqrt(
                noise.inlier[..., None]
            )

        slope = np.asarray(jax.jacfwd(residuals)(mode.ravel())).reshape(-1, mode.size)
        left = np.kron(np.diff(np.eye(4), axis=0), np.eye(3)) / STEP
        covariance = np.linalg.inv(slope.T @ slope + left.T @ left)
        spread = np.einsum("ij,jk,ik->i", slope, covariance, slope).reshape(4, 2, 1, 2)
        squared = ((np.asarray(residuals(mode.ravel())) ** 2 + spread) * noise.inlier[..., None]).sum(-1)
        moved = STEP**2 * ((left @ np.asarray(mode).ravel()) ** 2 + np.einsum("ij,jk,ik->i", left, covariance, left))
    np.testing.assert_allclose(found.squared, squared, rtol=1e-5)
    np.testing.assert_allclose(found.steps, [moved.mean()], rtol=1e-5)
    np.testing.assert_allclose(found.outlier, 0, atol=1e-12)


def test_learned_error_bars_are_honest():
    """Also of two cameras, whose triangulated points leave a quarter of the noise in their residuals."""
    truth, wrong = walks(400), 0.1
    rig, pixels = seen(2, truth, wrong)
    likelihood, settings = np.ones(pixels.shape[:-1]), Settings(model="model1", cut=0.0)
    start = triangulate_views(rig, pixels, likelihood, settings)
    views = rig, pixels, likelihood, None
    prior = learn_prior(*views, start, settings, NAMES, None, None)
    np.testing.assert_allclose(np.sqrt(prior.noise.inlier), NOISE, rtol=0.2)
    np.testing.assert_allclose(np.sqrt(prior.step_variance), STEP, rtol=0.15)
    assert np.mean(prior.noise.probability) == pytest.approx(wrong, abs=0.02)
    fit, _ = fit_views(*views, settings, prior, start)
    off = fit.mean - truth
    squared = np.einsum("tki,tkij,tkj->tk", off, np.linalg.inv(fit.covariance), off)
    assert 0.9 < (squared < REGION).mean() < 0.98


def test_what_tracks_and_likelihoods_say_is_not_learned_again():
    """And a long recording is learned from stretches of it."""
    truth = walks(1200)
    rig, pixels = seen(3, truth)
    rng = np.random.default_rng(3)
    own = np.broadcast_to(4 * np.eye(2), (*pixels.shape, 2))
    pixels += 2 * rng.normal(size=pixels.shape)
    said = np.where(rng.random(pixels.shape[:-1]) < 0.2, 0.9, 0.0)
    wrong = (rng.random(said.shape) < said) | (rng.random(said.shape) < 0.05)
    pixels[wrong] += rng.normal(0, 80, (wrong.sum(), 2))
    observations = Observations(pixels.swapaxes(0, 1), own.swapaxes(0, 1))
    with jax.enable_x64(True):
        matrices = np.asarray(projection_matrices(rig))
    noise, steps = learn_noise_and_steps(
        observations, matrices, said.swapaxes(0, 1), np.full_like(truth, np.nan), 5.0, np.full(len(NAMES), 9.0)
    )
    np.testing.assert_allclose(np.sqrt(noise.inlier), NOISE, rtol=0.2)
    np.testing.assert_allclose(np.sqrt(steps), STEP, rtol=0.2)
    assert np.mean(noise.probability) == pytest.approx(0.05, abs=0.02)


def test_a_camera_that_hardly_sees_a_bodypart_has_the_noise_of_all():
    truth = walks(100)
    rig, pixels = seen(3, truth)
    pixels[0, 10:, 1] = np.nan
    noise, _ = learn_noise_and_steps(
        Observations(pixels.swapaxes(0, 1)),
        np.asarray(projection_matrices(rig)),
        np.zeros((100, 3, len(NAMES))),
        truth,
        NOISE,
        np.full(len(NAMES), STEP**2),
    )
    assert np.sqrt(noise.inlier[0, 1]) == pytest.approx(NOISE, rel=0.2)
    assert np.isfinite(noise.outlier).all() and noise.probability[0, 1] < 0.02
