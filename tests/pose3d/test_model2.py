"""Limbs of Model 2: the density of both forms, their relation, and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from pawjax.errors import InputError
from pawjax.pose3d import model1, model2, vmf
from pawjax.pose3d.parameters import Limbs, Noise, Observations, Prior
from tests.pose3d.conftest import LENGTHS, PARENTS, pixels_of, ring, walking

CAMERAS = ring(4)


def density_of_distance(form, length, variance, x=None):
    """The density of r = |d| under a form, a function of r; d has the density exp(-value) but for a constant."""
    limbs = Limbs(jnp.array([length]), jnp.array([variance]), (0,))
    value = jax.jit(lambda r: form(limbs, jnp.stack([r, 0 * r, 0 * r])[None, None], ()).value)
    shape = lambda r: 4 * np.pi * r**2 * np.exp(-float(value(jnp.asarray(r, float))))  # noqa: E731
    mass = quad(shape, 0, length + 12 * np.sqrt(variance), epsrel=1e-8)[0]
    return lambda r: shape(r) / mass


@pytest.mark.parametrize("length, variance", [(30.0, 1.0), (3.0, 4.0), (0.5, 9.0)])
def test_direction_form_is_a_gaussian_around_a_point_of_the_sphere(length, variance, x64):
    """The density of r in reference/pose3d.md 1.2, and draws from the model itself."""
    density = density_of_distance(model2.direction, length, variance)
    r = np.linspace(0.05, length + 5 * np.sqrt(variance), 9)
    normal = np.exp(-((r - length) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    expected = r / length * (1 - np.exp(-2 * length * r / variance)) * normal
    np.testing.assert_allclose([density(x) for x in r], expected, rtol=1e-6)
    rng = np.random.default_rng(0)
    unit = vmf.sample(jax.random.key(0), jnp.zeros((200_000, 3)))
    drawn = np.linalg.norm(length * unit + np.sqrt(variance) * rng.normal(size=unit.shape), axis=-1)
    edges = np.quantile(drawn, [0, 0.25, 0.5, 0.75, 1])
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        assert quad(density, low, high)[0] == pytest.approx(0.25, abs=0.005)


def test_forms_agree_for_stiff_limbs_and_differ_for_loose_ones(x64):
    def ratio(length, variance, r):
        """Of the density of d under the direction form to the distance form's factor."""
        limbs = Limbs(jnp.array([length]), jnp.array([variance]), (0,))
        values = [form(limbs, jnp.array([[[r, 0, 0]]]), ()).value for form in (model2.direction, model2.distance)]
        return float(jnp.exp(values[1] - values[0]))

    for length, variance in [(30.0, 1.0), (3.0, 4.0)]:
        known = lambda r: (1 - np.exp(-2 * length * r / variance)) / r  # noqa: B023, E731
        for r in (0.5 * length, 1.2 * length):
            expected = known(r) / known(length)
            assert ratio(length, variance, r) / ratio(length, variance, length) == pytest.approx(expected)
    means = [
        [quad(lambda r: r * density(r), 0, 40)[0] for density in pair]  # noqa: B023
        for pair in (
            [density_of_distance(form, *limb) for form in (model2.direction, model2.distance)]
            for limb in ((20.0, 0.25), (3.0, 4.0))
        )
    ]
    assert abs(means[0][0] - means[0][1]) < 0.02 and abs(means[1][0] - means[1][1]) > 0.3


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("form", [model2.direction, model2.distance])
def test_derivatives(form, exact):
    rng = np.random.default_rng(1)
    with jax.enable_x64(exact):
        limbs = Limbs(jnp.array([0, 40.0, 1.0, 30]), jnp.array([jnp.inf, 4.0, 9.0, 0.5]), PARENTS)
        scale = np.array([0, 39.0, 2.0, 31.0])[:, None]
        unit = rng.normal(size=(5, 4, 3))
        d = jnp.asarray(scale * unit / np.linalg.norm(unit, axis=-1, keepdims=True))
        pull = jax.jit(form)(limbs, d, ())
        gradient = jax.jit(jax.grad(lambda limb: form(limbs, d.at[:, 1:].set(limb), ()).value))(d[:, 1:])
        tolerance = {"rtol": 1e-9, "atol": 1e-10} if exact else {"rtol": 1e-4, "atol": 1e-4}
        np.testing.assert_allclose(pull.gradient[:, 1:], gradient, **tolerance)
        assert (np.linalg.eigvalsh(pull.curvature) > -1e-5).all() and (pull.gradient[:, 0] == 0).all()
        assert not pull.curvature[:, 0].any()
        if form is model2.direction and exact:
            at = lambda v: form(Limbs(limbs.length[3:], limbs.variance[3:], (0,)), v[None, None], ()).value  # noqa: E731
            hessian = jax.jit(jax.vmap(jax.hessian(at)))(d[:, 3])  # stretched, so that it is positive everywhere
            np.testing.assert_allclose(pull.curvature[:, 3], hessian, rtol=1e-7, atol=1e-8)


