"""Maxima of posterior densities of sequences: Newton steps by block-tridiagonal systems, damped (Levenberg-Marquardt).

With the curvature of Gauss and Newton an undamped step is one of the iterated Kalman smoother (Bell, SIAM Journal on
Optimization 4, 1994).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pawjax.pose3d.block_tridiagonal import Factor, factorise, solve

TOLERANCE = 0.03  # of its standard deviation given all else, that no block moves any more
LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e6


class Terms(NamedTuple):
    """A function of T states of n numbers, for a batch `...` of sequences, around one point.

    Attributes:
      value: [...].
      gradient: [T, ..., n].
      curvature: [T, ..., n, n], positive definite diagonal blocks.
      state: what the next evaluation starts from, arrays [T, ...].
    """

    value: jax.Array
    gradient: jax.Array
    curvature: jax.Array
    state: Any


class Minimum(NamedTuple):
    """A minimum [T, ..., n], the terms there, whether it was reached [...], and the number of systems solved."""

    positions: jax.Array
    terms: Terms
    converged: jax.Array
    steps: jax.Array


def minimise(
    terms_of: Callable[[jax.Array, Any], Terms], lower: jax.Array, start: jax.Array, state: Any, most: int
) -> Minimum:
    """The minimum near `start` [T, ..., n]; the value never rises.

    Args:
      terms_of: terms at positions and a state.
      lower: [T - 1, ..., n, n], the constant blocks of the curvature between frames (t + 1, t).
      start: [T, ..., n].
      state: what the first evaluation starts from, of the same structure as that in the terms.
      most: number of systems solved at most.

    Each step either lowers the value or is taken back and damped more, for each sequence of the batch by itself. The
    first pass through the loop only evaluates, which saves compiling `terms_of` twice.
    """
    epsilon = jnp.finfo(start.dtype).eps

    def step(carry):
        positions, terms, damping, active, count = carry
        known = jnp.isfinite(terms.value)
        move = -solve(damped(terms.curvature, lower, damping), terms.gradient)
        move = _chosen(known, move, jnp.zeros_like(move))
        new = terms_of(positions + move, terms.state)
        better = new.value <= terms.value + 10 * epsilon * jnp.abs(new.value)
        squared = jnp.einsum("t...i,t...ij,t...j->t...", move, terms.curvature, move).max(0)
        moves = (squared > TOLERANCE**2) | (damping > LEAST_DAMPING) | ~known
        keep = better & active
        terms = Terms(
            jnp.where(keep, new.value, terms.value),
            *(_chosen(keep, *pair) for pair in zip(new[1:3], terms[1:3], strict=True)),
            jax.tree.map(partial(_chosen, keep), new.state, terms.state),
        )
        active &= jnp.where(better, moves, damping < MOST_DAMPING)
        less = jnp.where(damping > LEAST_DAMPING, damping / 10, 0)
        damping = jnp.where(better, less, jnp.maximum(10 * damping, LEAST_DAMPING))
        return _chosen(keep, positions + move, positions), terms, damping, active, count + 1

    def goes_on(carry):
        return jnp.any(carry[3]) & (carry[4] < most)

    batch = start.shape[1:-1]
    curvature = jnp.broadcast_to(jnp.eye(start.shape[-1], dtype=start.dtype), (*start.shape, start.shape[-1]))
    unknown = Terms(jnp.full(batch, jnp.inf, start.dtype), jnp.zeros_like(start), curvature, state)
    damping, active = jnp.zeros(batch, start.dtype), jnp.ones(batch, bool)
    positions, terms, _, active, count = jax.lax.while_loop(goes_on, step, (start, unknown, damping, active, -1))
    return Minimum(positions, terms, ~active & jnp.isfinite(terms.value), count)


def damped(curvature: jax.Array, lower: jax.Array, damping: jax.Array) -> Factor:
    """The factor of the curvature with its diagonal raised by the share `damping` [...].

    A share of two rounding errors is always added: it bounds positions that no observation determines.
    """
    share = jnp.maximum(damping, 2 * jnp.finfo(curvature.dtype).eps)
    diagonal = jnp.diagonal(curvature, axis1=-2, axis2=-1)
    identity = jnp.eye(curvature.shape[-1], dtype=curvature.dtype)
    return factorise(curvature + share[..., None, None] * diagonal[..., None] * identity, lower)


def _chosen(flag: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """The new array [T, ..., *] where the flag [...] is set, else the old one."""
    return jnp.where(flag.reshape(flag.shape + (1,) * (old.ndim - 1 - flag.ndim)), new, old)
