"""What finds points in frames for `pawjax.inference.videos`: a run, several runs, or a snapshot of DeepLabCut."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pawjax.engine.runlog import params_sha256
from pawjax.errors import InputError
from pawjax.inference import compiler
from pawjax.inference.ensemble import ensemble
from pawjax.inference.parts import ANIMALS
from pawjax.inference.points import make_find_points
from pawjax.inference.predictor import Predictor
from pawjax.inference.run import Run, open_run
from pawjax.inference.snapshots import predictor_of_snapshot
from pawjax.inference.windows import grid_of


def open_predictor(
    workdirs: Sequence[str], checkpoint: str, snapshot: str = "", animals: int = 1, **prediction: Any
) -> Predictor:
    """The predictor of a run, of several runs together, or of a snapshot.

    Args:
      workdirs: run folders; empty for a snapshot.
      checkpoint: 'best' (on dev), 'last' or a step's number, of each run.
      snapshot: a file of weights that DeepLabCut trained; '' for runs.
      animals: in each frame; several only of a single run.
      prediction: fields of `config.predict` that replace the runs' own.

    Raises InputError for several animals of a snapshot or an ensemble, and as `open_run`, `ensemble` and
    `predictor_of_snapshot` do.
    """
    if animals != 1 and (snapshot or len(workdirs) > 1):
        raise InputError(f"--animals={animals} is for a single run: give one --workdir")
    if snapshot:
        if prediction:
            raise InputError(
                f"--{next(iter(prediction))} is for runs; a snapshot predicts as in DeepLabCut: leave it out"
            )
        return predictor_of_snapshot(snapshot)
    if not (workdirs := [workdir for workdir in workdirs if workdir]):
        raise InputError("--workdir names no run: give its folder")
    runs = [open_run(workdir, checkpoint, **prediction) for workdir in workdirs]
    return ensemble([predictor_of_run(run, animals=animals) for run in runs])


def predictor_of_run(run: Run, find: Callable | None = None, animals: int = 1) -> Predictor:
    """The predictor of one checkpoint of a run; `find` is its compiled `make_find_points`, if there is one already."""
    find = find or compiler.jit(make_find_points(run, animals))
    data = run.record["data"]
    # Without what is empty: tracks by older versions, which lack newer fields, are still known as the run's.
    prediction = {name: str(value) for name, value in sorted(run.config.predict.items()) if value != ""}
    return Predictor(
        predict=functools.partial(find, run.variables),
        bodyparts=run.bodyparts,
        channels=run.record.get("channels", 3),
        origin={
            "run": str(run.workdir.resolve()),
            "checkpoint": str(run.step),
            "checkpoint_sha256": params_sha256(run.variables),
            **prediction,
            **({ANIMALS: str(animals)} if animals > 1 else {}),
        },
        pcutoff=run.config.pcutoff,
        project=run.config.data.path if run.config.data.source == "deeplabcut" else "",
        frame_sizes=tuple(map(tuple, data.get("frame_sizes", ()))),
        value_range=tuple(data.get("value_range", ())),
        grid=grid_of(run.config.scale),
        animals=animals,
    )


def scorer_of(predictor: Predictor) -> str:
    """The name of the predictor in file names and headers, as DeepLabCut's scorer: 'pawjax_mine_1400'."""
    origin = predictor.origin
    return origin.get("scorer") or "_".join(("pawjax", origin["run"].rsplit("/", 1)[-1], origin["checkpoint"]))
