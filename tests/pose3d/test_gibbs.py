"""Draws of the posterior: each conditional and transition against its law, and a tiny GIMBAL against integration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pawjax.pose3d import gibbs, gimbal, hamiltonian, model0, model1, sweeps, von_mises
from pawjax.pose3d.block_tridiagonal import factorise
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior
from pawjax.pose3d.problem import pose
from tests.pose3d.conftest import LENGTHS, PARENTS, affine, pixels_of, ring, walking


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 0.4, 5.0, 300.0, 1e5])
def test_von_mises_is_that_of_scipy(kappa):
    drawn = np.asarray(jax.jit(von_mises.sample)(jax.random.key(1), jnp.zeros(20_000), jnp.full(20_000, kappa)))
    law = stats.vonmises(kappa) if kappa else stats.uniform(-np.pi, 2 * np.pi)
    law = stats.norm(scale=kappa**-0.5) if kappa > 1e4 else law
    assert np.abs(drawn).max() <= np.pi + 1e-6 and stats.kstest(drawn, law.cdf).pvalue > 1e-3


def test_a_transition_leaves_a_density_as_it_is():
    """Chains that start from exact draws of exp(-x^4 / 4) stay such draws, though the Gaussian is a bad one."""
    count = 40_000
    rng = np.random.default_rng(0)
    exact = (4 * rng.gamma(0.25, size=count)) ** 0.25 * rng.choice([-1, 1], count)
    factor = factorise(jnp.full((1, count, 1, 1), 2.0), jnp.zeros((0, count, 1, 1)))
    gaussian = hamiltonian.Gaussian(jnp.full((1, count, 1), 0.4), factor)
    energy = lambda x: hamiltonian.Energy((x**4 / 4).sum(-1), x**3, ())  # noqa: E731
    white = jnp.asarray((exact - 0.4) * np.sqrt(2.0), jnp.float32)[None, :, None]
    move = jax.jit(lambda key, white: hamiltonian.transition(key, energy, gaussian, white, jnp.full(count, 1.1), 3))
    for turn in range(6):
        left, (white, after, accepted) = white, move(jax.random.key(turn), white)
    x = np.asarray(gaussian.place(white)).ravel()
    np.testing.assert_allclose(after.value[0], x**4 / 4, rtol=1e-4, atol=1e-5)
    assert 0.4 < accepted.mean() < 0.97 and np.corrcoef(x, exact)[0, 1] < 0.5
    assert stats.ks_2samp(x, exact).pvalue > 1e-3 and abs((x**4).mean() - 1) < 0.03  # E[x U'(x)] = 1
    y = np.asarray(gaussian.place(left)).ravel()
    places = (lambda a: a > 1), (lambda a: abs(a) < 0.3), (lambda a: a < -0.2)
    for one, other in itertools.combinations(places, 2):  # detailed balance: as often there as back
        there, back = (one(y) & other(x)).sum(), (one(x) & other(y)).sum()
        assert there > 100 and abs(int(there) - int(back)) < 4 * (there + back) ** 0.5


def level(value, cameras=3, bodyparts=4):
    return np.full((cameras, bodyparts), value)


def test_linear_gaussian_posterior_is_drawn_exactly(x64):
    cameras, truth = affine(3), walking(np.random.default_rng(2), 8)
    seen = Observations(pixels_of(cameras, truth) + 2 * np.random.default_rng(3).normal(size=(8, 3, 4, 2)))
    prior = Prior(np.full(4, 2.0), Noise(level(4.0), level(1e4), level(0.0)), None, None, tuple("abcd"))
    fit = model0.fit(seen, cameras, prior)
    draws = gibbs.sample(jax.random.key(0), seen, cameras, prior, fit, chains=20, burn_in=30, kept=50, thin=2)
    assert draws.positions.shape == (20, 50, 8, 4, 3) and draws.accepted.min() > 0.999
    deviation = np.sqrt(np.diagonal(fit.covariance, axis1=-2, axis2=-1))
    assert np.abs((draws.mean - fit.mean) / deviation).max() < 0.15
    sizes = deviation[..., :, None] * deviation[..., None, :]
    np.testing.assert_allclose(draws.covariance / sizes, fit.covariance / sizes, atol=0.2)
    pooled = np.asarray(draws.positions).reshape(-1, 8, 4, 3)
    np.testing.assert_allclose(pooled.std(0), deviation, rtol=0.15)


def test_outliers_of_model_1_are_those_of_the_fit():
    rng = np.random.default_rng(4)
    cameras, truth = ring(5), walking(rng, 20)
    pixels = pixels_of(cameras, truth) + 2 * rng.normal(size=(20, 5, 4, 2))
    wrong = rng.random((20, 5, 4)) < 0.15
    pixels[wrong] += rng.normal(scale=60, size=(wrong.sum(), 2))
    prior = Prior(np.full(4, 3.0), Noise(*(level(v, 5) for v in (4.0, 3600.0, 0.15))), None, None, tuple("abcd"))
    fit = model1.fit(Observations(pixels), cameras, prior, truth)
    draws = gibbs.sample(jax.random.key(0), Observations(pixels), cameras, prior, fit, burn_in=100, kept=40)
    assert 0.5 < draws.accepted.min() and np.abs(draws.outliers - fit.outliers).mean() < 0.02
    off = draws.mean - truth
    inside = np.einsum("tki,tkij,tkj->tk", off, np.linalg.inv(draws.covariance), off) < stats.chi2(3).ppf(0.95)
    assert 0.88 < inside.mean() <= 1


def test_headings_have_their_law_on_a_grid(monkeypatch):
    """Given directions u and states, p(h) is as exp(sum of kappa mu . R(-h) u): each limb counts with its kappa."""
    rng, count = np.random.default_rng(7), 20_000
    vectors = rng.normal(size=(2, 3, 3))
    mean, u = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    kappa = np.array([1.0, 0.6, 4.0])  # the root's counts for nothing
    states = PoseStates(*map(jnp.asarray, (mean[None], kappa[None], np.ones(1), np.ones((1, 1)))), (0, 1))
    limbs = Limbs(jnp.array([0.0, 40, 30]), jnp.array([jnp.inf, 100, 100]), (0, 0, 1))
    monkeypatch.setattr(sweeps.vmf, "sample", lambda key, natural: jnp.broadcast_to(jnp.asarray(u), natural.shape))
    model = sweeps.Model(None, limbs, states)
    place = jnp.zeros((count, 3, 3)), jnp.full(count, 2.0), jnp.zeros(count, int)
    drawn = np.asarray(sweeps.draw_heading(jax.random.split(jax.random.key(8)), model, *place))
    grid = np.linspace(-np.pi, np.pi, 2001)
    cosine, sine = np.cos(grid)[:, None], np.sin(grid)[:, None]
    x, y, z = u.T
    turned = np.stack([cosine * x + sine * y, cosine * y - sine * x, 0 * cosine + z], -1)  # R(-h) u
    density = np.exp((kappa[:, None] * mean * turned)[:, 1:].sum((-1, -2)))
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    law = lambda angle: np.interp(angle, grid, below / below[-1])  # noqa: E731
    assert stats.kstest(np.angle(np.exp(1j * drawn)), law).pvalue > 1e-3


@pytest.fixture(scope="module")
def tiny():
    """One frame of a root and a loose limb, seen by three cameras; two pose states."""
    rng = np.random.default_rng(5)
    truth = np.array([[[30.0, -20, 10], [50, 15, 12]]])
    cameras = ring(3)
    pixels = pixels_of(cameras, truth) + [[[[3.0, 0], [10, 4]], [[0, 2], [0, 0]], [[-2, 0], [-9, -9]]]]
    states = PoseStates(
        np.array([[[0, 0, 1], [1, 0, 0]], [[0, 0, 1], [0, 0.6, 0.8]]]),
        np.array([[0, 4.0], [0, 1.5]]),
        np.array([0.4, 0.6]),
        np.full((2, 2), 0.5),
        (0, 1),
    )
    noise = Noise(*(level(v, 3, 2) for v in (900.0, 40_000.0, 0.2)))
    limbs = Limbs(np.array([0, 40.0]), np.array([1, 100.0]), (0, 0))
    return Observations(pixels), cameras, Prior(np.full(2, 5.0), noise, limbs, states, ("root", "tip")), rng


def integrated(seen, cameras, prior, fit, rng):
    """Means of positions, squares, state 0 and exp(i heading), by importance sampling and a grid of headings."""
    problem, origin = pose(seen, cameras, prior)
    limbs, states = sweeps.model2.limbs_of(prior), jax.tree.map(lambda a: jnp.asarray(a, float), prior.states)
    model = sweeps.Model(problem, limbs, states)
    directions = gimbal.directions_of(states, limbs)
    at = np.asarray(fit.mean)[0].ravel() - np.tile(origin, 2)
    gaussian = sweeps.start(model, jnp.asarray(at.reshape(1, 2, 3)), fit.heading)
    precision = np.linalg.inv(gaussian.factor.inverse[0])
    covariance = 1.7 * np.linalg.inv(precision @ precision.T)
    law = stats.multivariate_t(at, covariance, df=6)
    draws = law.rvs(30_000, random_state=rng)
    grid = np.linspace(-np.pi, np.pi, 49)[:-1]

    def log_density(x):
        x = x.reshape(1, 2, 3)
        pixels, _ = sweeps.pixel_pull(problem, x, sweeps.noise.mixture)
        limb = (x[:, 1] - x[:, 0])[0]
        d = jnp.stack([jnp.zeros((len(grid), 3)), jnp.broadcast_to(limb, (len(grid), 3))], 1)
        given = gimbal.directions_given(limbs, directions, gimbal.turn(d, -jnp.asarray(grid)))
        stretch = (jnp.linalg.norm(limb) - 40) ** 2 / 200
        return given.log_likelihood + jnp.log(states.initial) - pixels.value.sum() - stretch

    joint = np.asarray(jax.jit(jax.vmap(log_density))(jnp.asarray(draws)))  # [N, headings, states]
    weight = np.exp(joint - law.logpdf(draws)[:, None, None] - joint.max())
    weight /= weight.sum()
    by_draw = weight.sum((1, 2))
    assert 1 / (by_draw**2).sum() > 2500  # effective draws
    mean = by_draw @ draws
    heading = weight.sum((0, 2)) @ np.exp(1j * grid)
    return mean + np.tile(origin, 2), by_draw @ (draws - mean) ** 2, weight[..., 0].sum(), heading


def test_a_tiny_gimbal_is_that_of_integration(tiny, x64):
    seen, cameras, prior, rng = tiny
    fit = gimbal.fit(seen, cameras, prior, np.array([[[30.0, -20, 10], [50, 15, 12]]]))
    mean, variance, first, heading = integrated(seen, cameras, prior, fit, rng)
    draws = gibbs.sample(jax.random.key(3), seen, cameras, prior, fit, chains=20, burn_in=100, kept=150, thin=4)
    assert draws.accepted.mean() > 0.8
    deviation = np.sqrt(variance)
    assert np.abs((draws.mean.ravel() - mean) / deviation).max() < 0.06
    np.testing.assert_allclose(draws.covariance[0][..., np.arange(3), np.arange(3)].ravel(), variance, rtol=0.1)
    assert abs(draws.states[0, 0] - first) < 0.03
    assert abs(np.exp(1j * np.asarray(draws.heading)).mean() - heading) < 0.04


@pytest.mark.parametrize("exact", [True, False])
def test_energy_has_its_gradient(exact):
    rng = np.random.default_rng(6)
    truth = walking(rng, 5)
    seen = Observations(pixels_of(ring(3), truth) + 5 * rng.normal(size=(5, 3, 4, 2)))
    with jax.enable_x64(exact):
        noise = Noise(level(9.0), level(900.0), level(0.3))
        prior = Prior(np.full(4, 2.0), noise, Limbs(LENGTHS, np.full(4, 1.0), PARENTS), None, tuple("abcd"))
        problem, origin = pose(seen, ring(3), prior)
        model = sweeps.Model(problem, sweeps.model2.limbs_of(prior), None)
        natural = jnp.asarray(rng.normal(scale=30, size=(5, 4, 3))).at[:, 0].set(0)
        x = jnp.asarray(truth - origin)
        found = jax.jit(sweeps.energy)(model, x, natural)
        step = 1e-5 if exact else 0.5
        moved = [x.at[2, 1, 0].add(step), x.at[2, 1, 0].add(-step)]
        up, down = (jax.jit(sweeps.energy)(model, place, natural).value.sum() for place in moved)
        slope = (up - down) / (2 * step)
    np.testing.assert_allclose(found.gradient[2, 1, 0], slope, rtol=1e-6 if exact else 0.02)
