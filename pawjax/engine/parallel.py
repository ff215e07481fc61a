"""The only module that knows the number of devices; it compiles the training program for all of them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from pawjax.data.augment import Augment
from pawjax.data.batches import FrameStore
from pawjax.data.symmetry import Pairs
from pawjax.engine.state import TrainState, create_state
from pawjax.engine.step import Metrics, batch_of_step, train_step
from pawjax.engine.sums import sum_of_steps
from pawjax.errors import InputError
from pawjax.inference import compiler
from pawjax.methods import Method

AXIS = "data"
Program = Callable[[TrainState, FrameStore, np.ndarray], tuple[TrainState, Metrics]]


def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))  # jax.make_mesh makes explicit axes, under which Conv fails


def replicate(tree: Any) -> Any:
    """The same arrays on every device."""
    return jax.device_put(jax.device_get(tree), NamedSharding(_mesh(), PartitionSpec()))


def put_batch(mode: str, store: FrameStore) -> FrameStore:
    """Moves a batch from the host to the devices, one shard to each, for programs compiled as `streamed`."""
    if mode == "pmap":  # needs a leading axis of devices
        n = len(jax.devices())
        store = jax.tree.map(lambda x: x.reshape(n, -1, *x.shape[1:]), store)
    divided = NamedSharding(_mesh(), PartitionSpec(AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, divided, lambda index: x[index]), store)


def make_state(
    method: Method,
    optimizer: optax.GradientTransformationExtraArgs,
    seed: int,
    batch: dict[str, jax.Array],
    average: bool,
) -> TrainState:
    """A fresh state on every device. The seed is an argument, so that all seeds share one compiled program."""
    replicated = NamedSharding(_mesh(), PartitionSpec())
    create = functools.partial(create_state, method, optimizer, average=average)
    return jax.jit(create, out_shardings=replicated)(np.uint32(seed), batch)


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """What a training step does, besides its method and optimizer.

    Attributes:
      augment: augmentation of the frames.
      batch_size: total over all devices.
      ema_decay: decay of the weights' moving average; 0 for none.
      microbatches: passes through the network per device and step; see `train_step`.
      n_steps: steps per call of the program.
      streamed: the store holds one step's batch (`put_batch`), not all frames (`replicate`).
      pairs: indices of the bodyparts that a mirrored frame swaps.
      groups: the optimizer's parameter groups, see `train_step`.
    """

    augment: Augment
    batch_size: int
    ema_decay: float = 0.0
    microbatches: int = 1
    n_steps: int = 1
    streamed: bool = False
    pairs: Pairs = ()
    groups: tuple[tuple[str, float, int], ...] = ()

    @classmethod
    def of(cls, config: ConfigDict, streamed: bool = False, pairs: Pairs = ()) -> Self:
        """The options that a config asks for."""
        return cls(
            augment=Augment.of(config),
            batch_size=config.batch_size,
            ema_decay=config.optimizer.ema_decay,
            microbatches=config.microbatches,
            n_steps=config.steps_per_dispatch,
            streamed=streamed,
            pairs=pairs,
            groups=config.optimizer.groups,
        )


def compile_training(
    mode: str, method: Method, optimizer: optax.GradientTransformationExtraArgs, options: StepOptions
) -> Program:
    """Compiles the program (state, store, rates) -> (state, metrics) of the next steps, on all devices.

    The old state's buffers are donated. `rates` are the learning rates, float32 [steps of a call]. Metrics are those
    of `train_step`, summed over the steps of the call.

    Args:
      mode: 'jit', one program over a mesh, or 'pmap', one program per device; both give the same numbers.
      method: see `pawjax.methods`.
      optimizer: see `pawjax.optim`.
      options: see `StepOptions`.

    Raises InputError for an unknown mode, a batch that devices and microbatches do not divide, or several steps per
    call with streamed frames.
    """
    n_devices, microbatches = len(jax.devices()), options.microbatches
    if microbatches < 1 or options.batch_size % (n_devices * microbatches):
        factors = [f"the {n_devices} devices"] if n_devices > 1 else []
        factors += [f"config.microbatches = {microbatches}"] if microbatches != 1 else []
        raise InputError(f"config.batch_size = {options.batch_size} must be a multiple of {' times '.join(factors)}")
    if options.streamed and options.n_steps > 1:
        raise InputError("config.steps_per_dispatch must be 1 if frames stream from the host: see config.device_gb")
    if mode == "jit":
        return _compile_jit(method, optimizer, options)
    if mode == "pmap":
        if jax.process_count() > 1:
            raise InputError("config.parallel = 'pmap' supports only one process: use 'jit'")
        return _compile_pmap(method, optimizer, options, n_devices)
    raise InputError(f"config.parallel = '{mode}' must be jit or pmap")


def _compile_jit(method: Method, optimizer: optax.GradientTransformationExtraArgs, options: StepOptions) -> Program:
    mesh = _mesh()
    divided = NamedSharding(mesh, PartitionSpec(AXIS))

    def shard(x: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, divided) if mesh.size > 1 else x

    def program(state: TrainState, store: FrameStore, rates: jax.Array) -> tuple[TrainState, Metrics]:
        return _next_steps(state, store, rates, method, optimizer, options, shard)

    return compiler.jit(program, donate_argnums=0, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _compile_pmap(
    method: Method, optimizer: optax.GradientTransformationExtraArgs, options: StepOptions, n_devices: int
) -> Program:
    method, share = method.with_axis(AXIS), options.batch_size // n_devices

    def program(state: TrainState, store: FrameStore, rates: jax.Array, place: jax.Array) -> tuple[TrainState, Metrics]:
        def shard(x: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice_in_dim(x, place * share, share)

        return _next_steps(state, store, rates, method, optimizer, options, shard, AXIS)

    mapped = jax.pmap(
        program,
        axis_name=AXIS,
        in_axes=(None, 0 if options.streamed else None, None, 0),
        out_axes=None,
        donate_argnums=0,
        devices=jax.devices(),
    )
    places = np.arange(n_devices)
    return lambda state, store, rates: mapped(state, store, rates, places)


def _next_steps(
    state: TrainState,
    store: FrameStore,
    rates: jax.Array,
    method: Method,
    optimizer: optax.GradientTransformationExtraArgs,
    options: StepOptions,
    shard: Callable[[jax.Array], jax.Array],
    axis_name: str | None = None,
) -> tuple[TrainState, Metrics]:
    """The state after the steps of one call, and the sums of their metrics."""

    def step(state: TrainState, rate: jax.Array) -> tuple[TrainState, Metrics]:
        batch = batch_of_step(
            state.key,
            state.step,
            store,
            options.augment,
            options.batch_size,
            shard,
            streamed=options.streamed,
            pairs=options.pairs,
        )
        return train_step(
            state,
            batch,
            rate,
            method=method,
            optimizer=optimizer,
            ema_decay=options.ema_decay,
            microbatches=options.microbatches,
            groups=options.groups,
            axis_name=axis_name,
        )

    if options.n_steps == 1:
        return step(state, rates[0])
    state, metrics = jax.lax.scan(step, state, rates)
    return state, sum_of_steps(metrics)
