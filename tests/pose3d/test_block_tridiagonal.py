"""Block-tridiagonal algebra equals that of the dense matrix, in float64 and float32, for batches and single blocks."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pawjax.pose3d import block_tridiagonal as bt

SHAPES = [(1, (), 2), (5, (3,), 3), (3, (), 11)]  # blocks, batch, rows of a block


def random_blocks(seed, n_blocks, batch, size):
    """Blocks of positive definite matrices, and the dense matrices [*batch, T n, T n]."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_blocks, *batch, size, size)) + 2 * np.eye(size)
    beside = rng.normal(size=(n_blocks, *batch, size, size))
    factor = np.zeros((*batch, n_blocks, size, n_blocks, size))
    for t in range(n_blocks):
        factor[..., t, :, t, :] = np.tril(roots[t])
        if t:
            factor[..., t, :, t - 1, :] = 0.5 * beside[t]
    factor = factor.reshape(*batch, n_blocks * size, n_blocks * size)
    dense = factor @ factor.swapaxes(-1, -2)
    blocks = dense.reshape(*batch, n_blocks, size, n_blocks, size)
    diagonal = np.stack([blocks[..., t, :, t, :] for t in range(n_blocks)])
    lower = [blocks[..., t + 1, :, t, :] for t in range(n_blocks - 1)]
    return diagonal, np.stack(lower) if lower else np.zeros((0, *batch, size, size)), dense


def in_order(vector, batch):
    """[T, *batch, n] -> [*batch, T n]."""
    return np.moveaxis(np.asarray(vector), 0, -2).reshape(*batch, -1)


@settings(max_examples=9, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1, (), 2), (2, (), 1), (5, (3,), 3), (4, (2, 2), 2), (2, (), 11)]),
)
def test_everything_equals_dense(seed, shape):
    n_blocks, batch, size = shape
    diagonal, lower, dense = random_blocks(seed, *shape)
    vector = np.random.default_rng(seed).normal(size=(n_blocks, *batch, size))
    with jax.enable_x64(True):
        factor = bt.factorise(jnp.array(diagonal), jnp.array(lower))
        flat = in_order(vector, batch)[..., None]
        scale = np.linalg.cond(dense).max()
        close = {"rtol": 1e-12 * scale, "atol": 1e-12 * scale}
        solved = in_order(bt.solve(factor, jnp.array(vector)), batch)
        np.testing.assert_allclose(solved, np.linalg.solve(dense, flat)[..., 0], **close)
        np.testing.assert_allclose(bt.log_determinant(factor), np.linalg.slogdet(dense)[1], **close)
        inverse = np.linalg.inv(dense).reshape(*batch, n_blocks, size, n_blocks, size)
        blocks, beside = bt.inverse_blocks(factor)
        for t in range(n_blocks):
            np.testing.assert_allclose(blocks[t], inverse[..., t, :, t, :], **close)
        assert beside.shape == lower.shape
        for t in range(n_blocks - 1):
            np.testing.assert_allclose(beside[t], inverse[..., t + 1, :, t, :], **close)


def test_samples_have_the_covariance_of_the_inverse():
    diagonal, lower, dense = random_blocks(3, 4, (), 2)
    with jax.enable_x64(True):
        factor = bt.factorise(jnp.array(diagonal), jnp.array(lower))
        noise = jnp.eye(8).reshape(8, 4, 2)
        columns = jax.vmap(lambda white: bt.solve_upper(factor, white))(noise).reshape(8, 8)  # rows of L^-1
        np.testing.assert_allclose(columns.T @ columns, np.linalg.inv(dense), atol=1e-10)
        mean = jnp.arange(8.0).reshape(4, 2)
        white = jax.random.normal(jax.random.key(5), (4, 2), mean.dtype)
        np.testing.assert_allclose(bt.sample(jax.random.key(5), factor, mean), mean + bt.solve_upper(factor, white))


def test_float32_of_a_long_random_walk():
    n, q, r = 2000, 0.5, 1e-3
    diagonal = np.full(n, 2 * q + r)
    diagonal[[0, -1]] = q + r
    vector = np.random.default_rng(0).normal(size=n)
    dense = np.diag(diagonal) - q * (np.eye(n, k=1) + np.eye(n, k=-1))
    single = lambda values: jnp.asarray(values, jnp.float32)  # noqa: E731
    factor = bt.factorise(single(diagonal)[:, None, None], jnp.full((n - 1, 1, 1), -q, jnp.float32))
    solved = bt.solve(factor, single(vector)[:, None])[:, 0]
    assert solved.dtype == jnp.float32
    expected = np.linalg.solve(dense, vector)
    assert np.abs(solved - expected).max() < 1e-3 * np.abs(expected).max()
    blocks = bt.inverse_blocks(factor)[0][:, 0, 0]
    np.testing.assert_allclose(blocks, np.diag(np.linalg.inv(dense)), rtol=1e-3)


def test_a_matrix_that_is_not_positive_definite_is_nan():
    factor = bt.factorise(jnp.array([[[1.0]], [[0.5]]]), jnp.array([[[1.0]]]))
    assert jnp.isnan(factor.inverse[1]).all()


def test_products_keep_the_digits_of_float32_on_any_chip():
    blocks = jnp.ones((2, 4, 4)), jnp.ones((1, 4, 4))
    program = str(jax.make_jaxpr(lambda *blocks: bt.solve(bt.factorise(*blocks), jnp.ones((2, 4))))(*blocks))
    assert program.count("dot_general") == program.count("Precision.HIGHEST, Precision.HIGHEST") > 0
