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

AXIS = "data"
Program = Callable[[TrainState, FrameStore], TrainState]


def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))  # jax.make_mesh makes explicit axes, under which Conv fails


def replicate(tree: Any) -> Any:
    """The same arrays on every device."""
    return jax.device_put(jax.device_get(tree), NamedSharding(_mesh(), PartitionSpec()))


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
    """A fresh state on every device."""
    replicated = NamedSharding(_mesh(), PartitionSpec())
    create = functools.partial(create_state, method, optimizer, seed, average=average)
    return jax.jit(create, out_shardings=replicated)(batch)


def compile_training(
    mode: str,
    *,
    method: Any,
    optimizer: optax.GradientTransformation,
    settings: Augment,
    batch_size: int,
    ema_decay: float,
    accumulate: int = 1,
) -> Program:
    """(state, store) -> state after the next step, on all devices; the old state's buffers are given up.

    Args:
      mode: 'jit', one program over a mesh, or 'pmap', one program a device; both give the same numbers.
      accumulate: parts in which each device's share of the batch passes through the network; see `train_step`.

    Raises InputError for another mode, and where devices and parts do not divide the batch.
    """
    n_devices = len(jax.devices())
    if accumulate < 1 or batch_size % (n_devices * accumulate):
        parts = f" times config.accumulate = {accumulate}" if accumulate != 1 else ""
        raise InputError(f"config.batch_size = {batch_size} must be a multiple of the {n_devices} devices{parts}")
    options = dict(method=method, optimizer=optimizer, ema_decay=ema_decay, accumulate=accumulate)
    if mode == "jit":
        return _compile_jit(settings, batch_size, options)
    if mode == "pmap":
        if jax.process_count() > 1:
            raise InputError("config.parallel = 'pmap' is for one process; several train with 'jit'")
        return _compile_pmap(settings, batch_size, options, n_devices)
    raise InputError(f"config.parallel = '{mode}' is not one of jit, pmap")


def _compile_jit(settings: Augment, batch_size: int, options: dict[str, Any]) -> Program:
    mesh = _mesh()
    split = NamedSharding(mesh, PartitionSpec(AXIS))

    def program(state: TrainState, store: FrameStore) -> TrainState:
        def part(x: jax.Array) -> jax.Array:
            return jax.lax.with_sharding_constraint(x, split) if mesh.size > 1 else x

        batch = batch_of_step(state.key, state.step, store, settings, batch_size, part)
        return train_step(state, batch, **options)

    return jax.jit(program, donate_argnums=0, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _compile_pmap(settings: Augment, batch_size: int, options: dict[str, Any], n_devices: int) -> Program:
    options = options | {"method": options["method"].with_axis(AXIS)}
    share = batch_size // n_devices

    def program(state: TrainState, store: FrameStore, place: jax.Array) -> TrainState:
        def part(x: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice_in_dim(x, place * share, share)

        batch = batch_of_step(state.key, state.step, store, settings, batch_size, part)
        return train_step(state, batch, **options, axis_name=AXIS)

    mapped = jax.pmap(
        program,
        axis_name=AXIS,
        in_axes=(None, None, 0),
        out_axes=None,
        donate_argnums=0,
        devices=jax.devices(),
    )
    places = np.arange(n_devices)
    return lambda state, store: mapped(state, store, places)
