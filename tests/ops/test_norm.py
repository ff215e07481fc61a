"""Batch and group normalisation against plain formulas and flax, gradients and devices included."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.norm import batch_norm, group_norm


def make(shape=(4, 6, 8, 5), seed=0):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(2 + 3 * rng.standard_normal(shape), jnp.float32)
    return x, *(jnp.asarray(rng.standard_normal(shape[-1]), jnp.float32) for _ in range(2))


def plain(x, scale, bias, relu):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    y = (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias
    return jnp.maximum(y, 0) if relu else y


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(4, 6, 8, 5), (3, 5, 7, 4)])
def test_batch_norm_is_the_formula(relu, shape):
    arguments = make(shape)
    y, mean, var = batch_norm(*arguments, 1e-5, relu=relu)
    np.testing.assert_allclose(y, plain(*arguments, relu), atol=1e-5)
    np.testing.assert_allclose(mean, arguments[0].mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(var, arguments[0].var((0, 1, 2)), rtol=1e-4)
    weights = jnp.asarray(np.random.default_rng(1).standard_normal(shape), jnp.float32)
    found = jax.grad(lambda *a: (batch_norm(*a, 1e-5, relu=relu)[0] * weights).sum(), (0, 1, 2))(*arguments)
    expected = jax.grad(lambda *a: (plain(*a, relu) * weights).sum(), (0, 1, 2))(*arguments)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_batch_norm_over_devices_is_that_of_the_whole_batch():
    if len(jax.devices()) < 4:
        pytest.skip("needs 4 (virtual) devices")
    x, scale, bias = make()

    def shared(x):
        def total(x, scale):
            y, mean, _ = batch_norm(x, scale, bias, 1e-5, axis_name="d")
            return (y**3).sum(), mean

        (_, mean), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(x, scale)
        return mean, gradients[0], jax.lax.psum(gradients[1], "d")

    mean, dx, dscale = jax.pmap(shared, axis_name="d")(x[:, None])
    expected = jax.grad(lambda x, s: (plain(x, s, bias, False) ** 3).sum(), (0, 1))(x, scale)
    np.testing.assert_allclose(mean[0], x.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(dx[:, 0], expected[0], atol=1e-3)
    np.testing.assert_allclose(dscale[0], expected[1], rtol=1e-4)


@pytest.mark.parametrize("relu", [False, True])
def test_group_norm_is_flaxs(relu):
    x, scale, bias = make((2, 5, 6, 12))
    layer = nn.GroupNorm(num_groups=4, epsilon=1e-5)

    def flax_norm(x, scale, bias):
        y = layer.apply({"params": {"scale": scale, "bias": bias}}, x)
        return nn.relu(y) if relu else y

    np.testing.assert_allclose(group_norm(x, scale, bias, 4, 1e-5, relu=relu), flax_norm(x, scale, bias), atol=1e-5)
    found = jax.grad(lambda *a: (group_norm(*a, 4, 1e-5, relu=relu) ** 2).sum(), (0, 1, 2))(x, scale, bias)
    expected = jax.grad(lambda *a: (flax_norm(*a) ** 2).sum(), (0, 1, 2))(x, scale, bias)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
