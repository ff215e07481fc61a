"""Inverse Cholesky factors of many small matrices, one after the other, as smoothers need them."""

import jax
import jax.numpy as jnp
from jax import lax

LEAF = 3  # rows up to which the factor is written out: LAPACK takes each matrix of a batch by itself
COLUMNS = 6  # solved at once: from 8 on OpenBLAS starts threads, which wait for each other on a busy machine


def inverse_factor(matrices: jax.Array) -> jax.Array:
    """L^-1 [..., n, n], lower triangular, of L L^T = matrices [..., n, n]; NaN where one is not positive definite.

    Only the lower triangles are read.
    """
    size = matrices.shape[-1]
    if size <= LEAF:
        return _written_out(matrices)
    factor = lax.linalg.cholesky(matrices, symmetrize_input=False)
    groups = -(-size // COLUMNS)
    columns = jnp.eye(size, groups * COLUMNS, dtype=factor.dtype).reshape(size, groups, COLUMNS)
    shape = (*factor.shape[:-2], groups, size)
    solved = lax.linalg.triangular_solve(
        jnp.broadcast_to(factor[..., None, :, :], (*shape, size)),
        jnp.broadcast_to(columns.swapaxes(0, 1), (*shape, COLUMNS)),
        left_side=True,
        lower=True,
    )
    return solved.swapaxes(-3, -2).reshape(*factor.shape[:-1], groups * COLUMNS)[..., :size]


def _written_out(matrices: jax.Array) -> jax.Array:
    """`inverse_factor` of a few rows, one number of all matrices at a time."""
    size = matrices.shape[-1]
    zero = jnp.zeros_like(matrices[..., 0, 0])
    factor, inverse = ([[zero] * size for _ in range(size)] for _ in range(2))
    for i in range(size):
        for j in range(i):
            rest = sum((factor[i][k] * factor[j][k] for k in range(j)), zero)
            factor[i][j] = (matrices[..., i, j] - rest) * inverse[j][j]
        rest = sum((factor[i][k] ** 2 for k in range(i)), zero)
        inverse[i][i] = 1 / jnp.sqrt(matrices[..., i, i] - rest)
        for j in range(i):
            rest = sum((factor[i][k] * inverse[k][j] for k in range(j, i)), zero)
            inverse[i][j] = -inverse[i][i] * rest
    return jnp.stack([jnp.stack(row, -1) for row in inverse], -2)
