"""Checkpoints of a run, written by Orbax: asynchronous and atomic; the best on dev and the last are kept.

Three items per step: `model` (the variables for prediction), `train` (the whole state, for exact resume) and `digests`
(hashes of both and the metrics, compared with what is read; checkpoints of older versions have none).
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

from pawjax.engine.digest import difference, digest, digests, form_digest, forms
from pawjax.engine.processes import is_main
from pawjax.engine.quiet import silence_orbax
from pawjax.engine.state import TrainState
from pawjax.errors import InputError
from pawjax.files import need_space, regular
from pawjax.run_files import criterion_of

TEMPERATURE, BIAS = "dev/temperature", "dev/bias"  # of the checkpoint; see `pawjax.metrics.fit_calibration`
WRITING_SECONDS = 7 * 24 * 3600  # Orbax's write timeout; its default, 600 s, aborted runs on suspended machines

ARRAYS, METRICS = "its arrays", "its metrics"  # what may be damaged
DIGESTS = "digests/metadata"  # where Orbax writes this item


class _OtherArraysError(Exception):
    """A checkpoint is whole, but its arrays are not those asked for; the message names some."""


# Errors of reading that say nothing about the checkpoint: too little memory, no permission, another process has ended.
NOT_DAMAGE = (_OtherArraysError, MemoryError, PermissionError, jax.errors.JaxRuntimeError)


def saved_steps(workdir: Path) -> list[int]:
    """The steps of a run's checkpoints, in order."""
    return sorted(int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdecimal())


def best_step(workdir: Path) -> int | None:
    """The step of a run's best checkpoint on dev; None without checkpoints. Raises InputError as `Checkpoints` does."""
    if not saved_steps(workdir):
        return None
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        return checkpoints._step_of("best")
    finally:
        checkpoints.close()


