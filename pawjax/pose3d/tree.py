"""Positions of bodyparts that hold each other along a tree: each frame is one block of 3 K coordinates."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.pose3d import block_tridiagonal
from pawjax.pose3d.newton import Minimum, Terms, damped, minimise
from pawjax.pose3d.problem import Noise, Problem, pixel_pull, walk_pull

MOST_STEPS = 200


class LimbPull(NamedTuple):
    """Minus the log density of all limbs, its gradient [T, K, 3] by each limb, the curvature [T, K, 3, 3], a state."""

    value: jax.Array
    gradient: jax.Array
    curvature: jax.Array
    state: Any


def most_probable(
    problem: Problem,
    parents: tuple[int, ...],
    limbs: Callable[[jax.Array, Any], LimbPull],
    start: jax.Array,
    state: Any,
    noise: Noise,
) -> Minimum:
    """The most probable positions near `start` [T, K, 3].

    Args:
      problem: of K bodyparts.
      parents: [K], as in `Limbs`.
      limbs: the pull on the limbs [T, K, 3] from each bodypart's parent to it, 0 for the root.
      start: [T, K, 3].
      state: what `limbs` starts from, arrays [T, ...].
      noise: of the pixels.
    """

    def terms_of(positions, state):
        return terms(problem, parents, limbs, positions.reshape(start.shape), state, noise)

    lower = walk_blocks(problem.step_precision, len(start))
    return minimise(terms_of, lower, start.reshape(len(start), -1), state, MOST_STEPS)


def terms(
    problem: Problem,
    parents: tuple[int, ...],
    limbs: Callable[[jax.Array, Any], LimbPull],
    positions: jax.Array,
    state: Any,
    noise: Noise,
) -> Terms:
    """Minus the log density around positions [T, K, 3], by all 3 K coordinates of a frame. Arguments as above."""
    pixels, _ = pixel_pull(problem, positions, noise)
    walk = walk_pull(positions, problem.step_precision)
    pull = limbs(differences(positions, parents), state)
    gradient = pixels.gradient + walk.gradient + from_limbs(pull.gradient, parents)
    curvature = _joined(pixels.curvature + walk.curvature, pull.curvature, incidence(parents, positions.dtype))
    value = pixels.value.sum() + walk.value.sum() + pull.value
    return Terms(value, gradient.reshape(len(positions), -1), curvature, pull.state)


def covariances(minimum: Minimum, step_precision: jax.Array) -> jax.Array:
    """Covariances [T, K, 3, 3] of the positions by the curvature at a minimum of `most_probable`."""
    bodyparts = len(step_precision)
    curvature = minimum.terms.curvature
    factor = damped(curvature, walk_blocks(step_precision, len(curvature)), jnp.zeros_like(minimum.terms.value))
    blocks, _ = block_tridiagonal.inverse_blocks(factor)
    blocks = blocks.reshape(-1, bodyparts, 3, bodyparts, 3)
    return jnp.stack([blocks[:, k, :, k] for k in range(bodyparts)], axis=1)


def differences(positions: jax.Array, parents: tuple[int, ...]) -> jax.Array:
    """Positions [..., K, 3] less those of their parents; 0 for the root."""
    return positions - positions[..., list(parents), :]


def from_limbs(gradient: jax.Array, parents: tuple[int, ...]) -> jax.Array:
    """The gradient [T, K, 3] by positions of what has this gradient [T, K, 3] by `differences`."""
    return jnp.einsum("ka,tki->tai", incidence(parents, gradient.dtype), gradient)


def incidence(parents: tuple[int, ...], dtype: Any) -> jax.Array:
    """The matrix [K, K] that takes positions to `differences`."""
    identity = np.eye(len(parents))
    return jnp.asarray(identity - identity[list(parents)], dtype)


def walk_blocks(precision: jax.Array, frames: int) -> jax.Array:
    """The curvature between frames (t + 1, t) of the random walk, [T - 1, 3 K, 3 K]."""
    block = -jnp.diag(jnp.repeat(precision, 3))
    return jnp.broadcast_to(block, (frames - 1, *block.shape))


def _joined(own: jax.Array, limbs: jax.Array, incidence: jax.Array) -> jax.Array:
    """The curvature [T, 3 K, 3 K] by positions, of each bodypart's own [T, K, 3, 3] and the limbs' [T, K, 3, 3]."""
    frames, bodyparts = own.shape[:2]
    pairs = (incidence[:, :, None] * incidence[:, None, :]).reshape(bodyparts, -1)
    joined = jnp.einsum("kp,tkx->tpx", pairs, limbs.reshape(frames, bodyparts, 9))
    blocks = joined.reshape(frames, bodyparts, bodyparts, 3, 3)
    blocks = blocks + jnp.eye(bodyparts, dtype=own.dtype)[..., None, None] * own[:, :, None]
    return blocks.swapaxes(2, 3).reshape(frames, 3 * bodyparts, 3 * bodyparts)
