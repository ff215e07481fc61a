"""Linear algebra with symmetric positive definite block-tridiagonal matrices, in time linear in the blocks.

Such a matrix is the precision of a Gaussian over a sequence of states in which only neighbours in time touch. Its T
diagonal blocks are [T, ..., n, n]; `lower` [T - 1, ..., n, n] holds the blocks (t + 1, t), and their transposes are the
blocks (t, t + 1). The axes `...` are a batch of matrices. Everything is one pass over time forward or backward, the
information form of the smoother of Rauch, Tung and Striebel (1965).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.pose3d.cholesky import inverse_factor

full_precision = jax.default_matmul_precision("highest")  # else GPUs round the factors of float32 products to 10 bits


class Factor(NamedTuple):
    """The Cholesky factor L of a matrix L L^T.

    Attributes:
      inverse: [T, ..., n, n], inverses of its blocks (t, t), lower triangular.
      lower: [T, ..., n, n], its blocks (t, t - 1); the first is zero.
    """

    inverse: jax.Array
    lower: jax.Array


@full_precision
def factorise(diagonal: jax.Array, lower: jax.Array) -> Factor:
    """The Cholesky factor of the matrix with these blocks (module docstring); NaN if it is not positive definite."""

    def step(previous, blocks):
        block, beside = blocks
        beside = beside @ previous.mT
        inverse = inverse_factor(block - beside @ beside.mT)
        return inverse, (inverse, beside)

    beside = jnp.concatenate([jnp.zeros_like(diagonal[:1]), lower])
    return Factor(*lax.scan(step, jnp.zeros_like(diagonal[0]), (diagonal, beside))[1])


def solve(factor: Factor, vector: jax.Array) -> jax.Array:
    """x of A x = `vector`, both [T, ..., n], for the matrix A of the factor."""
    return solve_upper(factor, solve_lower(factor, vector))


@full_precision
def solve_lower(factor: Factor, vector: jax.Array) -> jax.Array:
    """x of L x = `vector`, both [T, ..., n]."""

    def step(previous, blocks):
        inverse, beside, value = blocks
        solved = _times(inverse, value - _times(beside, previous))
        return solved, solved

    return lax.scan(step, jnp.zeros_like(vector[0]), (*factor, vector))[1]


@full_precision
def solve_upper(factor: Factor, vector: jax.Array) -> jax.Array:
    """x of L^T x = `vector`, both [T, ..., n]. Of white noise it makes noise with the covariance A^-1."""

    def step(following, blocks):
        inverse, beside, value = blocks
        solved = _times(inverse.mT, value - following)
        return _times(beside.mT, solved), solved

    return lax.scan(step, jnp.zeros_like(vector[0]), (*factor, vector), reverse=True)[1]


def log_determinant(factor: Factor) -> jax.Array:
    """The logarithm of the determinant of A [...]."""
    return -2 * jnp.log(jnp.diagonal(factor.inverse, axis1=-2, axis2=-1)).sum((0, -1))


@full_precision
def inverse_blocks(factor: Factor) -> tuple[jax.Array, jax.Array]:
    """Blocks of A^-1, the covariances of the states: (t, t) [T, ..., n, n], and (t + 1, t) [T - 1, ..., n, n]."""

    def step(carry, blocks):
        following, beside_next = carry  # A^-1 at (t + 1, t + 1), L at (t + 1, t)
        inverse, beside = blocks
        gain = beside_next @ inverse
        between = -following @ gain
        block = inverse.mT @ inverse - gain.mT @ between
        return (block, beside), (block, between)

    nothing = jnp.zeros_like(factor.lower[0])
    diagonal, lower = lax.scan(step, (nothing, nothing), factor, reverse=True)[1]
    return diagonal, lower[:-1]


def sample(key: jax.Array, factor: Factor, mean: jax.Array) -> jax.Array:
    """A draw [T, ..., n] of the Gaussian with the precision A and this mean [T, ..., n]."""
    return mean + solve_upper(factor, jax.random.normal(key, mean.shape, mean.dtype))


def _times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return (matrix @ vector[..., None])[..., 0]