class Checkpoints:
    """The folder `checkpoints/` of a run; a `with` block ends, also by an exception, when all is written.

    Raises InputError for a checkpoint whose metrics are damaged: they tell which is the best.
    """

    def __init__(self, workdir: Path, read_only: bool = False):
        silence_orbax()
        self._workdir, self._read_only = workdir, read_only
        self._folder = (workdir / "checkpoints").absolute()
        for step in saved_steps(workdir):
            self._check_files(step)
            self._check_metrics(step)
        self._sweep()
        policy = keep.AnyPreservationPolicy(
            [
                keep.LatestN(n=1),
                keep.BestN(
                    get_metric_fn=criterion_of,
                    reverse=True,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=None if read_only else policy,
            best_fn=criterion_of,
            best_mode="min",
            read_only=read_only,
            create=not read_only,
            async_options=ocp.options.AsyncOptions(timeout_secs=WRITING_SECONDS),
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
            return  # another process has ended, and a checkpoint is finished by all of them
        with suppress(*[Exception] if kind else []):  # what ended the block is to be reported
            self.close()
        if kind:
            self._sweep()

    def save(self, state: TrainState, metrics: dict[str, float] | None = None) -> None:
        """Starts writing the state, with the metrics if this step was evaluated.

        Raises OSError (ENOSPC) if the disk has no room.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        variables = state.eval_variables
        self._manager.wait_until_finished()
        # Checked first: a write that fails halfway prints the tracebacks of all its threads.
        need_space(self._folder, sum(leaf.nbytes for leaf in jax.tree.leaves((variables, state))))
        items = ocp.args.Composite(
            model=ocp.args.StandardSave(variables),
            train=ocp.args.StandardSave(state),
            digests=ocp.args.JsonSave(digests({"model": variables, "train": state}) | {"metrics": metrics}),
        )
        self._manager.save(step, args=items, metrics=metrics, force=True)

    def restore_state(self, like: TrainState) -> TrainState | None:
        """The last saved state, on the devices of `like`, or None if there is no checkpoint.

        Raises InputError if the checkpoint is damaged or does not fit `like`.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        try:
            restored = self._read(step, "train", jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
        except _OtherArraysError as error:
            raise InputError(
                f"{self._folder / str(step)} cannot be resumed, because another version of pawjax wrote it, or "
                f"config.json had another config.model, config.method or config.optimizer ({error}): start another "
                f"--workdir from its weights with --config.init_from={self._workdir}"
            ) from error
        return restored if isinstance(restored, TrainState) else _without_window(restored, like)

    def restore_variables(self, which: str, like: Any) -> tuple[int, Any]:
        """Step and variables of 'best', 'last' or a step's number, shaped as `like`.

        Raises InputError if the checkpoint is absent, damaged, or of another network.
        """
        step = self._step_of(which)
        # On one device: the run may have used more devices than there are here.
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), like)
        try:
            return step, self._read(step, "model", target)
        except _OtherArraysError as error:
            raise InputError(
                f"{self._folder / str(step)} is of another network than {self._workdir / 'config.json'} ({error}): "
                "restore config.method and config.model there"
            ) from error

    def calibration(self, which: str) -> tuple[int, tuple[float, float] | None]:
        """Step of 'best', 'last' or a step's number, and temperature and bias of its likelihoods, None if none fit.

        Raises InputError if the checkpoint is absent.
        """
        step = self._step_of(which)
        metrics = self._json(step, "metrics/metrics") or {}
        return step, (metrics[TEMPERATURE], metrics.get(BIAS, 0.0)) if TEMPERATURE in metrics else None

    def wait(self) -> None:
        """Waits until all saved states are on the disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then closes the folder."""
        self._manager.close()

    def _sweep(self) -> None:
        """Removes what killed processes and failed writes left; the run is locked."""
        if not self._read_only and is_main():
            for left in self._folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(left)

    def _step_of(self, which: str) -> int:
        steps = sorted(self._manager.all_steps())
        if not steps:
            raise InputError(f"{self._folder} holds no checkpoint: train the run first")
        if which == "best":
            best = self._manager.best_step()
            return steps[-1] if best is None else best
        if which == "last":
            return steps[-1]
        if which.isdecimal() and int(which) in steps:
            return int(which)
        have = ", ".join(map(str, steps))
        raise InputError(f"--checkpoint={which} is not best, last or a saved step ({have})")

    def _check_files(self, step: int) -> None:
        """Raises InputError if a pipe, which TensorStore would wait for, is in the place of a file."""
        with self._reading(step, ARRAYS):
            for path in (self._folder / str(step)).rglob("*"):
                if not path.is_dir():
                    regular(path)

    def _check_metrics(self, step: int) -> None:
        """Raises InputError if the metrics of a checkpoint are damaged."""
        with self._reading(step, METRICS):
            metrics, hashes = self._json(step, "metrics/metrics"), self._json(step, DIGESTS)
            if hashes and json.dumps(hashes["metrics"]) != json.dumps(metrics):  # as text, because NaN != NaN
                raise ValueError("the metrics are not those that were saved")
            if metrics is not None:
                criterion_of(metrics)

    def _json(self, step: int, name: str) -> Any:
        """The content of a JSON item, written by Orbax; None if the checkpoint has no such item."""
        path = self._folder / str(step) / name
        return json.loads(path.read_text()) if path.parent.exists() else None

    def _read(self, step: int, item: str, target: Any) -> Any:
        """The arrays of an item. Raises InputError if they are damaged, _OtherArraysError if they do not fit."""
        with self._reading(step, ARRAYS):
            hashes, folder = self._json(step, DIGESTS), self._folder / str(step) / item
            if not hashes and item == "train" and "window" in (saved := _metadata(folder)):
                target = _with_window(target, saved["window"])
            try:
                arguments = ocp.args.Composite(**{item: ocp.args.StandardRestore(target)})
                restored = self._manager.restore(step, args=arguments)[item]
                if hashes and hashes[item]["arrays"] != digest(restored)["arrays"]:
                    raise ValueError("the arrays are not those that were saved")
            except ValueError:
                fits = hashes and hashes[item]["form"] == form_digest(target)
                if not fits and (words := difference(forms(_metadata(folder)), forms(target))):
                    raise _OtherArraysError(words) from None
                raise
            return restored

    @contextmanager
    def _reading(self, step: int, what: str) -> Iterator[None]:
        """Raises InputError, which names a way on, if the block cannot read a checkpoint.

        Orbax, TensorStore and their codecs raise errors of many types for damaged files.
        """
        try:
            yield
        except NOT_DAMAGE:
            raise
        except Exception as error:
            others = [other for other in saved_steps(self._workdir) if other != step]
            path, place = self._folder / str(step), self._workdir / f"damaged_{step}"
            move = f"move it aside (mv {shlex.quote(str(path))} {shlex.quote(str(place))})"
            way = f"{move}, and the command of the run " + (
                f"goes on from step {others[-1]}" if others else "trains again, because it has no other checkpoint"
            )
            if self._read_only and others and what == ARRAYS:
                way = f"evaluate another one with --checkpoint={'|'.join(map(str, others))}, or {way}"
            raise InputError(f"{path} is damaged ({what} changed or cannot be read): {way}") from error


def _metadata(folder: Path) -> Any:
    """The saved tree, with shapes for arrays."""
    return ocp.StandardCheckpointer().metadata(folder).item_metadata


def _with_window(state: TrainState, window: Any) -> dict[str, Any]:
    """The state as older versions saved it: with sums of metrics, and the extra collections at the top level."""
    fields = {name: getattr(state, name) for name in ("step", "params", "opt_state", "average", "key")}
    place = state.step.sharding
    window = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), window)
    return {**fields, **state.extra, "window": window}


def _without_window(saved: dict[str, Any], like: TrainState) -> TrainState:
    extra = {name: saved.pop(name) for name in like.extra}
    del saved["window"]
    return TrainState(**saved, extra=extra)
