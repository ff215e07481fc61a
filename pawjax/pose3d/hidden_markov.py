"""Hidden Markov chains: probabilities of the states given all observations, and draws of their course."""

import jax
import jax.numpy as jnp

TINY = 1e-30  # least probability of a state: an impossible course stays finite


def posterior(initial: jax.Array, transitions: jax.Array, log_likelihood: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Probabilities [T, S] of the states given all observations, and the log likelihood of these.

    Args:
      initial: [S], probabilities of the first state.
      transitions: [S, S], probability of the column's state after the row's.
      log_likelihood: [T, S], of each frame's observations given its state.
    """
    filtered, likelihood, log_evidence = _filter(initial, transitions, log_likelihood)

    def step(message, likelihood):
        message = transitions @ (message * likelihood) + TINY
        message = message / message.sum()
        return message, message

    last = jnp.ones_like(initial)
    _, messages = jax.lax.scan(step, last, likelihood[1:], reverse=True)
    joint = filtered * jnp.concatenate([messages, last[None]])
    return joint / joint.sum(-1, keepdims=True), log_evidence


def sample(key: jax.Array, initial: jax.Array, transitions: jax.Array, log_likelihood: jax.Array) -> jax.Array:
    """A draw [T] of the states given all observations (forward filter, backward sample). Arguments as `posterior`."""
    filtered, _, _ = _filter(initial, transitions, log_likelihood)

    def step(state, frame):
        key, probabilities = frame
        drawn = jax.random.categorical(key, jnp.log(probabilities * transitions[:, state] + TINY))
        return drawn, drawn

    keys = jax.random.split(key, len(filtered))
    last = jax.random.categorical(keys[-1], jnp.log(filtered[-1] + TINY))
    _, states = jax.lax.scan(step, last, (keys[:-1], filtered[:-1]), reverse=True)
    return jnp.concatenate([states, last[None]])


def _filter(initial, transitions, log_likelihood):  # noqa: ANN001, ANN202
    """Probabilities [T, S] given the frames so far, likelihoods [T, S] over their maxima, log evidence."""
    highest = log_likelihood.max(-1)
    likelihood = jnp.exp(log_likelihood - highest[:, None])

    def step(predicted, likelihood):
        joint = (predicted + TINY) * likelihood
        total = joint.sum()
        return (joint / total) @ transitions, (joint / total, jnp.log(total))

    _, (filtered, evidence) = jax.lax.scan(step, initial, likelihood)
    return filtered, likelihood, evidence.sum() + highest.sum()
