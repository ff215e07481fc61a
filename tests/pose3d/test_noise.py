"""Each noise's weight is the gradient of its surprise, which is a log density; outliers follow from Bayes' rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import dblquad

from pawjax.pose3d import noise
from pawjax.pose3d.parameters import Noise, Observations

SHAPE = (3, 2, 4)


@pytest.fixture
def measured(x64):
    rng = np.random.default_rng(0)
    pixels = rng.normal(scale=20, size=(*SHAPE, 2))
    pixels[1, 0, 2] = [np.nan, 5]
    roots = rng.normal(size=(*SHAPE, 2, 2))
    covariance = roots @ roots.swapaxes(-1, -2)
    covariance[1, 0, 2] = np.nan
    model = Noise(rng.uniform(1, 9, SHAPE[1:]), rng.uniform(200, 900, SHAPE[1:]), rng.uniform(0.01, 0.9, SHAPE))
    return noise.measure(Observations(jnp.asarray(pixels), jnp.asarray(covariance)), model), covariance, model


@pytest.mark.parametrize("kind", [noise.gaussian, noise.mixture, noise.student_t, noise.huber])
def test_weight_is_the_gradient(measured, kind):
    measured, _, _ = measured
    residuals = jnp.asarray(np.random.default_rng(1).normal(scale=15, size=(*SHAPE, 2)))
    gradient = jax.grad(lambda residuals: kind(residuals, measured).surprise.sum())(residuals)
    evidence = kind(residuals, measured)
    pulled = jnp.einsum("tckij,tckj->tcki", evidence.weight, residuals)
    np.testing.assert_allclose(pulled, gradient, atol=1e-12)
    assert evidence.surprise[1, 0, 2] == 0 and (evidence.weight[1, 0, 2] == 0).all()
    hessian = jax.jacfwd(lambda residuals: jnp.einsum("tckij,tckj->tcki", kind(residuals, measured).weight, residuals))
    hessian = jnp.einsum("tckitckj->tckij", jax.jit(hessian)(residuals))
    convex = np.linalg.eigvalsh(hessian)[..., 0] > -1e-9
    assert convex.sum() >= 3
    np.testing.assert_allclose(evidence.curvature[convex], hessian[convex], atol=1e-9)
    assert (np.linalg.eigvalsh(evidence.curvature) > -1e-9).all()
    assert np.isnan(evidence.outlier[1, 0, 2]) and np.isnan(evidence.outlier).sum() == 1
    assert (np.linalg.eigvalsh(evidence.weight) > -1e-12).all()


def test_mixture_is_that_of_scipy(measured):
    measured, covariance, model = measured
    residuals = np.random.default_rng(2).normal(scale=10, size=(*SHAPE, 2))
    evidence = noise.mixture(jnp.asarray(residuals), measured)
    for t, c, k in [(0, 0, 0), (2, 1, 3), (1, 1, 2)]:
        inside = stats.multivariate_normal([0, 0], covariance[t, c, k] + model.inlier[c, k] * np.eye(2))
        outside = stats.multivariate_normal([0, 0], model.outlier[c, k] * np.eye(2))
        share, e = model.probability[t, c, k], residuals[t, c, k]
        density = (1 - share) * inside.pdf(e) + share * outside.pdf(e)
        np.testing.assert_allclose(evidence.surprise[t, c, k], -np.log(density))
        np.testing.assert_allclose(evidence.outlier[t, c, k], share * outside.pdf(e) / density)


def test_student_t_is_a_density(measured):
    measured, _, _ = measured
    one = noise.Measured(*(array[:1, :1, :1] for array in measured))
    density = jax.jit(lambda e: jnp.exp(-noise.student_t(e[None, None, None], one).surprise[0, 0, 0]))
    mass = dblquad(lambda y, x: float(density(jnp.array([x, y]))), -60, 60, -60, 60, epsabs=3e-3)[0]
    assert mass == pytest.approx(1, abs=0.02)


def test_certain_inliers_and_outliers(x64):
    pixels = jnp.zeros((1, 1, 2, 2))
    model = Noise(np.full((1, 2), 4.0), np.full((1, 2), 100.0), np.array([[0.0, 1.0]]))
    evidence = noise.mixture(jnp.full((1, 1, 2, 2), 30.0), noise.measure(Observations(pixels), model))
    np.testing.assert_array_equal(evidence.outlier[0, 0], [0, 1])
    np.testing.assert_allclose(evidence.weight[0, 0], [np.eye(2) / 4, np.eye(2) / 100])
    assert np.isfinite(evidence.surprise).all()
