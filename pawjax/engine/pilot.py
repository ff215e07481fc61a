"""How many steps fit into `config.minutes` on this machine: a few steps and two evaluations, timed and thrown away."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.automatic import steps_within
from pawjax.engine.choices import Choice
from pawjax.engine.processes import here, is_main, of_main
from pawjax.engine.setup import Training
from pawjax.engine.state import TrainState
from pawjax.errors import InputError
from pawjax.progress import announced

FEWEST_CALLS, MOST_CALLS = 3, 1000  # of the program, timed
SHARE = 0.01  # of the time, for calls beyond the fewest
RESERVE = 0.03  # share of the time for checkpoints and what the pilot cannot see


def with_minutes(training: Training, state: TrainState, start: float) -> tuple[Training, Choice]:
    """The training with the steps that fit into `config.minutes`, and why.

    Args:
      training: its program is compiled here.
      state: the first; it is left as it is.
      start: `time.perf_counter()` at the start of the minutes.

    Raises InputError if the time is too short.
    """
    config = training.config
    with announced("timing steps for config.minutes, and compiling them before that") if is_main() else nullcontext():
        per_step, per_evaluation = measure(training, state, SHARE * 60 * config.minutes)
    passed = time.perf_counter() - start
    passed, per_step, per_evaluation = of_main(np.array([passed, per_step, per_evaluation])).tolist()
    left = (60 * config.minutes - passed) * (1 - RESERVE)
    steps = steps_within(left, per_step, per_evaluation, config.eval_every, config.steps_per_dispatch)
    times = (
        f"a step takes {per_step:.3g} s, an evaluation {per_evaluation:.3g} s, and the time until the first step "
        f"{passed:.0f} s"
    )
    least = max(config.optimizer.warmup_steps + 1, config.steps_per_dispatch)
    if steps < least:
        needed = (passed + (least * per_step + per_evaluation) / (1 - RESERVE)) / 60
        raise InputError(
            f"config.minutes = {config.minutes:g} leaves time for {steps} steps, and at least {least} are needed "
            f"(config.optimizer.warmup_steps = {config.optimizer.warmup_steps}): {times}; give at least "
            f"{np.ceil(10 * needed) / 10:g} minutes"
        )
    config = config.copy_and_resolve_references()
    words = f"they take {config.minutes:g} minutes: {times}"
    config.minutes, config.steps = 0.0, steps
    return dataclasses.replace(training, config=config), Choice(steps, words)


def measure(training: Training, state: TrainState, budget: float) -> tuple[float, float]:
    """Seconds of a step and of an evaluation, after all that they need is compiled.

    Args:
      training, state: as in `with_minutes`.
      budget: seconds that the timed steps may take, if they are more than `FEWEST_CALLS` calls of the program.
    """
    state = jax.tree.map(jnp.copy, state)  # the program takes its buffers
    frames, rates = training.feed(state), np.zeros(training.config.steps_per_dispatch, np.float32)

    def call(state: TrainState) -> TrainState:
        return jax.block_until_ready(training.program(state, next(frames), rates)[0])

    def timed(n: int) -> list[float]:
        nonlocal state
        seconds = []
        for _ in range(n):
            start = time.perf_counter()
            state = call(state)
            seconds.append(time.perf_counter() - start)
        return seconds

    timed(2)  # the first compiles, the second finds its memory
    evaluation = [_seconds(lambda: training.monitor.evaluate(here(state.eval_variables))) for _ in range(2)][1]
    seconds = timed(FEWEST_CALLS)
    more = np.clip(budget / np.median(seconds) - FEWEST_CALLS, 0, MOST_CALLS)
    seconds += timed(int(of_main(more)))  # as many on every process
    return float(np.mean(seconds)) / training.config.steps_per_dispatch, evaluation


def _seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
