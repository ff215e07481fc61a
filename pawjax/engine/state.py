"""The training state and its random streams."""

import zlib
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from pawjax.methods import Method


@flax.struct.dataclass
class TrainState:
    """Everything that a run carries from step to step and a checkpoint stores.

    step int32, the number of completed steps; params, the method's parameters; extra {name: collection}, its other
    variables, such as batch statistics, opaque to the engine; opt_state, the optimizer's; average, the moving average
    of {'params': ..., **extra} (empty if the config disables it); key, the run's root key, which never changes.
    """

    step: jax.Array
    params: Any
    extra: dict[str, Any]
    opt_state: Any
    average: Any
    key: jax.Array

    @property
    def variables(self) -> dict[str, Any]:
        """The method's variables in training."""
        return {"params": self.params, **self.extra}

    @property
    def eval_variables(self) -> dict[str, Any]:
        """Variables for prediction: the average if there is one."""
        return self.average or self.variables

    def with_variables(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> "TrainState":
        """The state whose collections other than the parameters, and those of the average, are changed.

        The new values lie where the old ones are, in buffers of their own (needed for donation).
        """

        def changed(variables: dict[str, Any]) -> dict[str, Any]:
            new = change(variables)

            def placed(name: str) -> Any:
                if new[name] is variables[name]:
                    return new[name]
                return jax.tree.map(
                    lambda value, old: jax.device_put(np.array(value), old.sharding), new[name], variables[name]
                )

            return {name: placed(name) for name in variables}

        extra = {name: value for name, value in changed(self.variables).items() if name != "params"}
        return self.replace(extra=extra, average=changed(self.average) if self.average else self.average)


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
    """A fresh state; pure. Call it inside jit, so that every leaf has its own buffer (needed for donation)."""
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
