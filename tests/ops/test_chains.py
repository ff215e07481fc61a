"""Operations in chains equal those on the whole batch, and chains stay separate."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import chains
from pawjax.ops.conv import conv2d, conv_transpose_3x3_stride2
from pawjax.ops.norm import batch_norm, group_norm
from pawjax.ops.pooling import max_pool_2x2, max_pool_3x3_stride2, subsample
from pawjax.ops.residual import add, add_relu, fork

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPU only")
CHANNELS = 4


@pytest.fixture(autouse=True)
def small_batches_too(monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 0)


def normal(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def kernel(size):
    return normal(size, size, CHANNELS, CHANNELS)


def vector(seed):
    return normal(CHANNELS + seed)[:CHANNELS]


OPERATIONS = {
    "convolution": lambda x: conv2d(x, kernel(3), vector(1), padding=((1, 1), (1, 1)), relu=True),
    "product": lambda x: conv2d(x, kernel(1), stride=2),
    "deconvolution": lambda x: conv_transpose_3x3_stride2(x, kernel(3)),
    "batch norm": lambda x: batch_norm(x, vector(1), vector(2), 1e-5, relu=True)[0],
    "group norm": lambda x: group_norm(x, vector(1), vector(2), 2, 1e-5, relu=True),
    "depthwise": lambda x: conv2d(x, kernel(3)[:, :, :1], stride=2, padding=((0, 1), (0, 1))),
    "sum": lambda x: add_relu(x, 2 * x - 1),
    "plain sum": lambda x: add(x, 2 * x - 1),
    "stem's pool": max_pool_3x3_stride2,
    "vgg's pool": max_pool_2x2,
    "subsample": lambda x: subsample(x, 2),
    "fork": lambda x: jnp.multiply(*fork(x)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_chains_equal_the_whole_batch(name):
    x, function = normal(8, 6, 6, CHANNELS), OPERATIONS[name]
    expected, expected_pullback = jax.vjp(function, x)
    with chains.over(x):
        assert "concatenate" in str(jax.make_jaxpr(function)(x))
        found, pullback = jax.vjp(function, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    dy = normal(*expected.shape)
    np.testing.assert_allclose(*pullback(dy), *expected_pullback(dy), atol=1e-4)


@pytest.mark.parametrize("n, sizes", [(1, [1]), (2, [1] * 2), (3, [3]), (6, [3] * 2), (8, [2] * 4)])
def test_batch_is_split_into_at_most_four_equal_chunks(n, sizes):
    x = normal(n, 2, 2, 1)
    with chains.over(x):
        chunks = chains.split(x)
    assert [len(chunk) for chunk in chunks] == sizes
    np.testing.assert_array_equal(chains.join(chunks), x)


def test_small_batches_and_other_arrays_stay_whole(monkeypatch):
    images = normal(8, 4, 4, 3)
    with chains.over(images):
        assert len(chains.split(normal(16, 4, 4, 3))) == 1  # regions, for example, not images
    monkeypatch.setattr(chains, "PIXELS", 8 * 4 * 4 + 1)
    with chains.over(images):
        assert len(chains.split(images)) == 1
    assert len(chains.split(images)) == 1


def test_chains_stay_separate_through_residual_units():
    x = normal(8, 6, 6, CHANNELS)

    def loss(kernels, x):
        with chains.over(x):
            for weights in kernels:
                x, y = fork(x)
                y, *_ = batch_norm(conv2d(y, weights), vector(1), vector(2), 1e-5)
                x = add_relu(x, y)
        return jnp.square(x).sum()

    program = jax.jit(jax.grad(loss)).lower([kernel(1)] * 3, x).compile().as_text()
    whole = rf"f32\[8,6,6,{CHANNELS}\]"
    assert (
        len(re.findall(rf"= {whole}\S* concatenate\(", program)) <= 2
    )  # the result, which the loss reads, and its gradient
