"""GIMBAL's densities, derivatives and headings against quadrature, jax.grad and grids; and a fit that needs it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d import gimbal, model2
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior
from tests.pose3d.conftest import LENGTHS, PARENTS, pixels_of, ring

CAMERAS = ring(4)


def unit(rng, *shape):
    vectors = rng.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def random_states(rng, number, kappa=(0.0, 60.0)):
    transitions = rng.dirichlet(np.ones(number), number)
    return PoseStates(
        jnp.asarray(unit(rng, number, 4)),
        jnp.asarray(rng.uniform(*kappa, (number, 4))),
        jnp.asarray(rng.dirichlet(np.ones(number))),
        jnp.asarray(transitions),
        (3, 0),
    )


def limbs_of(variance=4.0):
    return Limbs(jnp.asarray(LENGTHS), jnp.array([jnp.inf, variance, variance, variance]), PARENTS)


@jax.jit
def pull_of(limbs, states, differences, heading):
    return gimbal.limb_pull(limbs, states, gimbal.directions_of(states, limbs), differences, (heading, None))


@pytest.mark.parametrize("exact", [True, False])
def test_gradient_is_the_derivative(exact):
    rng = np.random.default_rng(0)
    with jax.enable_x64(exact):
        limbs, states = limbs_of(), jax.tree.map(lambda a: a.astype(float), random_states(rng, 5))
        d = jnp.asarray(LENGTHS[:, None] * unit(rng, 6, 4) * 1.1, float)
        heading = jnp.asarray(rng.uniform(-3, 3, 6), float)
        pull = pull_of(limbs, states, d, heading)
        value = lambda limb: pull_of(limbs, states, d.at[:, 1:].set(limb), heading).value  # noqa: E731
        gradient = jax.jit(jax.grad(value))(d[:, 1:])
    tolerance = {"rtol": 1e-8, "atol": 1e-8} if exact else {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(pull.gradient[:, 1:], gradient, **tolerance)
    np.testing.assert_array_equal(pull.gradient[:, 0], 0)
    assert (np.linalg.eigvalsh(pull.curvature) > -1e-4).all()


def test_curvature_of_one_state_is_the_hessian(x64):
    rng = np.random.default_rng(1)
    limbs, states = limbs_of(), random_states(rng, 1)
    heading = jnp.asarray(rng.uniform(-3, 3, 3))
    towards = gimbal.turn(jnp.broadcast_to(states.directions, (3, 4, 3)), heading)
    d = 1.3 * LENGTHS[:, None] * (towards + 0.05 * rng.normal(size=(3, 4, 3)))
    curvature = pull_of(limbs, states, d, heading).curvature
    gradient = jax.jit(lambda d: pull_of(limbs, states, d, heading).gradient)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        column = (gradient(d + step) - gradient(d - step)) / 2e-5
        np.testing.assert_allclose(curvature[..., axis], column, rtol=1e-6, atol=1e-8)


def test_density_of_limbs_is_the_integral_over_directions(x64):
    """exp(-value) of one frame, over that of another place, by quadrature over the sphere and a sum over states."""
    rng = np.random.default_rng(2)
    limbs, states, heading = limbs_of(60.0), random_states(rng, 3, (0.0, 8.0)), jnp.array([0.7])
    z, weight = np.polynomial.legendre.leggauss(60)
    angle = 2 * np.pi * np.arange(120) / 120
    ring_of = np.sqrt(1 - z**2)[:, None]
    sphere = np.stack([ring_of * np.cos(angle), ring_of * np.sin(angle), np.broadcast_to(z[:, None], (60, 120))], -1)
    area = np.broadcast_to(weight[:, None], (60, 120)) * 2 * np.pi / 120

    def density(d):
        total = 0
        for s in range(3):
            product = np.asarray(states.initial)[s]
            for k in range(1, 4):
                kappa = float(states.concentrations[s, k])
                mean = gimbal.turn(states.directions[s : s + 1, k : k + 1], heading)[0, 0]
                law = kappa / (4 * np.pi * np.sinh(kappa)) * np.exp(kappa * sphere @ np.asarray(mean))
                off = ((d[k] - LENGTHS[k] * sphere) ** 2).sum(-1)
                product *= (area * law * np.exp(-off / (2 * 60.0))).sum()
            total += product
        return np.log(total)

    places = [LENGTHS[:, None] * unit(rng, 4) * scale for scale in (1, 0.7, 1.2)]
    values = [float(pull_of(limbs, states, jnp.asarray(d)[None], heading).value) for d in places]
    expected = [density(d) for d in places]
    np.testing.assert_allclose(np.diff(values), -np.diff(expected), rtol=1e-6)


def test_without_concentration_it_is_model_2(x64):
    rng = np.random.default_rng(3)
    limbs, states = limbs_of(), random_states(rng, 2, (0.0, 1e-12))
    d = jnp.asarray(LENGTHS[:, None] * unit(rng, 5, 4) * 0.9)
    one, two = pull_of(limbs, states, d, jnp.zeros(5)), jax.jit(model2.direction)(limbs, d, ())
    for a, b in zip(one[:3], two[:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_heading_is_the_best_of_a_grid(x64):
    """Given E[u], the heading maximises sum kappa mu . R(-h) u: each limb counts with its kappa."""
    rng = np.random.default_rng(4)
    limbs, states = limbs_of(), random_states(rng, 1, (0.5, 90.0))
    d = jnp.asarray(LENGTHS[:, None] * unit(rng, 4, 4))
    heading = jnp.asarray(rng.uniform(-3, 3, 4))
    given = gimbal.directions_given(limbs, gimbal.directions_of(states, limbs), gimbal.turn(d, -heading))
    natural = (states.concentrations[..., None] * states.directions)[0].at[0].set(0)  # [K, 3]
    total = natural + given.pull.swapaxes(0, 1)
    mean = model2.vmf.length_ratio(given.concentration[..., 0].T)[..., None] * total  # E[u] in the animal's frame
    better, _ = pull_of(limbs, states, d, heading).state
    grid = np.linspace(-np.pi, np.pi, 20_001)
    cosine, sine = np.cos(grid)[:, None], np.sin(grid)[:, None]
    for t in range(4):
        x, y, z = np.asarray(mean[t]).T
        turned = np.stack([cosine * x + sine * y, cosine * y - sine * x, 0 * cosine + z], -1)  # by -h
        best = grid[(np.asarray(natural) * turned).sum((-1, -2)).argmax()]
        assert abs(np.angle(np.exp(1j * (best - (better[t] - heading[t]))))) < 4e-4


def test_float32_keeps_its_digits_where_limbs_are_stiff():
    rng = np.random.default_rng(5)
    states64 = random_states(rng, 8, (50.0, 200.0))
    d = LENGTHS[:, None] * unit(rng, 6, 4)
    pulls = []
    for exact in (True, False):
        with jax.enable_x64(exact):
            states = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), float), states64)
            pull = pull_of(limbs_of(0.5), states, jnp.asarray(d, float), jnp.linspace(-2, 2, 6))
            pulls.append(jax.tree.map(np.asarray, pull))
    np.testing.assert_allclose(pulls[1].value, pulls[0].value, rtol=1e-5)
    np.testing.assert_allclose(pulls[1].gradient, pulls[0].gradient, atol=2e-3)
    np.testing.assert_allclose(pulls[1].curvature, pulls[0].curvature, atol=2e-4)


@pytest.fixture(scope="module")
def reaching():
    """An animal that turns, in two poses; its nose is seen by two cameras only, which are both deceived for a while."""
    rng = np.random.default_rng(6)
    frames, states = 60, np.repeat([0, 1, 0], 20)
    directions = np.array(
        [[[1, 0, 0], [1, 0, 0.3], [1, 0, -0.5], [-1, 0, 0]], [[1, 0, 0], [0.7, 0, 1], [1, 0, 0.2], [-1, 0, 0]]]
    )
    directions = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    heading = 0.05 * np.arange(frames) - 1
    noisy = directions[states] + 0.08 * rng.normal(size=(frames, 4, 3))
    turned = np.asarray(
        gimbal.turn(jnp.asarray(noisy / np.linalg.norm(noisy, axis=-1, keepdims=True)), jnp.asarray(heading))
    )
    truth = np.zeros((frames, 4, 3))
    truth[:, 0] = np.cumsum(rng.normal(size=(frames, 3)), 0) + [30, -20, 10]
    for k in range(1, 4):
        truth[:, k] = truth[:, PARENTS[k]] + LENGTHS[k] * turned[:, k]
    pixels = pixels_of(CAMERAS, truth) + rng.normal(scale=3, size=(frames, 4, 4, 2))
    pixels[:, 2:, 2] = np.nan
    pixels[25:35, :2, 2] += rng.normal(scale=60, size=(10, 2, 2))
    level = lambda value: np.full((4, 4), value)  # noqa: E731
    prior = Prior(
        np.full(4, 10.0),
        Noise(level(9.0), level(3600.0), level(0.2)),
        Limbs(LENGTHS, np.full(4, 1.0), PARENTS),
        PoseStates(directions, np.full((2, 4), 100.0), np.full(2, 0.5), np.array([[0.9, 0.1], [0.1, 0.9]]), (3, 0)),
        tuple("abcd"),
    )
    return truth, pixels, states, heading, prior


def test_pose_states_repair_what_limbs_cannot(reaching):
    truth, pixels, states, heading, prior = reaching
    fit = gimbal.fit(Observations(pixels), CAMERAS, prior)
    error = lambda fit: np.linalg.norm(fit.mean - truth, axis=-1)[25:35, 2].mean()  # noqa: E731
    assert fit.converged and error(fit) < 0.75 * error(model2.fit(Observations(pixels), CAMERAS, prior))
    assert (np.asarray(fit.states).argmax(-1) == states).mean() > 0.95
    assert np.abs(np.angle(np.exp(1j * (fit.heading - heading)))).mean() < 0.1


def test_sessions_side_by_side_are_fitted_as_alone(reaching):
    """Sessions at other places, with other gaps and other noise by frames; one of them started anew, one from truth."""
    truth, pixels, _, _, prior = reaching
    rng = np.random.default_rng(7)
    gaps = np.where(rng.random(pixels.shape[:3])[..., None] < 0.1, np.nan, pixels)
    surer = dataclasses.replace(prior.noise, probability=rng.uniform(0.05, 0.3, (60, 4, 4)))
    frames = jax.tree.map(lambda array: np.broadcast_to(array, (60, 4, 4)), prior.noise)
    sessions = [Observations(pixels), Observations(gaps), Observations(pixels[::-1] + 40)]
    priors = [dataclasses.replace(prior, noise=noise) for noise in (frames, surer, frames)]
    starts = [None, truth, None]
    alone = [gimbal.fit(one, CAMERAS, *more) for one, *more in zip(sessions, priors, starts, strict=True)]
    together = gimbal.fit_sessions(sessions, CAMERAS, priors, starts)
    for one, other in zip(alone, together, strict=True):
        assert one.converged and other.converged and abs(one.steps - other.steps) <= 2
        np.testing.assert_allclose(other.mean, one.mean, atol=0.1)
        np.testing.assert_allclose(other.covariance, one.covariance, rtol=0.05, atol=0.05)
        np.testing.assert_allclose(other.states, one.states, atol=0.02)
        np.testing.assert_allclose(np.exp(1j * (other.heading - one.heading)), 1, atol=0.01)
    assert np.abs(together[0].mean - together[1].mean).max() > 0.5
    with pytest.raises(InputError, match=r"sessions 0 and 1 have pixels of \(60, 4, 4, 2\) and \(50, 4, 4, 2\)"):
        gimbal.fit_sessions([Observations(pixels), Observations(pixels[:50])], CAMERAS, prior)
    with pytest.raises(InputError, match="1 sessions, 2 priors and 1 starts"):
        gimbal.fit_sessions(sessions[:1], CAMERAS, priors[:2])


def test_a_prior_without_states_is_one_sentence(reaching):
    _, pixels, _, _, prior = reaching
    bare = Prior(prior.step_variance, prior.noise, prior.limbs, None, prior.bodyparts)
    with pytest.raises(InputError, match="the prior has no pose states: learn them"):
        gimbal.fit(Observations(pixels), CAMERAS, bare)
