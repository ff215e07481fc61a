"""Model 0 equals a Kalman smoother where cameras are affine; elsewhere it is the maximum of its own density."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from pawjax.errors import InputError
from pawjax.pose3d import model0, noise
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.problem import pixel_pull, pose, walk_pull
from tests.pose3d.conftest import affine, pixels_of, ring, walking

NAMES = ("root", "neck", "nose", "hip")


def prior_of(cameras, bodyparts=4, inlier=4.0, step=2.0):
    level = lambda value: np.full((cameras, bodyparts), value)  # noqa: E731
    steps = step * (1 + np.arange(bodyparts))
    return Prior(steps, Noise(level(inlier), level(1e4), level(0.1)), None, None, NAMES[:bodyparts])


@pytest.fixture
def seen():
    """Noisy observations [30, 3, 4] of affine cameras, with gaps and own covariances."""
    rng = np.random.default_rng(4)
    truth = walking(rng, 30)
    pixels = pixels_of(affine(3), truth) + rng.normal(scale=2, size=(30, 3, 4, 2))
    pixels[rng.random((30, 3, 4)) < 0.3] = np.nan
    pixels[10:15, :, 1] = np.nan
    roots = rng.normal(size=(30, 3, 4, 2, 2))
    return Observations(pixels, roots @ roots.swapaxes(-1, -2))


def kalman(cameras, observations, prior, k):
    """Means [T, 3] and covariances of bodypart k by the textbook's filter and smoother, from a wide first state."""
    means, covariances, ahead = [], [], []
    mean, covariance = np.array([30.0, -20, 10]), np.eye(3) * 1e9
    for t, frame in enumerate(observations.pixels[:, :, k]):
        if t:
            covariance = covariance + prior.step_variance[k] * np.eye(3)
        ahead.append((mean, covariance))
        for c, pixel in enumerate(frame):
            if np.isfinite(pixel).all():
                matrix = cameras[c, :2, :3]
                spread = matrix @ covariance @ matrix.T + observations.covariance[t, c, k]
                spread += prior.noise.inlier[c, k] * np.eye(2)
                gain = np.linalg.solve(spread, matrix @ covariance).T
                mean = mean + gain @ (pixel - cameras[c, :2, 3] - matrix @ mean)
                rest = np.eye(3) - gain @ matrix
                own = observations.covariance[t, c, k] + prior.noise.inlier[c, k] * np.eye(2)
                covariance = rest @ covariance @ rest.T + gain @ own @ gain.T
        means.append(mean)
        covariances.append(covariance)
    for t in range(len(means) - 2, -1, -1):
        back = np.linalg.solve(ahead[t + 1][1], covariances[t]).T
        means[t] = means[t] + back @ (means[t + 1] - ahead[t + 1][0])
        covariances[t] = covariances[t] + back @ (covariances[t + 1] - ahead[t + 1][1]) @ back.T
    return np.array(means), np.array(covariances)


@pytest.mark.parametrize("exact", [True, False])
def test_affine_cameras_give_the_kalman_smoother(seen, exact):
    cameras, prior = affine(3), prior_of(3)
    with jax.enable_x64(exact):
        fit = jax.tree.map(np.asarray, model0.fit(seen, cameras, prior))
    assert fit.mean.dtype == (np.float64 if exact else np.float32) and fit.converged.all()
    assert fit.steps <= 3  # the problem is linear
    digits = {"rtol": 1e-5, "atol": 1e-5} if exact else {"rtol": 1e-3, "atol": 2e-3}
    for k in range(4):
        mean, covariance = kalman(cameras, seen, prior, k)
        np.testing.assert_allclose(fit.mean[:, k], mean, **digits)
        np.testing.assert_allclose(fit.covariance[:, k], covariance, **digits)
    np.testing.assert_array_equal(np.isnan(fit.outliers), np.isnan(seen.pixels).any(-1))


def test_samples_have_the_posterior_mean_and_covariance(seen, x64):
    cameras, prior = affine(3), prior_of(3)
    fit = model0.fit(seen, cameras, prior)
    drawn = np.asarray(model0.sample(jax.random.key(3), seen, cameras, prior, 4000))
    off = drawn - np.asarray(fit.mean)
    scale = np.sqrt(np.diagonal(fit.covariance, axis1=-2, axis2=-1))
    assert np.abs(off.mean(0) / scale).max() < 5 / np.sqrt(4000)
    found = np.einsum("stki,stkj->tkij", off, off) / 4000
    sizes = scale[..., :, None] * scale[..., None, :]
    np.testing.assert_allclose(found / sizes, fit.covariance / sizes, atol=0.1)


def surprise_of(problem):
    """The model's own density, written with nothing but projections: a function of positions in the rig [T, K, 3]."""

    def surprise(positions):
        image = jnp.einsum("cij,tkj->tcki", problem.rig.matrices[..., :3], positions)
        image = image + problem.rig.matrices[:, None, :, 3]
        residuals = problem.measured.pixels - image[..., :2] / image[..., 2:]
        pixels = jnp.einsum("tcki,tckij,tckj->", residuals, problem.measured.precision, residuals)
        steps = (jnp.diff(positions, axis=0) ** 2 * problem.step_precision[:, None]).sum()
        return (pixels + steps) / 2

    return surprise


