"""Model 1 finds outliers, and its positions are a maximum of the density of the mixture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d import model0, model1, noise
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.problem import pixel_pull, pose, walk_pull
from tests.pose3d.conftest import pixels_of, ring, walking

CAMERAS = ring(5)


@pytest.fixture(scope="module")
def seen():
    """The truth [60, 4, 3], its pixels with outliers that last, and which these are [60, 5, 4]."""
    rng = np.random.default_rng(1)
    truth = walking(rng, 60)
    pixels = pixels_of(CAMERAS, truth) + rng.normal(scale=2, size=(60, 5, 4, 2))
    wrong = np.repeat(rng.random((6, 5, 4)) < 0.2, 10, 0)
    pixels[wrong] += rng.normal(scale=80, size=(wrong.sum(), 2))
    return truth, pixels, wrong


def prior_of(probability=0.2, shape=(5, 4)):
    level = lambda value: np.full(shape, value)  # noqa: E731
    return Prior(np.full(4, 3.0), Noise(level(4.0), level(6400.0), level(probability)), None, None, tuple("abcd"))


def error(fit, truth):
    return np.linalg.norm(fit.mean - truth, axis=-1).mean()


def test_outliers_are_found_and_do_no_harm(seen):
    truth, pixels, wrong = seen
    fit = model1.fit(Observations(pixels), CAMERAS, prior_of())
    assert fit.converged.all() and error(fit, truth) < 1.2
    assert error(model0.fit(Observations(pixels), CAMERAS, prior_of()), truth) > 5 * error(fit, truth)
    assert ((fit.outliers > 0.5) == wrong).mean() > 0.99


@pytest.mark.parametrize("kind", ["student_t", "huber"])
def test_alternatives_are_robust_too(seen, kind):
    truth, pixels, wrong = seen
    fit = model1.fit(Observations(pixels), CAMERAS, prior_of(), noise=kind)
    assert fit.converged.all() and error(fit, truth) < 2
    assert np.median(fit.outliers[wrong]) > 0.7 and np.median(fit.outliers[~wrong]) < 0.1


def test_without_outliers_in_the_prior_it_is_model_0(seen):
    truth, pixels, _ = seen
    one, zero = (model.fit(Observations(pixels), CAMERAS, prior_of(0.0), truth) for model in (model1, model0))
    np.testing.assert_allclose(one.mean, zero.mean, atol=1e-3)
    np.testing.assert_allclose(one.covariance, zero.covariance, rtol=1e-3, atol=1e-5)
    assert (one.outliers == 0).all()


def test_surprise_never_rises_and_ends_in_a_stationary_point(seen, x64):
    truth, pixels, _ = seen
    problem, origin = pose(Observations(pixels), CAMERAS, prior_of())

    @jax.jit
    def surprise(positions):
        pixels, _ = pixel_pull(problem, positions, noise.mixture)
        return (pixels.value + walk_pull(positions, problem.step_precision).value).sum(0)

    before = surprise(jnp.asarray(truth - origin))
    fit = model1.fit(Observations(pixels), CAMERAS, prior_of(), truth)
    at = fit.mean - origin
    np.testing.assert_allclose(surprise(at), fit.surprise, rtol=1e-9)
    assert (fit.surprise < before).all()
    gradient = jax.jit(jax.grad(lambda positions: surprise(positions).sum()))(at)
    newton = jnp.einsum("tki,tkij,tkj->tk", gradient, fit.covariance, gradient)  # squared, in deviations
    assert newton.max() < 0.02**2


def test_likelihoods_frame_by_frame(seen):
    truth, pixels, wrong = seen
    informed = prior_of(shape=wrong.shape)
    informed.noise.probability[:] = np.where(wrong, 0.98, 0.02)
    fit = model1.fit(Observations(pixels), CAMERAS, informed)
    assert error(fit, truth) <= error(model1.fit(Observations(pixels), CAMERAS, prior_of()), truth) + 0.02


def test_an_unknown_noise_is_one_sentence(seen):
    with pytest.raises(InputError, match="noise 'student' is unknown: did you mean 'student_t'"):
        model1.fit(Observations(seen[1]), CAMERAS, prior_of(), noise="student")
