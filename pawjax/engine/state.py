"""The training state and its random streams."""

import zlib
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
    """All that a run carries from step to step, and all that a checkpoint holds.

    step int32, the number of steps done; params and batch_stats of the method; opt_state of the optimizer; average
    {'params', 'batch_stats'}, their moving average (empty where the config asks for none); key, the run's root key,
    never changed; window, sums of the metrics since they were last logged.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any
    key: jax.Array
    window: dict[str, jax.Array]

    @property
    def eval_variables(self) -> dict[str, Any]:
        """Variables to predict with: the average where there is one."""
        return self.average or {"params": self.params, "batch_stats": self.batch_stats}


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of a named stream: streams never collide, and adding one never shifts another."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def empty_window(terms: tuple[str, ...]) -> dict[str, jax.Array]:
    """Zero sums of 'loss', each term and 'gradient_norm', over 'n' steps; 'bad_step', the first not finite, or -1."""
    zero = jnp.zeros((), jnp.float32)
    sums = {name: zero for name in ("loss", *(f"loss/{term}" for term in terms), "gradient_norm", "n")}
    return {**sums, "bad_step": jnp.full((), -1, jnp.int32)}


def create_state(
    method: Any,
    optimizer: optax.GradientTransformation,
    seed: int | jax.Array,
    batch: dict[str, jax.Array],
    average: bool,
) -> TrainState:
    """A fresh state; pure, to be called inside jit so that every leaf is a buffer of its own (donation needs that)."""
    key = jax.random.key(seed)
    variables = method.init(stream(key, "init"), batch)
    copies = jax.tree.map(lambda x: x + 0, dict(variables)) if average else {}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=optimizer.init(variables["params"]),
        average=copies,
        key=key,
        window=empty_window(tuple(method.loss_weights)),
    )
