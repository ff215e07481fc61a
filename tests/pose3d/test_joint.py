"""All conditionals together: the joint test of Geweke (JASA 99, 2004), of a tiny GIMBAL whose prior is proper.

Positions in space have an improper prior. Here two affine cameras, whose one observation of the root is held, make that
of the first root Gaussian, the root walks from there, and the other bodyparts have no walk of their own: then
everything is drawn forward, states, headings, directions, positions, outliers and pixels. From such draws, turns of new
pixels given the rest and a sweep given the pixels must lead to such draws.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from launch.regions import limbs_from_root
from pawjax.pose3d import gimbal, hamiltonian, sweeps, von_mises
from pawjax.pose3d.block_tridiagonal import factorise
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior
from pawjax.pose3d.problem import pose
from pawjax.pose3d.rig import project
from tests.pose3d.conftest import affine, pixels_of, ring

FRAMES, BODYPARTS, COUNT, TURNS = 3, 3, 4000, 6
SEEN, HELD = slice(0, 2), slice(2, 4)  # cameras
INLIER, OUTLIER, RATE = 15.0**2, 90.0**2, 0.3  # px^2, px^2
FIRST, STEP = 20.0, 8.0  # mm, of the root in the first frame and of its steps
LENGTH, SPREAD = np.array([0, 40.0, 30.0]), np.array([1, 10.0, 8.0])
PARENTS, MASS = (0, 0, 1), 15.0  # mm, of the Gaussian in whose coordinates the positions move
MEAN = np.array([[[0, 0, 1], [1, 0, 0], [0, 0.6, 0.8]], [[0, 0, 1], [-0.6, 0, 0.8], [1, 0, 0]]])
STATES = PoseStates(
    MEAN,
    np.array([[0, 9.0, 1.0], [0, 1.5, 5.0]]),
    np.array([0.35, 0.65]),
    np.array([[0.8, 0.2], [0.35, 0.65]]),
    (0, 1),
)


def level(seen, held):
    return np.broadcast_to(np.repeat([seen, held], 2)[:, None], (4, BODYPARTS))


PRIOR = Prior(
    np.array([STEP**2, 1e12, 1e12]),
    Noise(level(INLIER, (1.5 * FIRST) ** 2), level(OUTLIER, 1e6), level(RATE, 0)),
    Limbs(LENGTH, SPREAD**2, PARENTS),
    STATES,
    ("root", "knee", "toe"),
)


def make_model():
    """The model, in float32; its origin is where the held pixels, which are 0, put the root."""
    cameras = np.concatenate([ring(3)[:2], affine(3)[:2]])
    pixels = pixels_of(cameras, np.broadcast_to([30.0, -20, 10], (FRAMES, BODYPARTS, 3))).copy()
    pixels[1:, HELD] = pixels[:, HELD, 1:] = np.nan
    problem, _ = pose(Observations(pixels), cameras, PRIOR)
    np.testing.assert_allclose(problem.measured.pixels, 0, atol=0.1)
    states = jax.tree.map(lambda array: jnp.asarray(array, float), STATES)
    return sweeps.Model(problem, sweeps.model2.limbs_of(PRIOR), states)


def forward(rng, model, count):
    """Draws of positions [N, T, K, 3], headings and states [N, T], of the prior."""
    held = np.asarray(model.problem.rig.matrices[HELD, :2, :3], np.float64).reshape(-1, 3)
    variance = np.linalg.inv(held.T @ held / (1.5 * FIRST) ** 2)
    first = rng.multivariate_normal(np.zeros(3), variance, (count, 1))
    steps = np.cumsum(STEP * rng.normal(size=(count, FRAMES - 1, 3)), 1)
    return limbs_from_root(rng, PRIOR, np.concatenate([first, first + steps], 1))


def gaussian():
    """Round and wide, around the origin."""
    block = jnp.broadcast_to(jnp.eye(3 * BODYPARTS) / MASS**2, (FRAMES, 3 * BODYPARTS, 3 * BODYPARTS))
    return hamiltonian.Gaussian(jnp.zeros((FRAMES, 3 * BODYPARTS)), factorise(block, 0 * block[1:]))


def observe(key, model, positions):
    """The model with new pixels of positions [T, K, 3]."""
    kind, noise = jax.random.split(key)
    pixels, _ = project(model.problem.rig, positions)
    is_out = jax.random.bernoulli(kind, RATE, pixels.shape[:3])
    deviation = jnp.where(is_out, OUTLIER**0.5, INLIER**0.5)[..., None]
    drawn = pixels + deviation * jax.random.normal(noise, pixels.shape)
    old = model.problem.measured
    measured = old._replace(pixels=old.pixels.at[:, SEEN].set(drawn[:, SEEN]))
    return model._replace(problem=model.problem._replace(measured=measured))


@pytest.fixture(scope="module")
def start():
    """The model, and two independent sets of forward draws."""
    model, rng = make_model(), np.random.default_rng(0)
    return model, forward(rng, model, COUNT), forward(rng, model, COUNT)


def turned(model, draws):
    """Positions, headings and states after `TURNS` turns, the last outliers' probabilities, and acceptance."""
    around = gaussian()

    @jax.jit
    @jax.vmap
    def chain(key, positions, heading, state):
        def turn(chain, key):
            pixels, move = jax.random.split(key)
            with_pixels = observe(pixels, model, around.place(chain.white).reshape(FRAMES, BODYPARTS, 3))
            return sweeps.sweep(move, with_pixels, around, chain, 6)

        white = positions.reshape(FRAMES, -1) / MASS
        first = sweeps.Chain(white, jnp.asarray(0.12), heading, state)
        end, made = jax.lax.scan(turn, first, jax.random.split(key, TURNS))
        outliers = made.outliers[-1].swapaxes(1, 2)[:, SEEN]
        return made.positions[-1], end.heading, end.state, outliers, made.accepted.mean()

    positions, heading, state = draws
    arrays = jnp.asarray(positions, jnp.float32), jnp.asarray(heading, jnp.float32), jnp.asarray(state)
    *after, accepted = chain(jax.random.split(jax.random.key(0), len(heading)), *arrays)
    return [np.asarray(array, np.float64) for array in after], float(accepted.mean())


