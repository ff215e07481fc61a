"""Batch and group normalisation in few passes over memory (Ioffe and Szegedy 2015; Wu and He 2018)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from pawjax.ops import chains
from pawjax.ops.relu import is_open, rectify

PARTIAL_SUMS = 8  # XLA's CPU reduction over rows uses one core; a batch of partial sums uses all


def batch_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    eps: float,
    *,
    relu: bool = False,
    ceiling: float = math.inf,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel by its mean and variance over the batch and all pixels.

    Args:
      x: [B, ..., C].
      scale: float32 [C].
      bias: float32 [C].
      eps: added to the variance.
      relu: whether to apply a ReLU.
      ceiling: of the ReLU, see `pawjax.ops.relu`.
      axis_name: mapped axis (pmap, shard_map) over which the moments are averaged too.

    Returns:
      (x - mean) / sqrt(var + eps) * scale + bias, in the shape and dtype of `x`; mean and biased variance, float32
      [C], for running statistics: no gradient flows through these two.
    """
    y, mean, var = _batch_norm(chains.split(x), scale, bias, eps, relu, ceiling, axis_name)
    return chains.join(y), lax.stop_gradient(mean), lax.stop_gradient(var)


def group_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    groups: int,
    eps: float,
    *,
    relu: bool = False,
    ceiling: float = math.inf,
) -> jax.Array:
    """Normalises each image by the mean and variance over the pixels and channels of each group.

    Args:
      x: [B, ..., C].
      scale: float32 [C].
      bias: float32 [C].
      groups: number of groups of neighbouring channels; divides C.
      eps: added to the variance.
      relu: whether to apply a ReLU.
      ceiling: of the ReLU, see `pawjax.ops.relu`.

    Returns:
      [B, ..., C] in the dtype of `x`.

    Raises:
      ValueError: `groups` does not divide C.
    """
    channels = x.shape[-1]
    if channels % groups:
        raise ValueError(f"group_norm: {channels} channels cannot form {groups} equal groups")
    return chains.each(lambda x: _group_norm(x, scale, bias, groups, eps, relu, ceiling), x)


def affine_of(
    scale: jax.Array, bias: jax.Array, mean: jax.Array, var: jax.Array, eps: float
) -> tuple[jax.Array, jax.Array]:
    """Gain and offset, [C], such that x * gain + offset is (x - mean) / sqrt(var + eps) * scale + bias.

    Both end in a division, which XLA considers expensive and computes once per channel. It would recompute a cheap
    operation for every pixel of the map.
    """
    deviation = jnp.sqrt(var + eps)
    return scale / deviation, (bias * deviation - mean * scale) / deviation


def _group_norm(x, scale, bias, groups, eps, relu, ceiling):
    batch, channels = x.shape[0], x.shape[-1]
    count = x.size // (batch * groups)
    flat = x.reshape(batch, -1, channels).astype(jnp.float32)

    def per_group(sums):
        return sums.reshape(batch, groups, -1).sum(-1) / count

    def per_channel(values):
        return jnp.repeat(values, channels // groups, axis=1)

    mean = per_channel(per_group(flat.sum(1)))
    var = per_group(jnp.square(flat - mean[:, None]).sum(1))
    factor = per_channel(lax.rsqrt(var + eps)) * scale
    y = flat * factor[:, None] + (bias - mean * factor)[:, None]
    y = rectify(y, ceiling) if relu else y
    return y.reshape(x.shape).astype(x.dtype)


def column_sums(x: jax.Array) -> jax.Array:
    """[..., C] -> float32 [C], in PARTIAL_SUMS parallel sums."""
    rows = x.size // x.shape[-1]
    sums = PARTIAL_SUMS if rows % PARTIAL_SUMS == 0 else 1
    return x.reshape(sums, rows // sums, -1).sum(1, dtype=jnp.float32).sum(0)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5, 6))
def _batch_norm(x, scale, bias, eps, relu, ceiling, axis_name):
    return _batch_norm_forward(x, scale, bias, eps, relu, ceiling, axis_name)[0]


def _batch_norm_forward(x, scale, bias, eps, relu, ceiling, axis_name):
    means, variances = zip(*(_moments(chunk) for chunk in x), strict=True)
    mean = _average(means, axis_name)
    # The batch's variance is the mean of the chunks' own plus that of their means: the chunks meet only here.
    var = _average(
        [own + jnp.square(chunk_mean - mean) for own, chunk_mean in zip(variances, means, strict=True)], axis_name
    )
    gain, offset = affine_of(scale, bias, mean, var, eps)

    def normalise(x):
        y = x * gain + offset
        return (rectify(y, ceiling) if relu else y).astype(x.dtype)

    return (tuple(map(normalise, x)), mean, var), (x, scale, mean, var, gain, offset)


def _moments(x):
    count = x.size // x.shape[-1]
    mean = column_sums(x) / count
    return mean, column_sums(jnp.square(x.astype(jnp.float32) - mean)) / count


def _batch_norm_backward(eps, relu, ceiling, axis_name, saved, cotangents):
    x, scale, mean, var, gain, offset = saved
    mean = lax.optimization_barrier(mean)  # or XLA would keep the forward pass's x - mean, as large as x
    deviation = jnp.sqrt(var + eps)
    count = x[0].size // x[0].shape[-1]

    def incoming(x, dy):
        dy = dy.astype(jnp.float32)
        return jnp.where(is_open(x * gain + offset, ceiling), dy, 0) if relu else dy

    dys = [incoming(*pair) for pair in zip(x, cotangents[0], strict=True)]
    pairs = list(zip(x, dys, strict=True))
    dbiases = [column_sums(dy) for dy in dys]
    dscales = [column_sums(dy * (x.astype(jnp.float32) - mean)) / deviation for x, dy in pairs]
    mean_dy = _average(dbiases, axis_name) / count
    slope = _average(dscales, axis_name) / count / deviation
    # dx = (dy - mean_dy - (x - mean) * slope) * gain; for the divisions see `affine_of`.
    factor, constant = slope * scale / deviation, (mean_dy - mean * slope) * scale / deviation
    dx = tuple((dy * gain - x * factor - constant).astype(x.dtype) for x, dy in pairs)
    return dx, sum(dscales[1:], dscales[0]), sum(dbiases[1:], dbiases[0])


_batch_norm.defvjp(_batch_norm_forward, _batch_norm_backward)


def _average(values, axis_name):
    """The mean over equally large chunks and over the mapped axis."""
    mean = sum(values[1:], values[0]) / len(values)
    return mean if axis_name is None else lax.pmean(mean, axis_name)