def test_perspective_maximum_and_curvature(x64):
    rng = np.random.default_rng(5)
    truth = walking(rng, 4)[:, :2]
    cameras, prior = ring(3), prior_of(3, 2)
    exact_pixels = pixels_of(cameras, truth)
    seen = Observations(exact_pixels + rng.normal(scale=3, size=exact_pixels.shape))
    fit = model0.fit(seen, cameras, prior)
    problem, origin = pose(seen, cameras, prior)
    surprise = surprise_of(problem)
    flat = lambda x: surprise(jnp.reshape(x, truth.shape))  # noqa: E731
    best = minimize(jax.jit(jax.value_and_grad(flat)), np.zeros(truth.size), jac=True, options={"gtol": 1e-9})
    np.testing.assert_allclose(fit.mean - origin, best.x.reshape(truth.shape), atol=1e-2)  # 1 % of a deviation
    noiseless, _ = pose(Observations(exact_pixels), cameras, prior)
    at = jnp.asarray(truth - _)
    pixels, _ = pixel_pull(noiseless, at, noise.gaussian)
    hessian = jax.jit(jax.hessian(surprise_of(noiseless)))(at)
    walk = walk_pull(at, noiseless.step_precision)
    for t in range(4):
        for k in range(2):  # without residuals, the curvature of Gauss and Newton is the Hessian
            np.testing.assert_allclose(pixels.curvature[t, k] + walk.curvature[t, k], hessian[t, k, :, t, k], rtol=1e-8)
    gradient = jax.jit(jax.grad(surprise))(at)
    pixels, _ = pixel_pull(problem, at, noise.gaussian)
    np.testing.assert_allclose(pixels.gradient + walk.gradient, gradient, rtol=1e-8, atol=1e-8)


def test_any_start_leads_to_the_same_maximum():
    rng = np.random.default_rng(6)
    cameras, truth = ring(4), walking(rng, 20)
    seen = Observations(pixels_of(cameras, truth) + rng.normal(scale=2, size=(20, 4, 4, 2)))
    one = model0.fit(seen, cameras, prior_of(4))
    start = truth + rng.normal(scale=30, size=truth.shape)
    start[3] = np.nan
    other = model0.fit(seen, cameras, prior_of(4), start)
    np.testing.assert_allclose(one.mean, other.mean, atol=0.02)
    assert np.linalg.norm(one.mean - truth, axis=-1).mean() < 2


def test_a_bodypart_that_is_hidden_for_long_stays_finite_and_uncertain():
    rng = np.random.default_rng(7)
    cameras, truth = ring(3), walking(rng, 400)
    pixels = pixels_of(cameras, truth) + rng.normal(size=(400, 3, 4, 2))
    pixels[50:, :, 2] = np.nan
    fit = model0.fit(Observations(pixels), cameras, prior_of(3))
    deviation = np.sqrt(fit.covariance[:, 2, 0, 0])
    assert np.isfinite(fit.mean).all() and deviation[20] < 1
    np.testing.assert_allclose(deviation[-1] ** 2, 350 * 6, rtol=0.03)  # as many steps of variance 2 * 3


def test_one_frame(x64):
    cameras, truth = ring(3), walking(np.random.default_rng(8), 1)
    fit = model0.fit(Observations(pixels_of(cameras, truth)), cameras, prior_of(3))
    np.testing.assert_allclose(fit.mean, truth, atol=1e-6)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"step_variance": np.array([1, 1, 1, 0.0])}, "prior.step_variance must be finite and positive"),
        ({"step_variance": np.ones(3)}, r"prior.step_variance has shape \(3,\) and must have \(4,\)"),
        ({"bodyparts": NAMES[:3], "step_variance": np.ones(3)}, "observations have 4 bodyparts and the prior has 3"),
        (
            {"noise": Noise(*np.ones((2, 3, 4)), np.full((3, 4), 1.5))},
            "noise.probability must be .* 0 to 1",
        ),
        ({"noise": Noise(np.ones((2, 4)), np.ones((3, 4)), np.ones((3, 4)))}, r"noise.inlier has shape \(2, 4\)"),
        ({"noise": Noise(np.zeros((3, 4)), np.ones((3, 4)), np.ones((3, 4)))}, "no positive definite matrix"),
    ],
)
def test_a_wrong_prior_is_one_sentence(change, words):
    pixels = pixels_of(ring(3), walking(np.random.default_rng(9), 5))
    with pytest.raises(InputError, match=words):
        model0.fit(Observations(pixels), ring(3), dataclasses.replace(prior_of(3), **change))


def test_bodyparts_that_one_camera_sees_are_named():
    pixels = pixels_of(ring(3), walking(np.random.default_rng(9), 5))
    pixels[:, 1:, 2] = np.nan
    with pytest.raises(InputError, match="fewer than two cameras see nose"):
        model0.fit(Observations(pixels), ring(3), prior_of(3))
    with pytest.raises(InputError, match=r"the start has shape \(5, 4\) and must have \(5, 4, 3\)"):
        model0.fit(Observations(np.nan_to_num(pixels)), ring(3), prior_of(3), np.zeros((5, 4)))
