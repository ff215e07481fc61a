"""Batch and group normalisation against the plain formula, Flax, and the same batch on one device."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from pawjax.ops import chains
from pawjax.ops.norm import batch_norm, group_norm

EPS = 1e-3


def arrays(shape, seed=0):
    rng = np.random.default_rng(seed)
    x = 3 + 2 * rng.standard_normal(shape)
    scale, bias = rng.standard_normal((2, shape[-1]))
    return [jnp.asarray(v, jnp.float32) for v in (x, scale, bias, rng.standard_normal(shape))]


def pulled_back(function, cotangent_of, *arguments):
    """Output and gradients in one program."""

    def run(*arguments):
        out, pullback = jax.vjp(function, *arguments)
        return out, pullback(cotangent_of(out))

    return jax.device_get(jax.jit(run)(*arguments))


def plain_batch_norm(x, scale, bias, relu):
    axes = tuple(range(x.ndim - 1))
    y = (x - x.mean(axes)) / jnp.sqrt(x.var(axes) + EPS) * scale + bias
    return jnp.where(y > 0, y, 0) if relu else y


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    "shape", [(4, 6, 4, 5), (3, 5, 7, 4), (7, 3)]
)  # rows divisible by the number of partial sums, or not
def test_batch_norm_and_its_gradients_equal_the_formula(shape, relu):
    x, scale, bias, dy = arrays(shape)
    # The moments' cotangents carry no gradient.
    (y, mean, var), gradients = pulled_back(
        lambda *args: batch_norm(*args, EPS, relu=relu), lambda out: (dy, *map(jnp.ones_like, out[1:])), x, scale, bias
    )
    expected, expected_gradients = pulled_back(
        lambda *args: plain_batch_norm(*args, relu), lambda _: dy, x, scale, bias
    )
    axes = tuple(range(x.ndim - 1))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(mean, x.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(var, x.var(axes), rtol=1e-5)
    for a, b in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * float(np.abs(b).max()) + 1e-6)


@pytest.mark.parametrize("relu", [False, True])
def test_chains_of_a_batch_are_normalised_together(relu, monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 0)
    x, scale, bias, dy = arrays((6, 4, 5))
    x = x.at[:3].add(5)  # the moments of the two chains differ
    whole, pullback = jax.vjp(lambda *args: batch_norm(*args, EPS, relu=relu), x, scale, bias)
    with chains.over(x):
        chained, pullback_of_chains = jax.vjp(lambda *args: batch_norm(*args, EPS, relu=relu), x, scale, bias)
    cotangents = (dy, jnp.zeros_like(scale), jnp.zeros_like(scale))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), chained, whole)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), pullback_of_chains(cotangents), pullback(cotangents)
    )


def test_batch_norm_keeps_precision_for_a_large_mean():
    x, scale, bias, _ = arrays((8, 9, 3))
    far = batch_norm(x + 4096, scale, bias, EPS)
    np.testing.assert_allclose(far[2], x.var((0, 1)), rtol=1e-3)
    np.testing.assert_allclose(far[0], batch_norm(x, scale, bias, EPS)[0], atol=5e-3)


def test_batch_norm_keeps_bfloat16_with_float32_moments():
    x, scale, bias, _ = arrays((8, 4, 3))
    y, mean, var = batch_norm(x.astype(jnp.bfloat16), scale, bias, EPS)
    assert (y.dtype, mean.dtype, var.dtype) == (jnp.bfloat16, jnp.float32, jnp.float32)
    np.testing.assert_allclose(y, plain_batch_norm(x, scale, bias, False), atol=0.05)
    gradients = jax.grad(lambda *args: batch_norm(*args, EPS)[0].astype(jnp.float32).sum(), (0, 1, 2))(
        x.astype(jnp.bfloat16), scale, bias
    )
    assert [g.dtype for g in gradients] == [jnp.bfloat16, jnp.float32, jnp.float32]


def loss_and_gradients(x, scale, bias, dy, axis_name=None):
    def loss(x, scale, bias):
        y, mean, var = batch_norm(x, scale, bias, EPS, relu=True, axis_name=axis_name)
        return (y * dy).sum(), (mean, var)

    (value, moments), (dx, *rest) = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(x, scale, bias)
    if axis_name:
        value, rest = jax.lax.psum((value, rest), axis_name)
    return value, moments, rest, dx


@pytest.mark.parametrize("mapped", ["pmap", "shard_map"])
def test_batch_norm_over_four_devices_equals_the_whole_batch(mapped):
    x, scale, bias, dy = arrays((8, 3, 4, 5))
    whole = jax.jit(loss_and_gradients)(x, scale, bias, dy)

    def run(x, scale, bias, dy):
        return loss_and_gradients(x, scale, bias, dy, "devices")

    if mapped == "pmap":
        run = jax.pmap(run, "devices", in_axes=(0, None, None, 0), out_axes=(None, None, None, 0))
        split = [v.reshape(4, 2, 3, 4, 5) for v in (x, dy)]
        value, moments, rest, dx = run(split[0], scale, bias, split[1])
    else:
        one, all_ = PartitionSpec("devices"), PartitionSpec()
        mesh = Mesh(np.array(jax.devices()[:4]), ("devices",))
        run = jax.shard_map(
            run, mesh=mesh, in_specs=(one, all_, all_, one), out_specs=(all_, all_, all_, one), check_vma=False
        )
        value, moments, rest, dx = jax.jit(run)(x, scale, bias, dy)
    sharded = (value, moments, rest, dx.reshape(x.shape))
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-5), sharded, whole)


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("relu", [False, True])
def test_group_norm_and_its_gradients_equal_flax(groups, relu):
    x, scale, bias, dy = arrays((3, 5, 4, 8))

    def flax_norm(x, scale, bias):
        norm = nn.GroupNorm(num_groups=groups, epsilon=EPS, use_fast_variance=False)
        y = norm.apply({"params": {"scale": scale, "bias": bias}}, x)
        return nn.relu(y) if relu else y

    y, gradients = pulled_back(lambda *args: group_norm(*args, groups, EPS, relu=relu), lambda _: dy, x, scale, bias)
    expected, expected_gradients = pulled_back(flax_norm, lambda _: dy, x, scale, bias)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    for a, b in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5)
    assert group_norm(x.astype(jnp.bfloat16), scale, bias, groups, EPS).dtype == jnp.bfloat16


def test_group_norm_refuses_groups_that_do_not_divide_the_channels():
    x, scale, bias, _ = arrays((2, 3, 6))
    with pytest.raises(ValueError, match="6 channels cannot form 4 equal groups"):
        group_norm(x, scale, bias, 4, EPS)
