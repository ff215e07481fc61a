"""Sets up training: frames, compiled step, first state and run folder."""

import contextlib
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

from pawjax import data, run_files, structure
from pawjax.data.augment import Augment, output_size
from pawjax.data.batches import FrameStore, draw_indices, make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine import parallel, runlog
from pawjax.engine.checkpoints import saved_steps
from pawjax.engine.host_stream import stream_batches
from pawjax.engine.monitor import Monitor
from pawjax.engine.processes import is_main, main_first
from pawjax.engine.state import TrainState, stream
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError, listed, warn
from pawjax.files import write_json
from pawjax.inference.views import check_prediction
from pawjax.methods import Method, make_method
from pawjax.models.backbones import Model
from pawjax.optim import Optimizer, Schedule, make_optimizer, make_schedule

Split = dict[str, np.ndarray]  # indices of the frames of 'train', 'dev' and 'test'

MOST_NAMES = 6  # that a message lists


@dataclasses.dataclass(frozen=True)
class Training:
    """What the training loop needs and does not change.

    Attributes:
      config: the run's.
      method, optimizer: what is trained, and how.
      program: the compiled steps.
      store: the training frames, on the host; their ids are `frame_ids`.
      streamed: whether they stream from the host batch by batch, because the device cannot hold them.
      monitor: evaluates during training.
    """

    config: ConfigDict
    method: Method
    optimizer: optax.GradientTransformationExtraArgs
    program: parallel.Program
    store: FrameStore
    frame_ids: tuple[str, ...]
    streamed: bool
    monitor: Monitor

    @functools.cached_property
    def schedule(self) -> Schedule:
        """The learning rate at each step."""
        return make_schedule(Optimizer.of(self.config), self.config.steps)

    def feed(self, state: TrainState) -> Iterator[FrameStore]:
        """The frames for each call of `program`, starting at this state."""
        if not self.streamed:
            return itertools.repeat(parallel.replicate(self.store))
        put = functools.partial(parallel.put_batch, self.config.parallel)
        order = stream(state.key, "order")
        return stream_batches(self.store, order, int(state.step), self.config.batch_size, put)

    def rates(self, step: int) -> np.ndarray:
        """The learning rates, float32 [steps of a call], of the call of `program` that starts at `step` (from 0)."""
        return np.float32(self.schedule(np.arange(step, step + self.config.steps_per_dispatch)))

    def frames_of_step(self, state: TrainState, step: int) -> list[str]:
        """Ids of the frames in the batch of `step` (from 0)."""
        order = stream(state.key, "order")
        indices = draw_indices(order, step, self.config.batch_size, len(self.store))
        return [self.frame_ids[i] for i in np.asarray(indices)]


def load_frames(config: ConfigDict, workdir: Path) -> tuple[data.LabelledFrames, Split]:
    """The frames of a run and its split: the one in its folder if the run is resumed.

    Raises InputError for a train or dev split without any label, and warns of a test split and of bodyparts without.
    """
    source = data.DataConfig.of(config)
    frames = main_first(lambda: data.load(source))
    split = _split_of_run(workdir, frames) or data.split(source, frames)
    for name in ("train", "dev"):
        if not frames.labelled[split[name]].any():
            raise InputError(
                f"none of the {len(split[name])} {name} frames has a label of {', '.join(frames.bodyparts)}: "
                "label some of them, or split the frames differently (config.data.split_file)"
            )
    _warn_of_missing_labels(frames, split)
    return frames, split


def described(frames: data.LabelledFrames, split: Split) -> str:
    """What a run reads, in a sentence: frames of each part, their size, bodyparts, and labels of the train frames."""
    parts = ", ".join(f"{len(rows)} {name}" for name, rows in split.items())
    (height, width), several = frames.sizes.max(0), len(np.unique(frames.sizes, axis=0)) > 1
    size, count = f"{'up to ' * several}{width}x{height} px", len(frames.bodyparts)
    names = f"{count} bodypart{'s' * (count > 1)}: {listed(frames.bodyparts, MOST_NAMES)}"
    return f"frames: {parts}, of {size}; {frames.labelled[split['train']].sum():,} train labels; {names}"


