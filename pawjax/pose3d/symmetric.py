"""Symmetric positive definite 3x3 matrices, many at once: elementwise, without a LAPACK call for each."""

import jax
import jax.numpy as jnp


def solve(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """x [..., 3] of matrix [..., 3, 3] x = vector [..., 3], by L D L^T; NaN where it is singular to rounding."""
    (a, d2, d3), (l21, l31, l32) = _factors(matrix)
    x, y, z = jnp.moveaxis(vector, -1, 0)
    y = y - l21 * x
    z = (z - l31 * x - l32 * y) / d3
    y = y / d2 - l32 * z
    return jnp.stack([x / a - l21 * y - l31 * z, y, z], axis=-1)


def inverse(matrix: jax.Array) -> jax.Array:
    """The inverses [..., 3, 3]; NaN where the matrix is singular to rounding."""
    columns = [solve(matrix, jnp.broadcast_to(unit, matrix.shape[:-1])) for unit in jnp.eye(3, dtype=matrix.dtype)]
    return jnp.stack(columns, axis=-1)


def _factors(matrix: jax.Array) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """D, and L below its diagonal: 21, 31, 32."""
    matrix = jnp.asarray(matrix)
    a, b, c = (matrix[..., 0, i] for i in range(3))
    l21, l31 = b / a, c / a
    d2 = matrix[..., 1, 1] - l21 * b
    l32 = (matrix[..., 1, 2] - l21 * c) / d2
    d3 = matrix[..., 2, 2] - l31 * c - l32**2 * d2
    rounding = 8 * jnp.finfo(matrix.dtype).eps
    sound = (a > 0) & (d2 > rounding * matrix[..., 1, 1]) & (d3 > rounding * matrix[..., 2, 2])
    return tuple(jnp.where(sound, d, jnp.nan) for d in (a, d2, d3)), (l21, l31, l32)
