"""Losses as (sum, count): padding, missing labels and the number of devices never change their ratio.

`optax.losses` has the other elementwise losses too, but rounds differently; these follow the papers, and published
results can be reproduced bit for bit.
"""

import jax
import jax.numpy as jnp
from optax.losses import squared_error as squared_error  # (p - t)^2, elementwise

Term = tuple[jax.Array, jax.Array]


def weighted_sum(values: jax.Array, weights: jax.Array) -> Term:
    """Sum of `values` times `weights`, and the sum of the weights broadcast to the values' shape."""
    weights = jnp.broadcast_to(weights, values.shape)
    return jnp.sum(values * weights), jnp.sum(weights)


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-t log s(z) - (1 - t) log(1 - s(z)), elementwise, in a form that does not overflow."""
    return jnp.maximum(logits, 0) - logits * targets + jnp.log1p(jnp.exp(-jnp.abs(logits)))


def huber(errors: jax.Array, delta: float = 1.0) -> jax.Array:
    """e^2 / 2 within delta of zero, delta (|e| - delta / 2) beyond (Huber 1964), elementwise."""
    size = jnp.abs(errors)
    return jnp.where(size <= delta, 0.5 * errors**2, delta * (size - 0.5 * delta))


def smooth_l1(errors: jax.Array, beta: float) -> jax.Array:
    """e^2 / (2 beta) within beta of zero, |e| - beta / 2 beyond; |e| for beta 0 (Girshick 2015), elementwise."""
    return huber(errors, beta) / beta if beta else jnp.abs(errors)


def softmax_cross_entropy(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """-log softmax(logits)[class] for logits [..., C] and classes int [...]; returns [...]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), classes[..., None], axis=-1)[..., 0]


def weighted_total(terms: dict[str, Term], weights: dict[str, float]) -> jax.Array:
    """Sum over the terms of weight * sum / count; a term with count zero adds zero."""
    return sum(weights[name] * total / jnp.maximum(count, 1e-12) for name, (total, count) in terms.items())
