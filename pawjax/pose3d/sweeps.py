"""One sweep of Gibbs sampling for every model, by draws from its conditional distributions.

The positions move given pose states and headings, with outliers and the directions of limbs integrated out; pose states
follow by forward filter and backward sample, with the directions still integrated out; then directions, and headings
given these. Integrating out is exact and mixes faster than drawing (Liu, JASA 89, 1994): an outlier or a limb's
direction that is held would hold the position.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d import gimbal, hamiltonian, hidden_markov, model2, noise, tree, vmf, von_mises
from pawjax.pose3d.forces import mixture_force
from pawjax.pose3d.newton import damped
from pawjax.pose3d.parameters import Limbs, PoseStates
from pawjax.pose3d.problem import Problem, pixel_pull, walk_blocks, walk_pull


class Model(NamedTuple):
    """The problem, and what of limbs and pose states is known."""

    problem: Problem
    limbs: Limbs | None
    states: PoseStates | None


class Chain(NamedTuple):
    """White coordinates [T, ..., n] of the positions, the angle of a leapfrog step [...], headings and states [T]."""

    white: jax.Array
    angle: jax.Array
    heading: jax.Array | None
    state: jax.Array | None


class Draw(NamedTuple):
    """Of one sweep: positions [T, K, 3], outliers [T, K, C], acceptance [...], headings and states [T]."""

    positions: jax.Array
    outliers: jax.Array
    accepted: jax.Array
    heading: jax.Array | None
    state: jax.Array | None


def sweep(
    key: jax.Array, model: Model, gaussian: hamiltonian.Gaussian, chain: Chain, leapfrogs: int
) -> tuple[Chain, Draw]:
    """One sweep (module docstring): leaves the posterior invariant."""
    keys = jax.random.split(key, 4)
    energy_of = partial(energy, model, natural=natural_directions(model, chain))
    white, here, accepted = hamiltonian.transition(keys[0], energy_of, gaussian, chain.white, chain.angle, leapfrogs)
    positions = gaussian.place(white).reshape(len(white), -1, 3)
    heading, state = chain.heading, chain.state
    if model.states is not None:
        differences = tree.differences(positions, model.limbs.parents)
        state = draw_states(keys[1], model, differences, heading)
        heading = draw_heading(keys[2:], model, differences, heading, state)
    return Chain(white, chain.angle, heading, state), Draw(positions, here.about, accepted, heading, state)


def energy(model: Model, positions: jax.Array, natural: jax.Array | None) -> hamiltonian.Energy:
    """Minus the log density of positions [T, K, 3] or [T, 3 K], outliers and directions integrated out.

    Args:
      model: of K bodyparts.
      positions: as the coordinates of the chain.
      natural: [T, K, 3], natural parameters kappa mu of the limbs' directions in the world; None without limbs.
    """
    shape, positions = positions.shape, positions.reshape(len(positions), -1, 3)
    value, gradient, outliers = mixture_force(model.problem, positions)
    walk = walk_pull(positions, model.problem.step_precision)
    value, gradient = value + walk.value, gradient + walk.gradient
    if model.limbs is not None:
        limbs = model.limbs
        differences = tree.differences(positions, limbs.parents)
        pull = (limbs.length / limbs.variance)[:, None] * differences
        total = jnp.linalg.norm(natural + pull, axis=-1)
        size = jnp.linalg.norm(pull, axis=-1)
        excess = (natural * (natural + 2 * pull)).sum(-1) / jnp.maximum(total + size, jnp.finfo(total.dtype).tiny)
        stretch = jnp.linalg.norm(differences, axis=-1) - limbs.length
        value = (value + stretch**2 / limbs.variance / 2 - excess - vmf.log_sinhc_less(total)).sum(1)
        mean = vmf.length_ratio(total)[..., None] * (natural + pull)
        force = (differences - limbs.length[:, None] * mean) / limbs.variance[:, None]
        gradient = gradient + tree.from_limbs(force, limbs.parents)
    return hamiltonian.Energy(value, gradient.reshape(shape), outliers.swapaxes(1, 2))


def natural_directions(model: Model, chain: Chain) -> jax.Array | None:
    """Natural parameters kappa mu [T, K, 3] of the limbs' directions in the world, given states and headings."""
    if model.limbs is None:
        return None
    if model.states is None:
        return jnp.zeros((1, 1, 3), chain.white.dtype)
    natural = gimbal.directions_of(model.states, model.limbs).natural
    return gimbal.turn(natural[:, chain.state].swapaxes(0, 1), chain.heading)


def draw_states(key: jax.Array, model: Model, differences: jax.Array, heading: jax.Array) -> jax.Array:
    """Pose states [T] given limbs [T, K, 3] and headings [T]."""
    directions = gimbal.directions_of(model.states, model.limbs)
    given = gimbal.directions_given(model.limbs, directions, gimbal.turn(differences, -heading))
    return hidden_markov.sample(key, model.states.initial, model.states.transitions, given.log_likelihood)


def draw_heading(
    keys: jax.Array, model: Model, differences: jax.Array, heading: jax.Array, state: jax.Array
) -> jax.Array:
    """Headings [T] given directions that are drawn given limbs [T, K, 3], old headings and states [T]; two keys."""
    natural = gimbal.directions_of(model.states, model.limbs).natural[:, state].swapaxes(0, 1)
    pull = (model.limbs.length / model.limbs.variance)[:, None] * differences
    drawn = vmf.sample(keys[0], gimbal.turn(natural, heading) + pull)
    cosine = (natural * drawn)[..., :2].sum((-1, -2))
    sine = (natural[..., 0] * drawn[..., 1] - natural[..., 1] * drawn[..., 0]).sum(-1)
    return von_mises.sample(keys[1], jnp.arctan2(sine, cosine), jnp.hypot(sine, cosine))


def start(model: Model, mean: jax.Array, heading: jax.Array | None) -> hamiltonian.Gaussian:
    """The Gaussian around the most probable positions [T, K, 3] and headings [T] of the model."""
    problem = model.problem
    if model.limbs is None:
        pixels, _ = pixel_pull(problem, mean, noise.mixture)
        curvature = pixels.curvature + walk_pull(mean, problem.step_precision).curvature
        factor = damped(curvature, walk_blocks(problem.step_precision, len(mean)), jnp.zeros(mean.shape[1]))
        return hamiltonian.Gaussian(mean, factor)
    pull, state = partial(model2.direction, model.limbs), ()
    if model.states is not None:
        directions = gimbal.directions_of(model.states, model.limbs)
        pull, state = partial(gimbal.limb_pull, model.limbs, model.states, directions), (heading, None)
    terms = tree.terms(problem, model.limbs.parents, pull, mean, state, noise.mixture)
    factor = damped(terms.curvature, tree.walk_blocks(problem.step_precision, len(mean)), jnp.zeros(()))
    return hamiltonian.Gaussian(mean.reshape(len(mean), -1), factor)
