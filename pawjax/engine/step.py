"""One training step, pure: gather the batch, warp it, loss, gradient, update. Compiled by `pawjax.engine.parallel`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pawjax.data.augment import Augment, augment
from pawjax.data.batches import FrameStore, as_batch, draw_indices, gather
from pawjax.data.symmetry import Pairs
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
    streamed: bool = False,
    pairs: Pairs = (),
) -> Batch:
    """The augmented batch of a step, which (key, step) alone determine; `part` picks this device's share of it.

    The store holds all frames, or, `streamed`, this device's share of the batch in its order.
    """
    keys = part(jax.random.split(jax.random.fold_in(stream(key, "augment"), step), batch_size))
    if streamed:
        frames = as_batch(store)
    else:
        frames = gather(store, part(draw_indices(stream(key, "order"), step, batch_size, len(store))))
    # For what a method draws itself: a key for each sample, so that it is the same however the batch is cut.
    return augment(settings, keys, frames, pairs) | {"key": jax.vmap(lambda key: stream(key, "loss"))(keys)}


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    method: Any,
    optimizer: optax.GradientTransformation,
    ema_decay: float = 0.0,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> TrainState:
    """The state after one update on `batch`.

    With `accumulate` the batch passes through the network in that many parts, one after another, for less memory. Sums
    and counts are those of the whole batch, so the update is too, but for live batch norm, which sees one part at a
    time. With `axis_name` the batch is one device's share and sums, counts and gradients are added over the axis, so
    that the result is that of the whole batch.
    """

    def add_up(tree: Any) -> Any:
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    key = jax.random.fold_in(stream(state.key, "loss"), state.step)

    def terms_of(params: Any, batch_stats: Any, part: Batch) -> tuple[dict[str, Any], Any]:
        return method.loss({"params": params, "batch_stats": batch_stats}, part, key, True)

    def loss_fn(params: Any, batch_stats: Any, part: Batch, counts: Any) -> tuple[jax.Array, tuple[Any, Any, Any]]:
        terms, batch_stats = terms_of(params, batch_stats, part)
        counts = add_up({name: n for name, (_, n) in terms.items()}) if counts is None else counts
        totals = {name: total for name, (total, _) in terms.items()}
        joined = {name: (total, counts[name]) for name, total in totals.items()}
        return weighted_total(joined, method.loss_weights), (totals, counts, batch_stats)

    def gradients_of(batch_stats: Any, part: Batch, counts: Any = None) -> tuple[Any, Any, Any]:
        differentiate = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (totals, counts, batch_stats)), gradients = differentiate(state.params, batch_stats, part, counts)
        return (loss, totals, gradients), counts, batch_stats

    if accumulate == 1:
        sums, counts, batch_stats = gradients_of(state.batch_stats, batch)
    else:
        # Every accumulate-th sample, so that each device's share of the batch is cut alike.
        parts = [jax.tree.map(lambda x, i=i: x[i::accumulate], batch) for i in range(accumulate)]
        # First the counts of the whole batch: the compiler keeps of this pass what they depend on, which is the labels
        # alone, or of a detector's the proposals too.
        counted = [terms_of(state.params, state.batch_stats, part)[0] for part in parts]
        counts = add_up({name: sum(terms[name][1] for terms in counted) for name in counted[0]})

        def add_part(carry: tuple[Any, Any], part: Batch) -> tuple[tuple[Any, Any], None]:
            more, _, batch_stats = gradients_of(carry[1], part, counts)
            return (jax.tree.map(jnp.add, carry[0], more), batch_stats), None

        first, _, batch_stats = gradients_of(state.batch_stats, parts[0], counts)
        rest = jax.tree.map(lambda *x: jnp.stack(x), *parts[1:])
        (sums, batch_stats), _ = jax.lax.scan(add_part, (first, batch_stats), rest)
    loss, totals, gradients = add_up(sums)
    means = {f"loss/{name}": total / jnp.maximum(counts[name], 1e-12) for name, total in totals.items()}
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
