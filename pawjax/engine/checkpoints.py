"""Checkpoints of a run, written by Orbax: asynchronous and atomic; the best on dev and the last are kept.

Two items per step: `model` (the variables for prediction) and `train` (the whole state, for exact resume).
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

from pawjax.engine.state import TrainState
from pawjax.errors import InputError
from pawjax.files import need_space

BEST_METRIC = "dev/rmse_px"
WRITING_SECONDS = 7 * 24 * 3600  # Orbax's write timeout; its default, 600 s, aborted runs on suspended machines


def has_checkpoints(workdir: Path) -> bool:
    """Whether the run has saved a checkpoint."""
    return any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))


class Checkpoints:
    """The folder `checkpoints/` of a run."""

    def __init__(self, workdir: Path, read_only: bool = False):
        self._folder = (workdir / "checkpoints").absolute()
        policy = keep.AnyPreservationPolicy(
            [
                keep.LatestN(n=1),
                keep.BestN(
                    get_metric_fn=lambda metrics: metrics[BEST_METRIC],
                    reverse=True,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=None if read_only else policy,
            best_fn=lambda metrics: metrics[BEST_METRIC],
            best_mode="min",
            read_only=read_only,
            create=not read_only,
            async_options=ocp.options.AsyncOptions(timeout_secs=WRITING_SECONDS),
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

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
        items = ocp.args.Composite(model=ocp.args.StandardSave(variables), train=ocp.args.StandardSave(state))
        self._manager.save(step, args=items, metrics=metrics, force=True)

    def restore_state(self, like: TrainState) -> TrainState | None:
        """The last saved state, on the devices of `like`, or None if there is no checkpoint.

        Raises InputError if the checkpoint does not fit `like`.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        fields = ocp.StandardCheckpointer().metadata(self._folder / str(step) / "train").item_metadata
        if "window" in fields:
            target = _with_window(target, fields["window"])
        items = ocp.args.Composite(train=ocp.args.StandardRestore(target))
        try:
            restored = self._manager.restore(step, args=items).train
        except ValueError as error:
            raise InputError(
                f"{self._folder / str(step)} cannot be resumed: another version of pawjax wrote it, or it is damaged; "
                f"start another --workdir from its weights with --config.init_from={self._folder.parent}"
            ) from error
        return restored if isinstance(restored, TrainState) else _without_window(restored, like)

    def restore_variables(self, which: str, like: Any) -> tuple[int, Any]:
        """Step and variables of 'best', 'last' or a step's number, shaped as `like`. Raises InputError if absent."""
        steps = sorted(self._manager.all_steps())
        if not steps:
            raise InputError(f"{self._folder} holds no checkpoint: train the run first")
        if which == "best":
            best = self._manager.best_step()
            step = steps[-1] if best is None else best
        elif which == "last":
            step = steps[-1]
        elif which.isdigit() and int(which) in steps:
            step = int(which)
        else:
            have = ", ".join(map(str, steps))
            raise InputError(f"--checkpoint={which} is not best, last or a saved step ({have})")
        # On one device: the run may have used more devices than there are here.
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), like)
        restored = self._manager.restore(step, args=ocp.args.Composite(model=ocp.args.StandardRestore(target)))
        return step, restored.model

    def wait(self) -> None:
        """Waits until all saved states are on the disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then closes the folder."""
        self._manager.close()


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
