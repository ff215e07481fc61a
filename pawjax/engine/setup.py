"""What a training is made of: its frames, its compiled step, its first state and its folder."""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import optax
from ml_collections import ConfigDict

from pawjax import data
from pawjax.data.augment import Augment, output_size
from pawjax.data.batches import FrameStore, draw_indices, make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine import parallel, runlog
from pawjax.engine.checkpoints import has_checkpoints
from pawjax.engine.host_stream import stream_batches
from pawjax.engine.monitor import Monitor
from pawjax.engine.processes import is_main, main_first
from pawjax.engine.state import TrainState, stream
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.methods import Method, make_method
from pawjax.optim import Optimizer, Schedule, make_optimizer, make_schedule

Split = dict[str, np.ndarray]  # of 'train', 'dev' and 'test', the indices of their frames


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training loop needs; nothing in it changes from step to step.

    Attributes:
      config: of the run.
      method, optimizer, schedule: what is trained, and how.
      program: the compiled steps.
      store: the training frames, on the host; their ids are `frame_ids`.
      streamed: whether they stream from the host batch by batch, too large to stay on the device.
      monitor: evaluates along the way.
    """

    config: ConfigDict
    method: Method
    optimizer: optax.GradientTransformation
    schedule: Schedule
    program: parallel.Program
    store: FrameStore
    frame_ids: tuple[str, ...]
    streamed: bool
    monitor: Monitor

    def feed(self, state: TrainState) -> Iterator[FrameStore]:
        """What `program` takes at each call from this state on."""
        if not self.streamed:
            return itertools.repeat(parallel.replicate(self.store))
        put = functools.partial(parallel.put_batch, self.config.parallel)
        order = stream(state.key, "order")
        return stream_batches(self.store, order, int(state.step), self.config.batch_size, put)

    def frames_of_step(self, state: TrainState, step: int) -> list[str]:
        """Ids of the frames of the batch of `step` (from 0)."""
        order = stream(state.key, "order")
        indices = draw_indices(order, step, self.config.batch_size, len(self.store))
        return [self.frame_ids[i] for i in np.asarray(indices)]


def load_frames(config: ConfigDict) -> tuple[data.LabelledFrames, Split]:
    """The frames of a run and its split. Raises InputError for a train or dev split without any label."""
    source = data.DataConfig.of(config)
    frames = main_first(lambda: data.load(source))
    split = data.split(source, frames)
    for name in ("train", "dev"):
        if not frames.labelled[split[name]].any():
            raise InputError(
                f"none of the {len(split[name])} {name} frames has a label of {', '.join(frames.bodyparts)}: "
                "label some of them, or divide the frames otherwise (config.data.split_file)"
            )
    return frames, split


def make_training(config: ConfigDict, frames: data.LabelledFrames, split: Split) -> Training:
    """Puts a training together; compiles nothing yet. Raises InputError for a setting that cannot be."""
    settings = Optimizer.of(config)
    method = make_method(config, frames.bodyparts)
    pairs = pair_indices(data.DataConfig.of(config).symmetric_pairs, frames.bodyparts)
    if is_main():
        for sentence in method.warnings:
            print(f"pawjax: warning: {sentence}", file=sys.stderr)
    optimizer = make_optimizer(settings, config.steps)
    stores = {name: make_store(frames, split[name], config.scale) for name in ("train", "dev")}
    streamed = sum(store.n_bytes for store in stores.values()) > config.device_gb * 1e9
    options = parallel.StepOptions.of(config, streamed, pairs)
    return Training(
        config=config,
        method=method,
        optimizer=optimizer,
        schedule=make_schedule(settings, config.steps),
        program=parallel.compile_training(config.parallel, method, optimizer, options),
        store=stores["train"],
        frame_ids=tuple(frames.ids[i] for i in split["train"]),
        streamed=streamed,
        monitor=Monitor(method, config, frames, split, stores, on_device=not streamed),
    )


def first_state(training: Training, workdir: Path, bodyparts: tuple[str, ...]) -> tuple[TrainState, dict[str, Any]]:
    """A fresh state, with the weights of `config.init_from` unless the folder has a checkpoint to go on from.

    The second result is what run.json has to say of those weights. Raises InputError if they do not fit.
    """
    config = training.config
    size = output_size(Augment.of(config), training.store.image.shape[1:3])
    image = np.zeros((1, *size, training.store.image.shape[-1]), np.uint8)
    average = config.optimizer.ema_decay > 0
    state = parallel.make_state(training.method, training.optimizer, config.seed, {"image": image}, average)
    if not config.init_from or has_checkpoints(workdir):
        return state, {}
    state, merged = initialise(state, training.method, config.init_from, config.model.variant, bodyparts)
    if is_main():
        print(f"{config.init_from}: {merged}", file=sys.stderr)
    return state, {"init_from": {"used": len(merged.used), "missing": merged.missing, "skipped": merged.skipped}}


def open_folder(
    workdir: Path, config: ConfigDict, frames: data.LabelledFrames, split: Split, record: dict[str, Any]
) -> TextIO:
    """Locks the folder, then writes config.json, and split.json and run.json where they are not there yet.

    Args:
      workdir: the folder; made if need be.
      config: of the run.
      frames: all of them.
      split: see `Split`.
      record: what run.json is to hold.

    Returns the lock, to be closed at the end. Raises InputError, with nothing written, if another process trains there
    or if the folder belongs to another config, to other frames or to something else.
    """
    runlog.check_folder(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    lock = runlog.lock_run(workdir)
    try:
        path = workdir / "run.json"
        is_new = not path.exists()
        if not is_new and runlog.read_run(workdir)["data"] != record["data"]:
            raise InputError(
                f"the frames or labels of config.data.path changed since {workdir} began: "
                "use another --workdir, or put the data back"
            )
        runlog.write_config(workdir, config)
        if is_new:
            data.write_split(workdir / "split.json", frames, split)
            write_json(path, record)
    except BaseException:
        lock.close()
        raise
    return lock
