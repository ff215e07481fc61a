"""`train_and_evaluate` trains a config in a run folder and evaluates it. The same call again resumes."""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax.config import check_config
from pawjax.engine import choices, runlog
from pawjax.engine.checkpoints import Checkpoints
from pawjax.engine.clock import Clock
from pawjax.engine.criterion import judged, no_patience_left
from pawjax.engine.pilot import with_minutes
from pawjax.engine.processes import any_process, here, is_main, main_only, of_main
from pawjax.engine.setup import Training, described, first_state, load_frames, make_training, open_folder
from pawjax.engine.state import TrainState
from pawjax.engine.sums import MetricSums
from pawjax.errors import InputError
from pawjax.files import user_path, write_json
from pawjax.interruptions import disk_errors, stop_signal
from pawjax.machine import use_compilation_cache
from pawjax.metrics import FEWEST_TO_FIT
from pawjax.optim import Optimizer, check_groups
from pawjax.progress import TrainingProgress
from pawjax.run_files import BY_DEFAULT


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains to `config.steps`, or what a new run chooses, evaluating on dev and on as many training frames.

    With `config.patience` it may end earlier.

    It starts from the folder's last checkpoint if there is one, else from the weights of `config.init_from`, else from
    random weights (`config.seed`). Ctrl-C, SIGTERM and SIGHUP during training save and return early. User errors raise
    InputError before training starts; a loss that is not finite and a full disk raise it later and keep the last good
    checkpoint.

    Returns the final state.
    """
    start = time.perf_counter()
    use_compilation_cache()
    # The order matters: every check that may refuse a run precedes the creation of its folder (6), and nothing is
    # written there or read from its checkpoints without the lock.
    workdir = user_path(workdir)
    # 1. The config and the folder, before any data is read.
    check_config(config)
    main_only(lambda: runlog.check_folder(workdir))
    # 2. The frames and their split (a resumed run keeps its own), prepared by process 0 for all.
    frames, split = load_frames(config, workdir)
    if is_main():
        print(described(frames, split), file=sys.stderr, flush=True)
    # 3. What the config leaves open, chosen by a new run and kept by a resumed one.
    minutes = config.minutes
    is_new = bool(of_main(np.array(not (workdir / "run.json").exists())))
    config, chosen = choices.choose(config, frames, split) if is_new else (choices.resumed(config, workdir), {})
    # 4. Method, optimizer, frames in memory, the program and the monitor.
    training = make_training(config, frames, split)
    # 5. A fresh state, with the weights of `init_from` unless the folder has a checkpoint.
    state, origin = first_state(training, workdir, frames.bodyparts)
    if config.minutes:
        training, chosen["steps"] = with_minutes(training, state, start)
        config, origin = training.config, origin | {"minutes": minutes}
    choices.report(chosen)
    check_groups(Optimizer.of(config), state.params, config.steps)
    # 6. The folder: locked, checked against this run, and described in run.json.
    record = runlog.describe_run(config, frames, split) | origin | choices.record(chosen)
    with (
        disk_errors(workdir),
        main_only(lambda: open_folder(workdir, config, frames, split, record)) or nullcontext(),
        stop_signal() as stopped,
        # However this block ends, the checkpoint being written is finished first.
        Checkpoints(workdir) as checkpoints,
    ):
        # 7. The folder's last checkpoint, which takes precedence over all other weights.
        state = checkpoints.restore_state(state) or state
        # 8. The log, continued at the state's step.
        log = runlog.MetricsLog(workdir, int(state.step), config.tensorboard)
        clock = Clock(log.seconds)
        state = train(training, state, checkpoints, log, clock, stopped)
        # 9. The end: checkpoints flushed to disk, results added to run.json.
        checkpoints.wait()
        if is_main():
            _say_calibration(training, checkpoints)
        early = no_patience_left(config, log.evaluations)
        if is_main() and (early or int(state.step) == config.steps):
            _write_end(workdir, state, clock, early)
    return state


def train(
    training: Training,
    state: TrainState,
    checkpoints: Checkpoints,
    log: runlog.MetricsLog,
    clock: Clock,
    stopped: Callable[[], bool],
) -> TrainState:
    """Trains from the state's step to the last step, until no patience is left, or until `stopped`."""
    config, sums = training.config, MetricSums()
    first, stride = int(state.step), config.steps_per_dispatch
    frames = training.feed(state)
    if any_process(bool(no_patience_left(config, log.evaluations))):
        return state
    progress = TrainingProgress(config.steps, first, config.batch_size, quiet=not is_main())
    with progress as bar:
        for step in range(first + stride, config.steps + 1, stride):
            state, metrics = training.program(state, next(frames), training.rates(step - stride))
            sums.add(metrics, stride)
            last = step == config.steps or _stop_requested(config, step, stopped)
            evaluates = step % config.eval_every == 0 or step == config.steps
            saves = step % config.checkpoint_every == 0 or evaluates or last
            if step % config.log_every == 0 or last:
                _fail_if_not_finite(training, state, sums)
                _log_means(training, step, sums, log, clock, bar)
            if saves:
                jax.block_until_ready(state.step)  # or pending steps would count as evaluation time
                with bar.paused(), clock.paused():
                    state = _with_pairs(training, state)
            evaluated = None
            if evaluates:
                with bar.paused(), clock.paused():
                    evaluated = judged(config, step, training.monitor.evaluate(here(state.eval_variables)))
                    log.write(step, evaluated)
                last = last or any_process(bool(no_patience_left(config, log.evaluations)))
                bar.update(step, dev=evaluated[BY_DEFAULT])
            if saves:
                with bar.paused(), clock.paused():
                    _fail_if_not_finite(training, state, sums)
                    checkpoints.save(state, evaluated)
            if last:
                break
    return state


