"""Prediction uses the moving average of the weights if the run keeps one, and the weights otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pawjax.engine.state import create_state
from pawjax.engine.step import train_step

BATCH = {"image": jnp.zeros((2, 1))}


class Falling:
    """A method of one number that decreases by 1 per step of gradient descent at rate 1."""

    loss_weights = {"height": 1.0}

    def init(self, key, batch):
        return {"params": {"height": jnp.float32(0)}, "batch_stats": {}}

    def loss(self, variables, batch):
        return {"height": (2 * variables["params"]["height"], jnp.float32(2))}, {"batch_stats": {}}


def heights(ema_decay: float, n: int = 30) -> list[tuple[float, float]]:
    """The number and its value at prediction, after each step."""
    optimizer, found = optax.sgd(1.0), []
    state = create_state(Falling(), optimizer, 0, BATCH, average=ema_decay > 0)
    step = jax.jit(
        lambda state: train_step(state, BATCH, 1.0, method=Falling(), optimizer=optimizer, ema_decay=ema_decay)
    )
    for _ in range(n):
        state, _ = step(state)
        height = state.eval_variables["params"]["height"]
        found.append((float(state.params["height"]), float(height)))
    return found


def test_weights_are_used_without_an_average():
    assert heights(0.0, 3) == [(-1, -1), (-2, -2), (-3, -3)]


def test_average_warms_up_to_its_decay():
    expected, height = [], 0.0
    for t in range(30):
        decay = min(0.8, (1 + t) / (10 + t))
        height = decay * height - (1 - decay) * (t + 1)
        expected.append(height)
    found = heights(0.8)
    assert [weight for weight, _ in found] == [-t - 1 for t in range(30)]
    np.testing.assert_allclose([average for _, average in found], expected, rtol=1e-5)


def test_seeds_give_different_keys():
    keys = [jax.random.key_data(create_state(Falling(), optax.sgd(1.0), seed, BATCH, False).key) for seed in (0, 1)]
    assert (keys[0] != keys[1]).any()
