"""The training state and its random streams."""

import zlib
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from pawjax.methods import Method


@flax.struct.dataclass
class TrainState:
    """All that a run carries from step to step, and all that a checkpoint holds.

    step int32, the number of steps done; params, the method's parameters; extra {name: collection}, all its further
    variables, such as batch statistics, which the engine never looks into; opt_state of the optimizer; average, the
    moving average of {'params': ..., **extra} (empty where the config asks for none); key, the run's root key, never
    changed.
    """

    step: jax.Array
    params: Any
    extra: dict[str, Any]
    opt_state: Any
    average: Any
    key: jax.Array

    @property
    def variables(self) -> dict[str, Any]:
        """The method's variables as they are trained."""
        return {"params": self.params, **self.extra}

    @property
    def eval_variables(self) -> dict[str, Any]:
        """Variables to predict with: the average where there is one."""
        return self.average or self.variables


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of a named stream: streams never collide, and adding one never shifts another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def create_state(
    method: Method,
    optimizer: optax.GradientTransformation,
    seed: int | jax.Array,
    batch: dict[str, jax.Array],
    average: bool,
) -> TrainState:
    """A fresh state; pure, to be called inside jit so that every leaf is a buffer of its own (donation needs that)."""
    key = jax.random.key(seed)
    variables = dict(method.init(stream(key, "init"), batch))
    copies = jax.tree.map(lambda x: x + 0, variables) if average else {}
    params = variables.pop("params")
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        extra=variables,
        opt_state=optimizer.init(params),
        average=copies,
        key=key,
    )
