"""The rectifier of all networks: max(x, 0), in mobile networks with a ceiling of 6 (ReLU6)."""

import math

import jax
import jax.numpy as jnp


def rectify(x: jax.Array, ceiling: float = math.inf) -> jax.Array:
    """x limited to 0..ceiling."""
    y = jax.nn.relu(x)
    return y if ceiling == math.inf else jnp.minimum(y, ceiling)


def is_open(x: jax.Array, ceiling: float = math.inf) -> jax.Array:
    """Where the gradient of `rectify` is 1, from its input or its output; elsewhere it is 0."""
    return x > 0 if ceiling == math.inf else (x > 0) & (x < ceiling)