def prior_of(limbs=True):
    level = lambda value: np.full((4, 4), value)  # noqa: E731
    tree = Limbs(LENGTHS, np.full(4, 0.5), PARENTS) if limbs else None
    return Prior(np.full(4, 3.0), Noise(level(9.0), level(6400.0), level(0.2)), tree, None, tuple("abcd"))


@pytest.fixture(scope="module")
def seen():
    """The truth [40, 4, 3], and pixels in which the cameras that see the nose slowly lose it to something else."""
    rng = np.random.default_rng(2)
    truth = walking(rng, 40)
    pixels = pixels_of(CAMERAS, truth) + rng.normal(scale=3, size=(40, 4, 4, 2))
    ahead = np.clip((np.arange(40) - 10) / 15, 0, 2)[:, None]
    elsewhere = truth[:, 2] + ahead * (truth[:, 2] - truth[:, 1])
    pixels[10:, :2, 2] = pixels_of(CAMERAS, elsewhere[:, None])[10:, :2, 0]
    pixels[10:, 2:, 2] = np.nan
    return truth, pixels


@pytest.mark.parametrize("form", ["direction", "distance"])
def test_limbs_decide_between_two_stories(seen, form):
    truth, pixels = seen
    error = lambda fit: np.linalg.norm(fit.mean - truth, axis=-1)[20:, 2].mean()  # noqa: E731
    deceived = model1.fit(Observations(pixels), CAMERAS, prior_of(), truth)
    fit = model2.fit(Observations(pixels), CAMERAS, prior_of(), truth, form)
    assert fit.converged and error(fit) < 0.6 * error(deceived)
    stretched = np.linalg.norm(fit.mean[:, 2] - fit.mean[:, 1], axis=-1)
    np.testing.assert_allclose(stretched, LENGTHS[2], atol=2.5)


def test_float32_equals_float64(seen):
    truth, pixels = seen
    fits = []
    for exact in (True, False):
        with jax.enable_x64(exact):
            fits.append(jax.tree.map(np.asarray, model2.fit(Observations(pixels), CAMERAS, prior_of(), truth)))
    np.testing.assert_allclose(fits[1].mean, fits[0].mean, atol=0.05)
    np.testing.assert_allclose(fits[1].covariance, fits[0].covariance, rtol=0.05, atol=0.05)


def test_a_bodypart_that_no_camera_sees_lies_on_its_sphere(seen):
    truth, pixels = seen
    pixels = pixels.copy()
    pixels[:, :, 3] = np.nan
    start = truth.copy()
    start[:, 3] = np.nan
    start[0, 3] = truth[0, 3]
    fit = model2.fit(Observations(pixels), CAMERAS, prior_of(), start)
    assert np.isfinite(fit.mean).all() and np.isfinite(fit.covariance).all()
    np.testing.assert_allclose(np.linalg.norm(fit.mean[:, 3] - fit.mean[:, 0], axis=-1), LENGTHS[3], atol=3)
    assert np.trace(fit.covariance[20, 3]) > 10 * np.trace(fit.covariance[20, 1])


def test_what_is_missing_is_one_sentence(seen):
    with pytest.raises(InputError, match="the prior has no limbs: learn them"):
        model2.fit(Observations(seen[1]), CAMERAS, prior_of(False))
    with pytest.raises(InputError, match="form 'length' is unknown: use direction or distance"):
        model2.fit(Observations(seen[1]), CAMERAS, prior_of(), form="length")
    with pytest.raises(InputError, match="must form one tree"):
        Limbs(LENGTHS, LENGTHS, (0, 1, 1, 0))
