"""Evaluates a run on one of its splits."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from pawjax.data.batches import make_store
from pawjax.errors import InputError
from pawjax.files import need_output
from pawjax.inference import compiler
from pawjax.inference.run import RunFiles, read_run_files
from pawjax.inference.stream import predict_store, stream_store
from pawjax.inference.views import calibrate, make_predict
from pawjax.machine import device_name
from pawjax.methods.method import ExtraEvaluation
from pawjax.report.curves import read_metrics
from pawjax.report.evaluation import FILES, write_evaluation
from pawjax.report.frames import EvaluatedFrames


def evaluation_folder(workdir: Path, split: str, checkpoint: str, prediction: dict[str, Any]) -> Path:
    """The output folder of `evaluate_run`; other checkpoints and prediction settings have their own folders."""
    words = [f"checkpoint={checkpoint}"] if checkpoint != "best" else []
    words += [f"{field}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for field, v in prediction.items()]
    return workdir / "eval" / "-".join([split, *words])


def evaluate_run(
    workdir: Path, split: str, checkpoint: str, extra: Sequence[str] = (), data_folder: str = "", **prediction: Any
) -> dict[str, Any]:
    """Evaluates a run on one of its splits and writes `eval/<split>/`.

    Needs only the run folder and its data. All that may refuse the evaluation is checked before anything is predicted.

    Args:
      workdir: the run folder.
      split: 'train', 'dev' or 'test'.
      checkpoint: 'best' (on dev), 'last' or a step's number; others than 'best' write to
        `eval/<split>-checkpoint=<checkpoint>`.
      extra: names of `method.extra_evaluations` to run too.
      data_folder: where the data of the run are now; '' for where they were.
      prediction: fields of `config.predict` that replace the run's own; the folder is then
        `eval/<split>-<field>=<value>`.

    Returns the content of metrics.json, with that of each extra evaluation under its name.

    Raises InputError if the run or its data are missing or damaged, if the data changed, if an extra evaluation is
    impossible, or if nothing can be written in the folder.
    """
    files = read_run_files(workdir, data_folder, **prediction)
    extras = {name: _extra_evaluation(files, name) for name in extra}
    files.split_lists()  # before the frames, which take longer
    curve = read_metrics(workdir / "metrics.jsonl")
    frames, config = files.frames(), files.config
    indices = files.split(frames)[split]
    run = files.restore(checkpoint)
    folder = evaluation_folder(workdir, split, checkpoint, prediction)
    need_output(folder, FILES)
    store = make_store(frames, indices, config.scale)
    predict = compiler.jit(make_predict(run.method, _uncalibrated(run.config), run.bodyparts, run.tree))
    predictions = predict_store(predict, run.variables, store, config.batch_size)
    raw_likelihood = predictions.likelihood[:, None]  # one animal
    evaluated = EvaluatedFrames(
        images=frames.images[indices],
        sizes=frames.sizes[indices],
        truth=frames.keypoints[indices],
        labelled=frames.labelled[indices],
        absent=frames.absent[indices],
        predicted=predictions.keypoints[:, None],
        likelihood=np.asarray(calibrate(raw_likelihood, run.config.predict.temperature, run.config.predict.bias)),
        ids=tuple(frames.ids[i] for i in indices),
        bodyparts=frames.bodyparts,
    )
    numbers = {}
    for name, evaluation in extras.items():
        program = functools.partial(compiler.jit(functools.partial(evaluation.predict, run.method)), run.variables)
        outputs = stream_store(program, store, config.batch_size)
        about = {"split": split, "step": run.step, "scale": config.scale}
        numbers[name] = evaluation.write(folder, run.method, outputs, store, evaluated, about)
    return numbers | write_evaluation(
        folder,
        evaluated,
        split=split,
        pcutoff=config.pcutoff,
        seconds=predictions.seconds,
        about={
            "device": device_name(),
            "step": run.step,
            "predict": run.config.predict.to_dict(),
            "calibration_from": run.calibration_from,
        },
        raw_likelihood=raw_likelihood,
        curve=curve,
    )


def _uncalibrated(config: ConfigDict) -> ConfigDict:
    """Prediction as it was trained, whose likelihoods tell which calibration fits them."""
    config = config.copy_and_resolve_references()
    config.predict.update(temperature=1.0, bias=0.0)
    return config


def _extra_evaluation(files: RunFiles, name: str) -> ExtraEvaluation:
    """Raises InputError if the run's method has no such evaluation, or cannot make it here."""
    evaluations = files.method.extra_evaluations
    if name not in evaluations:
        raise InputError(
            f"--{name}: the method of {files.workdir}, config.method = '{files.config.method}', has no evaluation of "
            f"{name}: leave --{name} out"
        )
    return evaluations[name](files.config)