def _with_pairs(training: Training, state: TrainState) -> TrainState:
    """The state with what its network knows of pairs of bodyparts, which a checkpoint needs and training does not."""
    model = training.monitor.fit_pairs(here(state.eval_variables))
    if model is None:
        return state
    return state.with_variables(lambda variables: training.method.with_pairwise(variables, model))


def _stop_requested(config: ConfigDict, step: int, stopped: Callable[[], bool]) -> bool:
    if jax.process_count() == 1:
        return stopped()
    return step % config.log_every == 0 and any_process(stopped())  # all at the same step


def _log_means(
    training: Training, step: int, sums: MetricSums, log: runlog.MetricsLog, clock: Clock, bar: TrainingProgress
) -> None:
    """Logs the means since the last record; the first record of a resumed run covers the steps since it resumed.

    This differs from an uninterrupted run only if the checkpoint lies between two records, i.e. if `eval_every` or
    `checkpoint_every` is not a multiple of `log_every`.
    """
    n_images = sums.n_steps * training.config.batch_size
    values = sums.take_means()
    values["learning_rate"] = float(training.schedule(step - 1))
    values["images_per_second"] = clock.rate(n_images)
    values["seconds"] = clock.seconds
    log.write(step, values)
    bar.update(step, loss=values["loss"])


def _fail_if_not_finite(training: Training, state: TrainState, sums: MetricSums) -> None:
    step = sums.first_not_finite()
    if step is not None:
        ids = ", ".join(training.frames_of_step(state, step))
        raise InputError(
            f"the loss is not finite at step {step + 1} (frames {ids}): "
            "lower the learning rate in config.optimizer, or set config.optimizer.clip_norm"
        )


def _say_calibration(training: Training, checkpoints: Checkpoints) -> None:
    """Says what the likelihoods of the best checkpoint are worth; nothing if the config says it."""
    if training.config.predict.temperature:
        return
    step, fitted = checkpoints.calibration("best")
    n = training.monitor.n_dev_points
    if fitted:
        values = "temperature {:g}, bias {:g}".format(*fitted)
        text = f"likelihoods: calibrated on {n} points of dev at step {step}, the best ({values})"
    elif n < FEWEST_TO_FIT:
        text = f"likelihoods: not calibrated, because dev has only {n} points, and {FEWEST_TO_FIT} are needed"
    else:
        text = "likelihoods: not calibrated, because no step has been evaluated on dev yet"
    print(text, file=sys.stderr, flush=True)


def _write_end(workdir: Path, state: TrainState, clock: Clock, early: str) -> None:
    """Adds to run.json how the training ended, and says why if it did so early."""
    hashed = runlog.params_sha256(jax.device_get(state.params))
    end = dict(zip(runlog.END_FIELDS, (int(state.step), round(clock.seconds, 1), hashed, early), strict=True))
    if early:
        print(f"training ends at step {int(state.step)}: {early}", file=sys.stderr, flush=True)
    else:
        del end["stopped_early"]
    write_json(workdir / "run.json", runlog.read_run(workdir) | end)
