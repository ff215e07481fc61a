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


def cell_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-sum t log p, in nats, where one of the cells of a map, or none of them, has the bodypart.

    p is the softmax over the cells' logits and that of 'none', 0, so that a map is low where the bodypart is not.

    Args:
      logits: [B, h, w, K].
      targets: [B, h, w, K], with sum 1 for each map, or 0 where none of the cells has the bodypart.

    Returns:
      [B, K].
    """
    log_sum = jnp.logaddexp(0.0, jax.nn.logsumexp(logits, axis=(1, 2)))
    return log_sum - (targets * logits).sum((1, 2))


def weighted_total(terms: dict[str, Term], weights: dict[str, float]) -> jax.Array:
    """Sum over the terms of weight * sum / count; a term with count zero adds zero."""
    return sum(weights[name] * total / jnp.maximum(count, 1e-12) for name, (total, count) in terms.items())
