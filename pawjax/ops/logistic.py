"""Logistic regression: the loss of a linear classifier, its gradient and its Hessian, as in any textbook of it.

The loss is the mean negative log likelihood of Bernoulli labels y whose logits are z = X w, plus a penalty:
mean(log(1 + exp(z)) - y z) + sum(l2 w^2) / 2. A bias is a column of ones in X that has no penalty.
"""

import jax
import jax.numpy as jnp

from pawjax.losses import sigmoid_cross_entropy


def loss(w: jax.Array, x: jax.Array, y: jax.Array, l2: jax.Array | float) -> jax.Array:
    """The penalised loss, a scalar.

    Args:
      w: [P], the weights.
      x: [N, P], the features of N examples.
      y: [N], 0 or 1.
      l2: weight of the penalty, one for all or [P].
    """
    return sigmoid_cross_entropy(x @ w, y).mean() + (l2 * w**2).sum() / 2


def gradient(w: jax.Array, x: jax.Array, y: jax.Array, l2: jax.Array | float) -> jax.Array:
    """Gradient of `loss`: X'(s(z) - y) / N + l2 w, [P]."""
    return x.T @ (jax.nn.sigmoid(x @ w) - y) / len(x) + l2 * w


def hessian(w: jax.Array, x: jax.Array, l2: jax.Array | float) -> jax.Array:
    """Hessian of `loss`: X' diag(s(z) s(-z)) X / N + diag(l2), [P, P]; positive semi-definite, and free of y."""
    z = x @ w
    curvature = jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    return (x * curvature[:, None]).T @ x / len(x) + jnp.diag(jnp.broadcast_to(jnp.asarray(l2, w.dtype), w.shape))
