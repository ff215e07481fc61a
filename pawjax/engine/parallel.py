"""The one place that knows how many devices there are: it compiles the training program for all of them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pawjax.data.augment import Augment
from pawjax.data.batches import FrameStore
from pawjax.engine.state import TrainState, create_state, empty_window
from pawjax.engine.step import batch_of_step, train_step
from pawjax.errors import InputError
from pawjax.inference import compiler

AXIS = "data"
Program = Callable[[TrainState, FrameStore], TrainState]


def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))  # jax.make_mesh makes explicit axes, under which Conv fails


def replicate(tree: Any) -> Any:
    """The same arrays on every device."""
    return jax.device_put(jax.device_get(tree), NamedSharding(_mesh(), PartitionSpec()))


def put_batch(mode: str, store: FrameStore) -> FrameStore:
    """The frames of a batch from the host to the devices, to each its share: for programs compiled `streamed`."""
    if mode == "pmap":  # which wants the devices as an axis
        n = len(jax.devices())
        store = jax.tree.map(lambda x: x.reshape(n, -1, *x.shape[1:]), store)
    split = NamedSharding(_mesh(), PartitionSpec(AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, split, lambda index: x[index]), store)


def clear_window(state: TrainState) -> TrainState:
    """The state with the sums of its window back at nothing, each in a buffer of its own."""
    window = jax.jit(_zeros, out_shardings=NamedSharding(_mesh(), PartitionSpec()))(state.window)
    return state.replace(window=window)


def _zeros(window: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return empty_window(tuple(name[5:] for name in window if name.startswith("loss/")))


def make_state(
    method: Any,
    optimizer: optax.GradientTransformation,
    seed: int,
    batch: dict[str, jax.Array],
    average: bool,
) -> TrainState:
    """A fresh state on every device. One program for all seeds, so that another run does not compile it again."""
    replicated = NamedSharding(_mesh(), PartitionSpec())
    create = functools.partial(create_state, method, optimizer, average=average)
    return jax.jit(create, out_shardings=replicated)(np.uint32(seed), batch)


def compile_training(
    mode: str,
    *,
    method: Any,
    optimizer: optax.GradientTransformation,
    settings: Augment,
    batch_size: int,
    ema_decay: float,
    accumulate: int = 1,
    steps: int = 1,
    streamed: bool = False,
) -> Program:
    """(state, store) -> state after the next steps, on all devices; the old state's buffers are given up.

    Args:
      mode: 'jit', one program over a mesh, or 'pmap', one program a device; both give the same numbers.
      accumulate: parts in which each device's share of the batch passes through the network; see `train_step`.
      steps: how many the program takes at once.
      streamed: the store holds the frames of one step's batch (`put_batch`), not all (`replicate`).

    Raises InputError for another mode, where devices and parts do not divide the batch, and for several steps at once
    of streamed frames.
    """
    n_devices = len(jax.devices())
    if accumulate < 1 or batch_size % (n_devices * accumulate):
        parts = f" times config.accumulate = {accumulate}" if accumulate != 1 else ""
        raise InputError(f"config.batch_size = {batch_size} must be a multiple of the {n_devices} devices{parts}")
    if streamed and steps > 1:
        raise InputError("config.steps_per_dispatch = 1 is needed where frames stream from the host: see device_budget")
    batch = dict(settings=settings, batch_size=batch_size, streamed=streamed)
    options = dict(method=method, optimizer=optimizer, ema_decay=ema_decay, accumulate=accumulate)
    if mode == "jit":
        return _compile_jit(batch, options, steps)
    if mode == "pmap":
        if jax.process_count() > 1:
            raise InputError("config.parallel = 'pmap' is for one process; several train with 'jit'")
        return _compile_pmap(batch, options, steps, n_devices)
    raise InputError(f"config.parallel = '{mode}' is not one of jit, pmap")


def _repeated(step: Callable[[TrainState], TrainState], state: TrainState, steps: int) -> TrainState:
    if steps == 1:
        return step(state)
    return jax.lax.scan(lambda state, _: (step(state), None), state, length=steps)[0]


def _compile_jit(batch: dict[str, Any], options: dict[str, Any], steps: int) -> Program:
    mesh = _mesh()
    split = NamedSharding(mesh, PartitionSpec(AXIS))

    def program(state: TrainState, store: FrameStore) -> TrainState:
        def part(x: jax.Array) -> jax.Array:
            return jax.lax.with_sharding_constraint(x, split) if mesh.size > 1 else x

        def step(state: TrainState) -> TrainState:
            return train_step(state, batch_of_step(state.key, state.step, store, part=part, **batch), **options)

        return _repeated(step, state, steps)

    return compiler.jit(program, donate_argnums=0, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _compile_pmap(batch: dict[str, Any], options: dict[str, Any], steps: int, n_devices: int) -> Program:
    options = options | {"method": options["method"].with_axis(AXIS), "axis_name": AXIS}
    share = batch["batch_size"] // n_devices

    def program(state: TrainState, store: FrameStore, place: jax.Array) -> TrainState:
        def part(x: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice_in_dim(x, place * share, share)

        def step(state: TrainState) -> TrainState:
            return train_step(state, batch_of_step(state.key, state.step, store, part=part, **batch), **options)

        return _repeated(step, state, steps)

    mapped = jax.pmap(
        program,
        axis_name=AXIS,
        in_axes=(None, 0 if batch["streamed"] else None, 0),
        out_axes=None,
        donate_argnums=0,
        devices=jax.devices(),
    )
    places = np.arange(n_devices)
    return lambda state, store: mapped(state, store, places)
