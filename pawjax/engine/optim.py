"""Optimizers and learning-rate schedules by name."""

import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from pawjax.errors import InputError

Schedule = Callable[[int], jax.Array]


def make_schedule(config: ConfigDict, steps: int) -> Schedule:
    """The learning rate at each step (from 0), for `config.optimizer`.

    'stepwise' holds each rate of `rates` until its boundary (DeepLabCut's multi_step); 'stepwise_scaled' is the same
    with the boundaries stretched so that the last is `steps`; 'cosine' falls from `learning_rate` to zero at `steps`;
    'constant'. All begin with `warmup_steps` steps of a linear rise. Raises InputError for another name.
    """
    name, warmup = config.schedule, config.warmup_steps
    if warmup >= steps:
        raise InputError(f"config.optimizer.warmup_steps = {warmup} must be less than config.steps = {steps}")
    if name in ("stepwise", "stepwise_scaled"):
        rates, boundaries = zip(*config.rates, strict=True)
        stretch = steps / boundaries[-1] if name == "stepwise_scaled" else 1.0
        pieces = [optax.constant_schedule(rate) for rate in rates]
        schedule = optax.join_schedules(pieces, [round(b * stretch) for b in boundaries[:-1]])
    elif name == "cosine":
        schedule = optax.cosine_decay_schedule(config.learning_rate, steps)
    elif name == "constant":
        schedule = optax.constant_schedule(config.learning_rate)
    else:
        choices = "stepwise, stepwise_scaled, cosine, constant"
        raise InputError(f"config.optimizer.schedule = '{name}' is not one of {choices}")
    if not warmup:
        return schedule
    rise = optax.linear_schedule(0.0, 1.0, warmup)
    return lambda step: schedule(step) * rise(step + 1)


def make_optimizer(config: ConfigDict, steps: int) -> optax.GradientTransformation:
    """'sgd' (momentum) or 'adamw', weight decay on kernels alone, gradients clipped to `clip_norm` where it is set."""
    schedule = make_schedule(config, steps)
    if config.name == "sgd":
        decay = optax.add_decayed_weights(config.weight_decay, mask=kernels) if config.weight_decay else None
        parts = [decay, optax.sgd(schedule, momentum=config.momentum)]
    elif config.name == "adamw":
        parts = [optax.adamw(schedule, b1=config.momentum, weight_decay=config.weight_decay, mask=kernels)]
    else:
        raise InputError(f"config.optimizer.name = '{config.name}' is not one of sgd, adamw")
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else None
    groups = scale_groups(config.groups) if config.groups else None
    return optax.chain(*[part for part in (clip, *parts, groups) if part is not None])


def scale_groups(groups: Sequence[tuple[str, float, int]]) -> optax.GradientTransformation:
    """Multiplies the updates of groups of parameters: freezing, smaller rates below, gradual unfreezing.

    Args:
      groups: (pattern, factor, from_step): parameters whose whole name, as 'backbone/block1_unit1/conv1/kernel',
        matches the regular expression move `factor` times as far as they would, and not at all before `from_step`.
        The first group that matches decides; parameters of no group are left alone.

    Raises InputError, when the state is made, for a pattern that no parameter matches or that is none.
    """
    try:
        patterns = [re.compile(pattern) for pattern, _, _ in groups]
    except (re.error, TypeError, ValueError) as error:
        raise InputError(f"config.optimizer.groups: write (pattern, factor, from_step) for each ({error})") from error

    def group_of(name: str) -> int | None:
        return next((i for i, pattern in enumerate(patterns) if pattern.fullmatch(name)), None)

    def init(params: optax.Params) -> optax.ScaleByScheduleState:
        names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        for pattern in patterns:
            if not any(pattern.fullmatch(name) for name in names):
                example = f"they are called like '{names[0]}'"
                raise InputError(f"config.optimizer.groups: no parameter matches '{pattern.pattern}'; {example}")
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates: optax.Updates, state: optax.ScaleByScheduleState, params: optax.Params | None = None):
        del params
        factors = [jnp.where(state.count >= from_step, factor, 0.0) for _, factor, from_step in groups]

        def scaled(path: tuple, value: jax.Array) -> jax.Array:
            group = group_of(_name(path))
            return value if group is None else value * factors[group]

        return jax.tree_util.tree_map_with_path(scaled, updates), optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformation(init, update)


def _name(path: tuple) -> str:
    return "/".join(entry.key for entry in path)


def kernels(params: optax.Params) -> optax.Params:
    """True on the leaves named 'kernel': what weight decay acts on."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
