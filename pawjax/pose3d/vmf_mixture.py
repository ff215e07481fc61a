"""Mixtures of poses: in each state, every limb's direction has a von Mises-Fisher distribution of its own (EM)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d import vmf
from pawjax.pose3d.block_tridiagonal import full_precision

START = 10.0  # concentration around the poses that the states start from
PSEUDOCOUNT = 1.0  # poses of uniform directions that each state has seen, so that a rare state is not too sure


class Mixture(NamedTuple):
    """Weights [S], mean directions [S, K, 3] and concentrations [S, K] of the states."""

    weights: jax.Array
    directions: jax.Array
    concentrations: jax.Array


@partial(jax.jit, static_argnames=("number", "steps"))
@full_precision
def fit(
    key: jax.Array, directions: jax.Array, number: int, most: float, steps: int = 100
) -> tuple[Mixture, jax.Array, jax.Array]:
    """The likeliest mixture near a random start.

    Args:
      key: chooses the poses that the states start from, each far from the others (Arthur and Vassilvitskii, 2007).
      directions: [N, K, 3], unit vectors; NaN where missing.
      number: S, of states.
      most: largest concentration.
      steps: of EM.

    Returns:
      The mixture, the probabilities of the states [N, S], and the log likelihood before each step [steps].
    """
    there = jnp.isfinite(directions).all(-1)
    units = jnp.where(there[..., None], directions, 0)
    there = there.astype(units.dtype)

    def step(mixture, _):
        joint = log_joint(mixture, directions)
        return maximised(jax.nn.softmax(joint, -1), units, there, most), jax.nn.logsumexp(joint, -1).sum()

    first = units[_spread(key, units, there, number)]
    near = jax.nn.softmax(START * jnp.einsum("nki,ski->ns", units, first), -1)
    mixture, likelihood = jax.lax.scan(step, maximised(near, units, there, most), length=steps)
    return mixture, jax.nn.softmax(log_joint(mixture, directions), -1), likelihood


def log_joint(mixture: Mixture, directions: jax.Array) -> jax.Array:
    """Log probabilities [N, S] of directions [N, K, 3], NaN where missing, together with each state."""
    there = jnp.isfinite(directions).all(-1)
    natural = mixture.concentrations[..., None] * mixture.directions
    along = jnp.einsum("nki,ski->ns", jnp.where(there[..., None], directions, 0), natural)
    normaliser = there.astype(along.dtype) @ vmf.log_normaliser(mixture.concentrations).T
    return along + normaliser + jnp.log(mixture.weights)


def maximised(probabilities: jax.Array, units: jax.Array, there: jax.Array, most: float) -> Mixture:
    """The mixture of poses [N, K, 3], 0 where not `there` [N, K], whose states are known by probabilities [N, S]."""
    total = jnp.einsum("ns,nki->ski", probabilities, units)
    length = jnp.linalg.norm(total, axis=-1)
    mean = length / (probabilities.T @ there + PSEUDOCOUNT)
    directions = jnp.where(length[..., None] > 0, total / jnp.where(length > 0, length, 1)[..., None], jnp.eye(3)[2])
    concentrations = jnp.minimum(vmf.concentration(jnp.minimum(mean, vmf.mean_length(jnp.asarray(most)))), most)
    weights = probabilities.sum(0) + PSEUDOCOUNT
    return Mixture(weights / weights.sum(), directions, concentrations)


def _spread(key: jax.Array, units: jax.Array, there: jax.Array, number: int) -> jax.Array:
    """Indices [number] of poses, each drawn by its squared distance from those drawn before."""

    def step(nearest, key):
        index = jax.random.categorical(key, jnp.log(nearest + 1e-12))
        apart = 2 * (there * there[index] - (units * units[index]).sum(-1)).sum(-1)
        return jnp.minimum(nearest, jnp.maximum(apart, 0)), index

    return jax.lax.scan(step, there.sum(-1) * 4, jax.random.split(key, number))[1]
