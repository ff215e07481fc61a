"""One pure training step: gather, augment, loss, gradient, update. Compiled in `pawjax.engine.parallel`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pawjax.data.augment import Augment, augment
from pawjax.data.batches import FrameStore, as_batch, draw_indices, gather
from pawjax.data.symmetry import Pairs
from pawjax.engine.state import TrainState, stream
from pawjax.losses import weighted_total
from pawjax.methods import Method
from pawjax.ops import chains
from pawjax.optim import without_gradients_of_frozen

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
FINITE = jnp.iinfo(jnp.int32).max  # value of 'not_finite' if the loss is finite


class Sums(NamedTuple):
    """Sums over a batch or a shard of it; the shards' sums add up to the batch's."""

    loss: jax.Array
    totals: dict[str, jax.Array]  # per term
    gradients: Any


def batch_of_step(
    key: jax.Array,
    step: jax.Array,
    store: FrameStore,
    settings: Augment,
    batch_size: int,
    shard: Callable[[jax.Array], jax.Array] = lambda x: x,
    streamed: bool = False,
    pairs: Pairs = (),
) -> Batch:
    """The augmented batch of a step, determined only by (key, step); `shard` selects this device's shard.

    The store holds all frames or, if `streamed`, this device's shard of the batch, in order.
    """
    keys = shard(jax.random.split(jax.random.fold_in(stream(key, "augment"), step), batch_size))
    if streamed:
        frames = as_batch(store)
    else:
        frames = gather(store, shard(draw_indices(stream(key, "order"), step, batch_size, len(store))))
    # For the method's own draws: one key per sample, so that they do not depend on how the batch is divided.
    return augment(settings, keys, frames, pairs) | {"key": jax.vmap(lambda key: stream(key, "loss"))(keys)}


def train_step(
    state: TrainState,
    batch: Batch,
    rate: jax.Array,
    *,
    method: Method,
    optimizer: optax.GradientTransformationExtraArgs,
    ema_decay: float = 0.0,
    microbatches: int = 1,
    groups: tuple[tuple[str, float, int], ...] = (),
    axis_name: str | None = None,
) -> tuple[TrainState, Metrics]:
    """The state after one update on `batch` at a learning rate, float32 [], and the metrics of this step.

    The batch passes through the network in `microbatches`; see `accumulate`. No gradients are computed for those of the
    optimizer's parameter `groups` that have factor 0. With `axis_name` the batch is one device's shard; sums, counts
    and gradients are added over the axis, which gives the result of the whole batch.

    Metrics, float32 scalars: 'loss', 'loss/NAME' for each term of the method, 'gradient_norm'; and 'not_finite', int32:
    this step (from 0) if its loss is not finite, else `FINITE`.
    """

    def add_up(tree: Any) -> Any:
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    trained = partial(without_gradients_of_frozen, groups)
    sums, counts, extra = accumulate(method, state, batch, microbatches, add_up, trained)
    loss, totals, gradients = add_up(sums)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, rate=rate)
    params = optax.apply_updates(state.params, updates)
    metrics = {
        "loss": loss,
        **{f"loss/{name}": total / jnp.maximum(counts[name], 1e-12) for name, total in totals.items()},
        "gradient_norm": optax.tree.norm(gradients),
        "not_finite": jnp.where(jnp.isfinite(loss), FINITE, state.step),
    }
    state = state.replace(
        step=state.step + 1,
        params=params,
        extra=extra,
        opt_state=opt_state,
        average=_averaged(state, {"params": params, **extra}, ema_decay),
    )
    return state, metrics


def accumulate(
    method: Method,
    state: TrainState,
    batch: Batch,
    microbatches: int,
    add_up: Callable[[Any], Any],
    trained: Callable[[Any], Any],
) -> tuple[Sums, dict[str, jax.Array], dict[str, Any]]:
    """This device's sums, the counts {term: n} of the whole batch, and the updated extra collections.

    Several microbatches pass through the network one after another, to save memory. Sums and counts, and hence the
    update, are those of the whole batch, except that live batch norm normalizes each microbatch separately. `add_up`
    adds over the devices; `trained` stops the gradients to parameters that are not.
    """
    if microbatches == 1:
        return _gradients(method, state.params, state.extra, batch, add_up, trained)

    # Every n-th sample, so that each device's shard is divided in the same way.
    pieces = [jax.tree.map(lambda x, i=i: x[i::microbatches], batch) for i in range(microbatches)]
    # First the counts of the whole batch. Of this pass the compiler keeps only what they depend on: the labels and, for
    # a detector, the proposals.
    counted = [method.loss(state.variables, piece)[0] for piece in pieces]
    counts = add_up({name: sum(terms[name][1] for terms in counted) for name in counted[0]})

    def add_piece(carry: tuple[Sums, Any], piece: Batch) -> tuple[tuple[Sums, Any], None]:
        sums, extra = carry
        more, _, extra = _gradients(method, state.params, extra, piece, lambda _: counts, trained)
        return (jax.tree.map(jnp.add, sums, more), extra), None

    first, _, extra = _gradients(method, state.params, state.extra, pieces[0], lambda _: counts, trained)
    rest = jax.tree.map(lambda *x: jnp.stack(x), *pieces[1:])
    (sums, extra), _ = jax.lax.scan(add_piece, (first, extra), rest)
    return sums, counts, extra


def _gradients(
    method: Method,
    params: Any,
    extra: dict[str, Any],
    batch: Batch,
    whole: Callable[[Any], Any],
    trained: Callable[[Any], Any],
) -> tuple[Sums, dict[str, jax.Array], dict[str, Any]]:
    """Like `accumulate`, for one pass; `whole` turns the counts of this batch into the divisors of its sums."""

    def loss_of(params: Any) -> tuple[jax.Array, tuple[Any, Any, Any]]:
        with chains.over(batch["image"]):
            terms, updates = method.loss({"params": trained(params), **extra}, batch)
        totals = {name: total for name, (total, _) in terms.items()}
        counts = whole({name: count for name, (_, count) in terms.items()})
        loss = weighted_total({name: (totals[name], counts[name]) for name in terms}, method.loss_weights)
        return loss, (totals, counts, {**extra, **updates})

    (loss, (totals, counts, extra)), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
    return Sums(loss, totals, gradients), counts, extra


def _averaged(state: TrainState, variables: Any, decay: float) -> Any:
    """The moving average; its decay rises as (1 + t) / (10 + t) up to `decay`.

    `optax.incremental_update` is not used: it takes 1 - decay, which is rounded while the decay is below 0.5.
    """
    if not state.average:
        return state.average
    t = state.step.astype(jnp.float32)
    d = jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda old, new: d * old + (1 - d) * new, state.average, variables)
