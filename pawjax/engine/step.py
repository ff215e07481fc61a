"""One training step, pure: gather the batch, warp it, loss, gradient, update. Compiled by `pawjax.engine.parallel`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pawjax.data.augment import Augment, augment
from pawjax.data.batches import FrameStore, draw_indices, gather
from pawjax.engine.state import TrainState, stream
from pawjax.losses import weighted_total

Batch = dict[str, jax.Array]


def batch_of_step(
    key: jax.Array,
    step: jax.Array,
    store: FrameStore,
    settings: Augment,
    batch_size: int,
    part: Callable[[jax.Array], jax.Array] = lambda x: x,
) -> Batch:
    """The augmented batch of a step, which (key, step) alone determine; `part` picks this device's share of it."""
    indices = draw_indices(stream(key, "order"), step, batch_size, len(store))
    keys = jax.random.split(jax.random.fold_in(stream(key, "augment"), step), batch_size)
    return augment(settings, part(keys), gather(store, part(indices)))


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    method: Any,
    optimizer: optax.GradientTransformation,
    ema_decay: float = 0.0,
    axis_name: str | None = None,
) -> TrainState:
    """The state after one update on `batch`.

    With `axis_name` the batch is one device's share and sums, counts and gradients are added over the axis, so that
    the result is that of the whole batch.
    """

    def add_up(tree: Any) -> Any:
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, Any]]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        key = jax.random.fold_in(stream(state.key, "loss"), state.step)
        terms, batch_stats = method.loss(variables, batch, key, True)
        terms = {name: (total, add_up(count)) for name, (total, count) in terms.items()}
        return weighted_total(terms, method.loss_weights), (terms, batch_stats)

    (loss, (terms, batch_stats)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    loss, gradients = add_up((loss, gradients))
    means = {f"loss/{name}": add_up(total) / jnp.maximum(count, 1e-12) for name, (total, count) in terms.items()}
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    measured = {"loss": loss, **means, "gradient_norm": optax.tree.norm(gradients)}
    return state.replace(
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        average=_moved(state, {"params": params, "batch_stats": batch_stats}, ema_decay),
        window=_added(state, measured),
    )


def _moved(state: TrainState, variables: Any, decay: float) -> Any:
    """The moving average, younger at first: decay rises as (1 + t) / (10 + t) up to its value."""
    if not state.average:
        return state.average
    t = state.step.astype(jnp.float32)
    d = jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda old, new: d * old + (1 - d) * new, state.average, variables)


def _added(state: TrainState, measured: dict[str, jax.Array]) -> dict[str, jax.Array]:
    window = state.window
    bad = (window["bad_step"] < 0) & ~jnp.isfinite(measured["loss"])
    sums = {name: window[name] + value for name, value in measured.items()}
    return {**sums, "n": window["n"] + 1, "bad_step": jnp.where(bad, state.step, window["bad_step"])}