def _split_of_run(workdir: Path, frames: data.LabelledFrames) -> Split | None:
    """The split that a run in the folder began with; None for a new run, and where `open_folder` decides.

    It decides about other frames, and about a missing or damaged file, for which the split is drawn again.
    """
    path = workdir / "split.json"
    if not (workdir / "run.json").exists():
        return None
    record = runlog.read_run(workdir)
    if record["data"]["fingerprint"] != frames.fingerprint:
        return None
    try:
        run_files.read_split(path, record)
    except run_files.Damaged:
        return None
    return data.read_split(path, frames)


def _warn_of_missing_labels(frames: data.LabelledFrames, split: Split) -> None:
    labelled, absent = (known[split["train"]] for known in (frames.labelled, frames.absent))
    if absent.any():
        warn(
            f"{absent.sum()} of {labelled.sum() + absent.sum()} points of the train frames have no label and are "
            "trained as bodyparts that are not to be seen; config.data.unlabelled=ignore leaves them out"
        )
    if not frames.labelled[split["test"]].any():
        warn(
            f"none of the {len(split['test'])} test frames has a label of {', '.join(frames.bodyparts)}, so the test "
            "will show no error: label some, or split the frames differently (config.data.split_file)"
        )
    labelled = frames.labelled[split["train"]].any(axis=(0, 1))
    missing = [name for name, known in zip(frames.bodyparts, labelled, strict=True) if not known]
    if missing:
        warn(
            f"no train frame has a label of {', '.join(missing)}, which the network therefore cannot learn to find: "
            "label some, or leave it out (config.data.bodyparts)"
        )


def make_training(config: ConfigDict, frames: data.LabelledFrames, split: Split) -> Training:
    """Builds the training; compiles nothing yet. Raises InputError for an invalid setting."""
    settings = Optimizer.of(config)
    if not config.minutes:
        make_schedule(settings, config.steps)  # refuses a warm-up that takes the whole run
    method = make_method(config, frames.bodyparts)
    pairs = pair_indices(data.DataConfig.of(config).symmetric_pairs, frames.bodyparts)
    check_prediction(config, method)
    for message in method.warnings:
        warn(message)
    optimizer = make_optimizer(settings)
    stores = {name: make_store(frames, split[name], config.scale) for name in ("train", "dev")}
    streamed = sum(store.n_bytes for store in stores.values()) > config.device_gb * 1e9
    options = parallel.StepOptions.of(config, streamed, pairs)
    return Training(
        config=config,
        method=method,
        optimizer=optimizer,
        program=parallel.compile_training(config.parallel, method, optimizer, options),
        store=stores["train"],
        frame_ids=tuple(frames.ids[i] for i in split["train"]),
        streamed=streamed,
        monitor=Monitor(method, config, frames, split, stores, on_device=not streamed),
    )


def first_state(training: Training, workdir: Path, bodyparts: tuple[str, ...]) -> tuple[TrainState, dict[str, Any]]:
    """A fresh state, with the weights of `config.init_from` unless the folder has a checkpoint to resume, and with what
    the method needs to know of the train labels.

    The second result is the entry of run.json about those weights. Raises InputError if they do not fit.
    """
    config = training.config
    size = output_size(Augment.of(config), training.store.image.shape[1:3])
    image = np.zeros((1, *size, training.store.image.shape[-1]), np.uint8)
    average = config.optimizer.ema_decay > 0
    state = parallel.make_state(training.method, training.optimizer, config.seed, {"image": image}, average)
    if not config.init_from or saved_steps(workdir):
        if not saved_steps(workdir) and config.model.norm == "frozen" and state.extra.get("batch_stats"):
            warn(
                "config.model.norm = 'frozen' keeps the statistics of the starting weights, and config.init_from names "
                "none: random weights need --config.model.norm=batch or group"
            )
        return _with_labels(state, training), {}
    state, merged = initialise(state, training.method, config.init_from, Model.of(config), bodyparts)
    state = _with_labels(state, training)
    if is_main():
        print(f"{config.init_from}: {merged}", file=sys.stderr)
    return state, {"init_from": {"used": len(merged.used), "missing": merged.missing, "skipped": merged.skipped}}


