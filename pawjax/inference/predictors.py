"""What finds points in frames for `pawjax.inference.videos`."""

import functools

from pawjax.engine.runlog import params_sha256
from pawjax.inference import compiler
from pawjax.inference.points import make_find_points
from pawjax.inference.run import Run
from pawjax.inference.videos import Predictor


def predictor_of_run(run: Run) -> Predictor:
    """The predictor of one checkpoint of a run."""
    find = compiler.jit(make_find_points(run))
    prediction = {name: str(value) for name, value in sorted(run.config.predict.items())}
    return Predictor(
        predict=functools.partial(find, run.variables),
        bodyparts=run.bodyparts,
        channels=run.record.get("channels", 3),
        origin={
            "run": str(run.workdir.resolve()),
            "checkpoint": str(run.step),
            "checkpoint_sha256": params_sha256(run.variables),
            **prediction,
        },
    )


def scorer_of(predictor: Predictor) -> str:
    """The name of the predictor in file names and headers, as DeepLabCut's scorer: 'pawjax_mine_1400'."""
    return "_".join(("pawjax", predictor.origin["run"].rsplit("/", 1)[-1], predictor.origin["checkpoint"]))
