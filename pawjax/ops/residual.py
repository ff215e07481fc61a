"""Fork and sum of the two paths through a residual unit (He et al. 2015, figure 2)."""

import jax
import jax.numpy as jnp

from pawjax.ops import chains
from pawjax.ops.chip import on_cpu
from pawjax.ops.once import once


def fork(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns x twice, for the two paths through a residual unit.

    If two operations read one array, JAX adds their gradients as whole arrays, which would join the chains of
    `pawjax.ops.chains`. Here they are added per sub-batch.
    """
    chunks = chains.split(x)
    return chains.join(chunks), chains.join(chunks)


def add_relu(x: jax.Array, y: jax.Array) -> jax.Array:
    """`relu(x + y)` of two arrays of one shape and dtype.

    On a CPU XLA would recompute the sum for every consumer, and the recomputation compounds along the block; likewise
    the gradient. This form computes both once, with the same bits. Only reverse-mode differentiation works there, as
    for convolutions.
    """
    return chains.each(_add_relu, x, y) if on_cpu() else jax.nn.relu(x + y)


def add(x: jax.Array, y: jax.Array) -> jax.Array:
    """`x + y` in the same form, for units without a ReLU after their sum."""
    return chains.each(lambda x, y: once(x + y), x, y) if on_cpu() else x + y


@jax.custom_vjp
def _add_relu(x, y):
    return once(jnp.maximum(x + y, 0))


def _forward(x, y):
    z = _add_relu(x, y)
    return z, z


def _backward(z, dz):
    dx = once(jnp.where(z > 0, dz, 0))
    return dx, dx


_add_relu.defvjp(_forward, _backward)
