"""The sum that ends a residual unit (He et al. 2015, figure 2)."""

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

from pawjax.ops import chains
from pawjax.ops.chip import on_cpu


def add_relu(x: jax.Array, y: jax.Array) -> jax.Array:
    """`relu(x + y)` of two arrays of one shape and dtype.

    On a CPU XLA would work the sum out again for each of its readers, one of them the next unit's sum, and that one
    again for the next, to the end of the block; likewise the gradient. There both are worked out once. The bits are
    the same, and only reverse-mode differentiation works, as for convolutions.
    """
    return chains.each(_add_relu, x, y) if on_cpu() else jax.nn.relu(x + y)


@jax.custom_vjp
def _add_relu(x, y):
    return _once(jnp.maximum(x + y, 0))


def _forward(x, y):
    z = _add_relu(x, y)
    return z, z


def _backward(z, dz):
    dx = _once(jnp.where(z > 0, dz, 0))
    return dx, dx


_add_relu.defvjp(_forward, _backward)


def _once(x):
    # A call that is not inlined: XLA drops optimization barriers before it fuses, this it does not look through.
    with set_xla_metadata(inlineable="false"):
        return _identity(x)


@jax.jit
def _identity(x):
    return x