def _with_labels(state: TrainState, training: Training) -> TrainState:
    labels = training.store.keypoints, training.store.labelled
    return state.with_variables(lambda variables: training.method.with_labels(variables, *labels))


def open_folder(
    workdir: Path, config: ConfigDict, frames: data.LabelledFrames, split: Split, record: dict[str, Any]
) -> TextIO:
    """Locks the folder, then writes config.json, run.json of a new run, split.json if it is missing or damaged, and
    tree.json if it is missing and the labels have a tree.

    Args:
      workdir: the folder; created if missing.
      config: the run's.
      frames: all frames.
      split: see `Split`.
      record: content of run.json.

    Returns the lock, to be closed at the end. Raises InputError, with nothing written, if another process trains there
    or the folder belongs to another config or other frames, or is not a run. `config.steps` may change if the steps
    taken stay as they are.
    """
    runlog.check_folder(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    lock = runlog.lock_run(workdir)
    try:
        path = workdir / "run.json"
        is_new = not path.exists()
        if not is_new and runlog.has_other_frames(workdir, record):
            raise InputError(
                f"the frames or labels of config.data.path changed since {workdir} began: "
                "use another --workdir, or restore the data"
            )
        _check_steps(workdir, config)
        goes_on = not is_new and _goes_on(workdir, config)
        writes_split = is_new or runlog.must_write_split(workdir, runlog.split_lists(frames, split))
        runlog.write_config(workdir, config)
        if writes_split:
            data.write_split(workdir / "split.json", frames, split)
        _write_tree(workdir / structure.FILE, frames, split)
        if is_new:
            write_json(path, record)
        elif goes_on:
            _unfinish(workdir, config.steps)
    except BaseException:
        lock.close()
        raise
    return lock


def _write_tree(path: Path, frames: data.LabelledFrames, split: Split) -> None:
    """Writes the tree of the train labels, if it is missing and they have one, so that predictions need no labels."""
    if path.exists():
        return
    with contextlib.suppress(InputError):  # said by the predictions that ask for it
        rows = split["train"]
        tree = structure.learn_tree(frames.keypoints[rows], frames.labelled[rows], frames.bodyparts)
        structure.write_tree(path, tree, frames.bodyparts)


def _check_steps(workdir: Path, config: ConfigDict) -> None:
    """Raises InputError if a run of another `config.steps` cannot become one of these as if begun with them."""
    if not (workdir / "config.json").exists() or (old := runlog.read_config(workdir)).steps == config.steps:
        return
    taken, schedule = max(saved_steps(workdir), default=0), old.optimizer.schedule
    if config.steps < taken:
        raise InputError(
            f"config.steps = {config.steps}, but {workdir} has taken {taken} steps: give at least as many, or use "
            "another --workdir"
        )
    rates = [make_schedule(Optimizer.of(old), n)(np.arange(taken)) for n in (old.steps, config.steps)]
    if not np.array_equal(*rates):
        raise InputError(
            f"config.steps is {old.steps} in {workdir} and {config.steps} here, which would have changed the learning "
            f"rate of the {taken} steps taken (config.optimizer.schedule = '{schedule}'; 'constant' and 'stepwise' "
            f"allow it): start another --workdir from its weights with --config.init_from={workdir}"
        )


def _goes_on(workdir: Path, config: ConfigDict) -> bool:
    """Whether a finished run gets more steps, or more patience than that with which it ended early."""
    record = runlog.read_run(workdir)
    if "stopped_early" in record and (workdir / "config.json").exists():
        old = runlog.read_config(workdir)
        return (old.steps, old.patience) != (config.steps, config.patience)
    return record.get("steps", config.steps) != config.steps


def _unfinish(workdir: Path, steps: int) -> None:
    """Removes from run.json what the end of a run that now has this many steps added."""
    record = runlog.read_run(workdir)
    write_json(workdir / "run.json", {name: v for name, v in record.items() if name not in runlog.END_FIELDS})
    if (workdir / "eval").exists():
        warn(f"{workdir / 'eval'} holds evaluations after {record['steps']} steps: repeat them after {steps}")
