"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable

import jax
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
    return optax.chain(*[part for part in (clip, *parts) if part is not None])


def kernels(params: optax.Params) -> optax.Params:
    """True on the leaves named 'kernel': what weight decay acts on."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
