"""`train_and_evaluate`: a config and a folder in, a trained and documented run out. The same call again resumes."""

import errno
import functools
import itertools
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data
from pawjax.data.augment import Augment, output_size
from pawjax.data.batches import FrameStore, draw_indices, make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine import parallel, runlog
from pawjax.engine.checkpoints import BEST_METRIC, Checkpoints, has_checkpoints
from pawjax.engine.feed import stream_batches
from pawjax.engine.monitor import Monitor
from pawjax.engine.optim import make_optimizer, make_schedule
from pawjax.engine.processes import any_process, here, is_main, main_first, main_only
from pawjax.engine.state import TrainState, stream
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.methods import make_method
from pawjax.progress import TrainingProgress


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains to `config.steps`, evaluating on dev and on as many training frames along the way.

    It starts from the folder's own last checkpoint if there is one, else from the weights of `config.init_from`, else
    afresh from `config.seed`. SIGTERM and Ctrl-C save and return early. Everything a user can get wrong raises
    InputError before training starts; so do, with the last good checkpoint kept, a loss that is not finite and a full
    disk.

    Returns the last state.
    """
    run = _Run(config, Path(workdir))
    with run.lock or nullcontext(), _stop_signal() as stopped, run.progress() as bar:
        state = run.train(bar, stopped)
        run.finish(state)
    return state


class _Run:
    """One call of `train_and_evaluate`: what it needs, made once, checked before the first step."""

    def __init__(self, config: ConfigDict, workdir: Path):
        check_numbers(config)
        self._config, self._workdir = config, workdir
        source, settings = data.DataConfig.of(config), Augment.of(config)
        frames = main_first(lambda: data.load(source))
        split = data.split(source, frames)
        _check_labels(frames, split)
        method = make_method(config, frames.bodyparts)
        pairs = pair_indices(source.symmetric_pairs, frames.bodyparts)
        if is_main():
            for sentence in method.warnings:
                print(f"pawjax: warning: {sentence}", file=sys.stderr)
        optimizer = make_optimizer(config.optimizer, config.steps)
        self._schedule = make_schedule(config.optimizer, config.steps)
        self._ids = [frames.ids[i] for i in split["train"]]
        stores = {part: make_store(frames, split[part], config.scale) for part in ("train", "dev")}
        self._store = stores["train"]
        self._streamed = sum(store.n_bytes for store in stores.values()) > config.device_budget * 1e9
        self._monitor = Monitor(method, config, frames, split, stores, on_device=not self._streamed)
        self._program = parallel.compile_training(
            config.parallel,
            method=method,
            optimizer=optimizer,
            settings=settings,
            batch_size=config.batch_size,
            ema_decay=config.optimizer.ema_decay,
            accumulate=config.accumulate,
            steps=config.steps_per_dispatch,
            streamed=self._streamed,
            pairs=pairs,
        )
        size = output_size(settings, self._store.image.shape[1:3])
        image = np.zeros((1, *size, self._store.image.shape[-1]), np.uint8)
        average = config.optimizer.ema_decay > 0
        state = parallel.make_state(method, optimizer, config.seed, {"image": image}, average)
        record = runlog.describe_run(config, frames, split)
        if config.init_from and not has_checkpoints(workdir):
            anchors = len(config.detector.anchor_sizes), len(config.detector.anchor_ratios)
            lineage, bodyparts = config.model.lineage, frames.bodyparts
            state, merged = initialise(state, config.init_from, lineage, anchors, bodyparts)
            if is_main():
                print(f"{config.init_from}: {merged}", file=sys.stderr)
            record["init_from"] = {"used": len(merged.used), "missing": merged.missing, "skipped": merged.skipped}
        self.lock = main_only(lambda: self._open_folder(frames, split, record))
        self._checkpoints = Checkpoints(workdir)
        self._state = self._checkpoints.restore_state(state) or state
        self.first_step = int(self._state.step)
        self._log = runlog.MetricsLog(workdir, self.first_step, config.tensorboard)
        self._clock = _Clock(self._log.seconds)

    def _open_folder(self, frames: data.LabelledFrames, split: dict[str, np.ndarray], record: dict[str, Any]) -> TextIO:
        path = self._workdir / "run.json"
        if path.exists() and runlog.read_run(self._workdir)["data"] != record["data"]:  # before anything is written
            raise InputError(
                f"the frames or labels of config.data.path changed since {self._workdir} began: "
                "use another --workdir, or put the data back"
            )
        self._workdir.mkdir(parents=True, exist_ok=True)
        runlog.write_config(self._workdir, self._config)
        lock = runlog.lock_run(self._workdir)
        if not path.exists():
            data.write_split(self._workdir / "split.json", frames, split)
            write_json(path, record)
        return lock

    def progress(self) -> TrainingProgress:
        return TrainingProgress(self._config.steps, self.first_step, self._config.batch_size, quiet=not is_main())

    def train(self, bar: TrainingProgress, stopped: Callable[[], bool]) -> TrainState:
        config, state = self._config, self._state
        frames = self._feed(state)
        for step in range(self.first_step + config.steps_per_dispatch, config.steps + 1, config.steps_per_dispatch):
            state = self._program(state, next(frames))
            last = step == config.steps or self._told_to_stop(step, stopped)
            if step % config.log_every == 0 or last:
                state = self._log_window(state, bar)
            evaluated = None
            if step % config.eval_every == 0 or step % config.checkpoint_every == 0 or last:
                jax.block_until_ready(state.step)  # or the steps under way would count as evaluation
            if step % config.eval_every == 0 or step == config.steps:
                with bar.paused(), self._clock.paused():
                    evaluated = self._monitor.evaluate(here(state.eval_variables))
                    self._log.write(step, evaluated)
                bar.update(step, dev=evaluated[BEST_METRIC])
            if step % config.checkpoint_every == 0 or evaluated or last:
                with bar.paused(), self._clock.paused(), _disk_errors(self._workdir):
                    self._fail_if_not_finite(state)
                    self._checkpoints.save(state, evaluated)
            if last:
                break
        with _disk_errors(self._workdir):
            self._checkpoints.wait()
        return state

    def _feed(self, state: TrainState) -> Iterator[FrameStore]:
        if not self._streamed:
            return itertools.repeat(parallel.replicate(self._store))
        order, put = stream(state.key, "order"), functools.partial(parallel.put_batch, self._config.parallel)
        return stream_batches(self._store, order, self.first_step, self._config.batch_size, put)

    def _told_to_stop(self, step: int, stopped: Callable[[], bool]) -> bool:
        if jax.process_count() == 1:
            return stopped()
        return step % self._config.log_every == 0 and any_process(stopped())  # all at the same step

    def _log_window(self, state: TrainState, bar: TrainingProgress) -> TrainState:
        self._fail_if_not_finite(state)
        window = {name: float(value) for name, value in jax.device_get(state.window).items()}
        n, step = window.pop("n"), int(state.step)
        del window["bad_step"]
        values = {name: value / n for name, value in window.items()}
        values["learning_rate"] = float(self._schedule(step - 1))
        values["images_per_second"] = self._clock.rate(n * self._config.batch_size)
        values["seconds"] = self._clock.seconds
        self._log.write(step, values)
        bar.update(step, loss=values["loss"])
        return parallel.clear_window(state)

    def _fail_if_not_finite(self, state: TrainState) -> None:
        step = int(state.window["bad_step"])
        if step >= 0:
            order = stream(state.key, "order")
            indices = draw_indices(order, step, self._config.batch_size, len(self._store))
            ids = ", ".join(self._ids[i] for i in np.asarray(indices))
            raise InputError(
                f"the loss is not finite at step {step + 1} (frames {ids}): "
                "lower the learning rate in config.optimizer, or set config.optimizer.clip_norm"
            )

    def finish(self, state: TrainState) -> None:
        """Closes the folder; the record of a complete run gets its steps, seconds and hash."""
        self._checkpoints.close()
        if int(state.step) == self._config.steps and is_main():
            write_json(
                self._workdir / "run.json",
                runlog.read_run(self._workdir)
                | {
                    "steps": int(state.step),
                    "seconds": round(self._clock.seconds, 1),
                    "params_sha256": runlog.params_sha256(jax.device_get(state.params)),
                },
            )


class _Clock:
    """Training time, without evaluations and checkpoints, counted on from an earlier part of the run."""

    def __init__(self, seconds: float):
        self._before, self._start = seconds, time.perf_counter()
        self._last = seconds

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._start

    def rate(self, n: float) -> float:
        """n over the time since the last call."""
        now = self.seconds
        self._last, elapsed = now, now - self._last
        return n / max(elapsed, 1e-9)

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start


def check_numbers(config: ConfigDict) -> None:
    """Raises InputError for numbers of a run that cannot be."""
    every = ("steps", "log_every", "eval_every", "checkpoint_every")
    for field in ("batch_size", "steps_per_dispatch", *every):
        if config[field] < 1:
            raise InputError(f"config.{field} = {config[field]} must be at least 1")
    for field in every:
        if config[field] % config.steps_per_dispatch:
            raise InputError(
                f"config.{field} = {config[field]} must be a multiple of "
                f"config.steps_per_dispatch = {config.steps_per_dispatch}"
            )
    if not 0 < config.scale < math.inf:
        raise InputError(f"config.scale = {config.scale} must be positive")
    if not 0 <= config.seed < 2**32:
        raise InputError(f"config.seed = {config.seed} must be from 0 to {2**32 - 1}")


def _check_labels(frames: data.LabelledFrames, split: dict[str, np.ndarray]) -> None:
    for part in ("train", "dev"):
        if not frames.labelled[split[part]].any():
            raise InputError(
                f"none of the {len(split[part])} {part} frames has a label of {', '.join(frames.bodyparts)}: "
                "label some of them, or divide the frames otherwise (config.data.split_file)"
            )


@contextmanager
def _stop_signal() -> Iterator[Callable[[], bool]]:
    """A function that tells whether SIGTERM or Ctrl-C came; the handlers are put back afterwards."""
    came = []
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            before[number] = signal.signal(number, lambda *_: came.append(True))
        except ValueError:  # not the main thread: whoever called decides
            pass
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _disk_errors(workdir: Path) -> Iterator[None]:
    """Turns a full disk into one sentence."""
    try:
        yield
    except Exception as error:
        cause: Any = error
        while cause is not None:
            if getattr(cause, "errno", None) == errno.ENOSPC or "No space left" in str(cause):
                raise InputError(
                    f"no space left on the disk of {workdir}: the last good checkpoint stays; free some and run "
                    "the same command again"
                ) from error
            cause = cause.__cause__ or cause.__context__
        raise