def features(positions, heading, state):
    """Numbers [N, F] whose means tell one joint distribution from another."""
    root, state = positions[:, :, 0], np.asarray(state, int)
    limbs = positions[:, :, 1:] - positions[:, :, [PARENTS[k] for k in range(1, BODYPARTS)]]
    x, y, z = np.moveaxis(limbs, -1, 0)
    cosine, sine = np.cos(heading)[..., None], np.sin(heading)[..., None]
    own = np.stack([cosine * x + sine * y, cosine * y - sine * x, z], -1)  # in the animal's frame
    length, steps = np.linalg.norm(limbs, axis=-1), np.diff(root, axis=1)
    by_state = own * (state == 0)[..., None, None]
    parts = [root, root**2, steps**2, own, own**2, by_state, length, length**2, x, y]
    parts += [np.cos(heading), np.sin(heading), state, state[:, 1:] * state[:, :-1]]
    return np.concatenate([part.reshape(len(heading), -1) for part in parts], 1)


def largest(one, other):
    """The largest difference of means of two sets of features, in standard errors."""
    error = np.sqrt(one.var(0) / len(one) + other.var(0) / len(other))
    return np.abs((one.mean(0) - other.mean(0)) / error).max()


def test_turns_of_pixels_and_sweeps_keep_the_joint_distribution(start):
    model, fresh, draws = start
    (positions, heading, state, outliers), accepted = turned(model, draws)
    moved = np.abs(positions - draws[0]).mean()
    assert 0.6 < accepted < 0.99 and moved > 10 and (state != draws[2]).mean() > 0.1
    assert largest(features(positions, heading, state), features(*fresh)) < 4.2
    assert np.abs(outliers.mean(0) - RATE).max() < 4.2 * outliers.std() / COUNT**0.5


def heading_without_kappa(keys, model, differences, heading, state):
    """As the paper has it: each limb counts alike."""
    directions = gimbal.directions_of(model.states, model.limbs).natural[:, state].swapaxes(0, 1)
    natural = model.states.directions[state].at[:, 0].set(0)
    pull = (model.limbs.length / model.limbs.variance)[:, None] * differences
    drawn = sweeps.vmf.sample(keys[0], gimbal.turn(directions, heading) + pull)
    cosine = (natural * drawn)[..., :2].sum((-1, -2))
    sine = (natural[..., 0] * drawn[..., 1] - natural[..., 1] * drawn[..., 0]).sum(-1)
    return von_mises.sample(keys[1], jnp.arctan2(sine, cosine), jnp.hypot(sine, cosine))


def test_a_wrong_conditional_is_seen(start, monkeypatch):
    model, fresh, draws = start
    monkeypatch.setattr(sweeps, "draw_heading", heading_without_kappa)
    (positions, heading, state, _), _ = turned(model, draws)
    assert largest(features(positions, heading, state), features(*fresh)) > 8
