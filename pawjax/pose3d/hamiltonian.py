"""Hamiltonian Monte Carlo near a Gaussian: Duane et al., Physics Letters B 195 (1987).

A density of sequences of states is sampled in the coordinates in which a Gaussian, that of the curvature at its
maximum, is white. The white Gaussian's motion is a rotation, which is exact; only what the density differs from it is
stepped through (Shahbaba et al., Statistics and Computing 24, 2014). So the steps are long where the density is nearly
Gaussian, whatever its correlations in time and along limbs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d.block_tridiagonal import Factor, solve_lower, solve_upper

WANTED = 0.8  # share of proposals accepted, to which burn-in adapts the step
FALL = 0.6  # exponent of time with which adaptation falls (Andrieu and Thoms, Statistics and Computing 18, 2008)


class Energy(NamedTuple):
    """Minus a log density [T, ...], to be summed, and its gradient [T, ..., n]; what else is known, arrays [T, ..., *].

    Differences of energies are summed, not sums subtracted: so float32 does for long recordings.
    """

    value: jax.Array
    gradient: jax.Array
    about: Any


class Gaussian(NamedTuple):
    """The mean [T, ..., n] and the factor of the precision of a Gaussian over a batch `...` of sequences."""

    mean: jax.Array
    factor: Factor

    def place(self, white: jax.Array) -> jax.Array:
        """States [T, ..., n] of white coordinates."""
        return self.mean + solve_upper(self.factor, white)

    def rest(self, energy: Energy, white: jax.Array) -> jax.Array:
        """Gradient [T, ..., n], in white coordinates, of the energy less the Gaussian's."""
        return solve_lower(self.factor, energy.gradient) - white


def transition(
    key: jax.Array,
    energy_of: Callable[[jax.Array], Energy],
    gaussian: Gaussian,
    white: jax.Array,
    angle: jax.Array,
    leapfrogs: int,
) -> tuple[jax.Array, Energy, jax.Array]:
    """One step of a Markov chain, for each sequence of the batch by itself, that keeps exp(-energy) invariant.

    Args:
      key: of the momentum and the decision.
      energy_of: energy of states [T, ..., n].
      gaussian: that is near exp(-energy).
      white: [T, ..., n], white coordinates of the states.
      angle: [...], rotation of a leapfrog step.
      leapfrogs: number of steps.

    Returns:
      White coordinates, the energy there, and the probability [...] with which the proposal was accepted.
    """
    momentum_key, chance_key = jax.random.split(key)
    momentum = jax.random.normal(momentum_key, white.shape, white.dtype)
    before = energy_of(gaussian.place(white))
    cosine, sine, step = jnp.cos(angle)[..., None], jnp.sin(angle)[..., None], angle[..., None]

    def leapfrog(carry, _):
        place, momentum, energy = carry
        momentum = momentum - step / 2 * gaussian.rest(energy, place)
        place, momentum = cosine * place + sine * momentum, cosine * momentum - sine * place
        energy = energy_of(gaussian.place(place))
        return (place, momentum - step / 2 * gaussian.rest(energy, place), energy), None

    (place, end, after), _ = jax.lax.scan(leapfrog, (white, momentum, before), length=leapfrogs)
    gain = (before.value - after.value + (momentum**2 - end**2).sum(-1) / 2).sum(0)
    accepted = jnp.where(jnp.isfinite(gain), jnp.exp(jnp.minimum(gain, 0)), 0)
    keep = jax.random.uniform(chance_key, accepted.shape, white.dtype) < accepted
    white, energy = jax.tree.map(
        lambda new, old: jnp.where(keep.reshape(keep.shape + (1,) * (old.ndim - 1 - keep.ndim)), new, old),
        (place, after),
        (white, before),
    )
    return white, energy, accepted


def adapted(angle: jax.Array, accepted: jax.Array, index: jax.Array, leapfrogs: int) -> jax.Array:
    """The angle after step `index` of burn-in; together the leapfrog steps turn by a right angle at most."""
    longer = jnp.log(angle) + (accepted - WANTED) / (1 + index) ** FALL
    return jnp.minimum(jnp.exp(longer), jnp.pi / 2 / leapfrogs)
