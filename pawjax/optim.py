"""Optimizers and learning-rate schedules by name, and parameter groups that are frozen or have their own rate.

The learning rate is an argument of every update, not a part of the optimizer, so that one compiled program serves every
schedule and every number of steps.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pawjax.errors import InputError, warn
from pawjax.sections import MOST, Section

Schedule = Callable[[int | np.ndarray], np.ndarray]
LARGEST_RATE = 1000.0  # of learning rates and their factors
SCHEDULES = ("stepwise", "stepwise_scaled", "cosine", "constant")


@dataclasses.dataclass(frozen=True)
class Optimizer(Section):
    """`config.optimizer`.

    Attributes:
      name: one of optax's: 'sgd' (with momentum), 'adam' or 'adamw'.
      momentum: momentum of 'sgd'; b1 of the others.
      weight_decay: acts on kernels only; decoupled for 'adamw', added to the gradient for the others.
      clip_norm: largest global norm of the gradients; 0 does not clip. See `clip_by_moving_norm`.
      schedule: 'stepwise', 'stepwise_scaled', 'cosine' or 'constant'; see `make_schedule`.
      rates: (rate, until_step) for each stage of 'stepwise' and 'stepwise_scaled'.
      learning_rate: for 'cosine' and 'constant'.
      rate_factor: multiplies the learning rate of any schedule. All three optimizers are linear in the rate, so up to
        rounding this is the same as scaling every update.
      warmup_steps: the rate rises linearly over this many steps.
      ema_decay: decay of the moving average of the weights, which is used for prediction; 0 keeps no average.
      groups: (pattern, factor, from_step) for each parameter group; see `scale_groups`. Triples are easy to write in a
        flag: --config.optimizer.groups="(('backbone/.*',0.0,0),)" freezes the backbone.
      groups_warmup_steps: the factor of each group rises linearly over this many steps, from its `from_step`.
    """

    section: ClassVar[str] = "optimizer"

    name: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    schedule: str = "stepwise"
    rates: tuple[tuple[float, int], ...] = ((0.005, 10_000), (0.02, 430_000), (0.002, 730_000), (0.001, 1_030_000))
    learning_rate: float = 0.001
    rate_factor: float = 1.0
    warmup_steps: int = 0
    ema_decay: float = 0.0
    groups: tuple[tuple[str, float, int], ...] = ()
    groups_warmup_steps: int = 0

    def __post_init__(self):
        self.require_choice("name", tuple(OPTIMIZERS))
        self.require_choice("schedule", SCHEDULES)
        for field in ("momentum", "ema_decay"):
            self.require_share(field, below_one=True)
        for field in ("weight_decay", "learning_rate"):
            self.require_range(field, 0, LARGEST_RATE)
        self.require_positive("rate_factor", LARGEST_RATE)
        self.require_range("clip_norm", 0, 1e30)
        for field in ("warmup_steps", "groups_warmup_steps"):
            self.require_range(field, 0, MOST)
        self.require(
            "rates",
            _are_rates(self.rates),
            f"((rate, until_step), ...), rates from 0 to {LARGEST_RATE:g} and positive, increasing steps",
        )
        _patterns(self.groups)
        for _, factor, from_step in self.groups:
            fits = 0 <= factor <= LARGEST_RATE and 0 <= from_step <= MOST
            self.require("groups", fits, "(pattern, factor, from_step) for each, neither number negative nor huge")


def make_schedule(settings: Optimizer, steps: int) -> Schedule:
    """The learning rate at each step (from 0) of a run of `steps` steps.

    'stepwise' holds each rate of `rates` until its boundary (DeepLabCut's multi_step); 'stepwise_scaled' is the same
    with the boundaries scaled so that the last is `steps`; 'cosine' falls from `learning_rate` to zero at `steps`;
    'constant' stays at `learning_rate`. All start with a linear warm-up over `warmup_steps` and are multiplied by
    `rate_factor`. Raises InputError if the warm-up takes the whole run.
    """
    warmup = settings.warmup_steps
    if warmup >= steps:
        raise InputError(f"config.optimizer.warmup_steps = {warmup} must be less than config.steps = {steps}")
    rates, boundaries = (np.array(values) for values in zip(*settings.rates, strict=True))
    stretch = steps / boundaries[-1] if settings.schedule == "stepwise_scaled" else 1.0

    def schedule(step: int | np.ndarray) -> np.ndarray:
        step = np.asarray(step)
        if settings.schedule == "cosine":
            rate = settings.learning_rate * (1 + np.cos(np.pi * np.minimum(step, steps) / steps)) / 2
        elif settings.schedule == "constant":
            rate = np.full(step.shape, settings.learning_rate)
        else:
            rate = rates[np.searchsorted(np.round(boundaries[:-1] * stretch), step, side="right")]
        return rate * np.minimum(1, (step + 1) / max(warmup, 1)) * settings.rate_factor

    return schedule


def make_optimizer(settings: Optimizer) -> optax.GradientTransformationExtraArgs:
    """The optimizer with its clipping and groups, updated by `update(gradients, state, params, rate=RATE)`."""
    chain = OPTIMIZERS[settings.name](settings)
    if settings.clip_norm and settings.groups:
        chain = [clip_by_moving_norm(settings.clip_norm, settings.groups), *chain]
    elif settings.clip_norm:
        chain = [optax.clip_by_global_norm(settings.clip_norm), *chain]
    if settings.groups:
        chain = [*chain, scale_groups(settings.groups, settings.groups_warmup_steps)]
    return optax.chain(*chain)


# The states nest and count as those of optax.sgd, adam and adamw with a schedule, which checkpoints hold.
def _sgd(settings: Optimizer) -> list[optax.GradientTransformation]:
    return [*_added_decay(settings), optax.chain(optax.trace(settings.momentum), scale_by_rate())]


def _adam(settings: Optimizer) -> list[optax.GradientTransformation]:
    return [*_added_decay(settings), optax.chain(optax.scale_by_adam(b1=settings.momentum), scale_by_rate())]


def _adamw(settings: Optimizer) -> list[optax.GradientTransformation]:
    decay = optax.add_decayed_weights(settings.weight_decay, mask=kernels)
    return [optax.chain(optax.scale_by_adam(b1=settings.momentum), decay, scale_by_rate())]


def _added_decay(settings: Optimizer) -> list[optax.GradientTransformation]:
    return [optax.add_decayed_weights(settings.weight_decay, mask=kernels)] if settings.weight_decay else []


OPTIMIZERS = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


def scale_by_rate() -> optax.GradientTransformationExtraArgs:
    """Multiplies updates by -rate, an argument of `update`."""

    def init(params: optax.Params) -> optax.ScaleByScheduleState:
        del params
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: optax.ScaleByScheduleState,
        params: optax.Params | None = None,
        *,
        rate: jax.Array | float,
        **_: Any,
    ) -> tuple[optax.Updates, optax.ScaleByScheduleState]:
        del params
        return jax.tree.map(lambda update: -rate * update, updates), optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def scale_groups(groups: tuple[tuple[str, float, int], ...], warmup_steps: int = 0) -> optax.GradientTransformation:
    """Scales the updates of parameter groups: freezing, lower rates for early layers, gradual unfreezing.

    Args:
      groups: (pattern, factor, from_step): updates of parameters whose full name, e.g.
        'backbone/block1_unit1/conv1/kernel', matches the regular expression are multiplied by `factor`, and by 0
        before `from_step`. The first matching group applies; other parameters are unchanged.
      warmup_steps: steps over which the factors rise linearly, from `from_step`; 0 starts with the whole factor.

    Its `init` raises InputError for a pattern that no parameter matches.
    """

    def factor_at(step: jax.Array, factor: float, from_step: int) -> jax.Array:
        if not warmup_steps:
            return jnp.where(step >= from_step, factor, 0.0)
        return factor * jnp.clip((step - from_step + 1) / warmup_steps, 0, 1)

    def scale(updates: optax.Updates, step: jax.Array) -> optax.Updates:
        factors = [factor_at(step, factor, from_step) for _, factor, from_step in groups]
        return jax.tree.map(
            lambda update, group: update if group < 0 else update * factors[group], updates, group_of(groups, updates)
        )

    return _at_each_step(groups, scale)


def check_groups(settings: Optimizer, params: optax.Params, steps: int) -> None:
    """Raises InputError for groups that change nothing, or leave nothing to train; warns of those trained too late."""
    if settings.groups_warmup_steps and not settings.groups:
        raise InputError("config.optimizer.groups_warmup_steps has no effect without config.optimizer.groups")
    used = set(jax.tree.leaves(group_of(settings.groups, params)))
    for index, (pattern, factor, from_step) in enumerate(settings.groups):
        if index not in used:
            raise InputError(
                f"config.optimizer.groups: '{pattern}' has no effect, because the groups before it match all of its "
                "parameters: put it first"
            )
        if factor and from_step >= steps:
            warn(
                f"config.optimizer.groups: '{pattern}' would be trained from step {from_step} of {steps}, which is "
                "never: give an earlier step, or more --config.steps"
            )
    if all(index >= 0 and not settings.groups[index][1] for index in used):
        raise InputError("config.optimizer.groups gives every parameter the factor 0: nothing would be trained")


def without_gradients_of_frozen(groups: tuple[tuple[str, float, int], ...], params: optax.Params) -> optax.Params:
    """The parameters, without gradients to those of groups with factor 0: nothing is computed for them."""
    return jax.tree.map(
        lambda param, group: jax.lax.stop_gradient(param) if group >= 0 and not groups[group][1] else param,
        params,
        group_of(groups, params),
    )


def clip_by_moving_norm(max_norm: float, groups: tuple[tuple[str, float, int], ...]) -> optax.GradientTransformation:
    """Clips gradients by the global norm of those whose parameters are trained at this step.

    A frozen backbone then does not shrink the steps of the heads. Gradients of frozen parameters are clipped by the
    norm of all: they enter the moments with which the parameters start once unfrozen.
    """
    clip = optax.clip_by_global_norm(max_norm)

    def clipped(gradients: optax.Updates, step: jax.Array) -> optax.Updates:
        moves = [(step >= from_step) & (factor != 0) for _, factor, from_step in groups]
        moving = jax.tree.map(lambda group: group < 0 or moves[group], group_of(groups, gradients))
        own = jax.tree.map(lambda moves, gradient: jnp.where(moves, gradient, 0), moving, gradients)
        of_moving, of_all = (clip.update(tree, optax.EmptyState())[0] for tree in (own, gradients))
        return jax.tree.map(jnp.where, moving, of_moving, of_all)

    return _at_each_step(groups, clipped)


def _at_each_step(
    groups: tuple[tuple[str, float, int], ...], change: Callable[[optax.Updates, jax.Array], optax.Updates]
) -> optax.GradientTransformation:
    """Applies `change(updates, step)`; its `init` checks that every pattern of the groups matches a parameter."""

    def init(params: optax.Params) -> optax.ScaleByScheduleState:
        names = _names(params)
        for pattern in _patterns(groups):
            if not any(pattern.fullmatch(name) for name in names):
                raise InputError(
                    f"config.optimizer.groups: no parameter matches '{pattern.pattern}'; "
                    f"the first parameter is '{names[0]}'"
                )
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates: optax.Updates, state: optax.ScaleByScheduleState, params: optax.Params | None = None):
        del params
        return change(updates, state.count), optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformation(init, update)


def group_of(groups: tuple[tuple[str, float, int], ...], params: optax.Params) -> Any:
    """Index of each parameter's group, the first whose pattern matches its full name; -1 for none."""
    patterns = _patterns(groups)
    indices = [next((i for i, p in enumerate(patterns) if p.fullmatch(name)), -1) for name in _names(params)]
    return jax.tree.unflatten(jax.tree.structure(params), indices)


def kernels(params: optax.Params) -> optax.Params:
    """Mask of the parameters that weight decay acts on: the kernels."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def _names(params: optax.Params) -> list[str]:
    paths = (path for path, _ in jax.tree_util.tree_leaves_with_path(params))
    return ["/".join(entry.key for entry in path) for path in paths]


def _patterns(groups: tuple[tuple[str, float, int], ...]) -> list[re.Pattern]:
    """Compiles the patterns of the groups. Raises InputError if the groups are malformed."""
    try:
        for _, factor, from_step in groups:
            factor + from_step  # TypeError unless both are numbers
        return [re.compile(pattern) for pattern, _, _ in groups]
    except (re.error, TypeError, ValueError) as error:
        raise InputError(f"config.optimizer.groups: write (pattern, factor, from_step) for each ({error})") from error


def _are_rates(rates: Any) -> bool:
    try:
        values = [rate for rate, _ in rates]
        boundaries = [0, *(until for _, until in rates)]
        fit = len(values) > 0 and all(0 <= rate <= LARGEST_RATE for rate in values) and boundaries[-1] <= MOST
        return fit and all(a < b for a, b in itertools.pairwise(boundaries))
    except (TypeError, ValueError):
        return False
