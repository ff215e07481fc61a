"""Predictions for the frames of a store, in the coordinates of the original images."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax import data
from pawjax.data.batches import FrameStore, evaluation_batches, make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine import compiler, runlog
from pawjax.engine.boxes import check_boxes, write_boxes
from pawjax.engine.tracker import load_variables
from pawjax.engine.views import Predict, make_predict, with_prediction
from pawjax.errors import InputError
from pawjax.machine import device_name
from pawjax.methods import make_method
from pawjax.ops.warp import apply_affine
from pawjax.report.evaluation import write_evaluation


@dataclasses.dataclass(frozen=True)
class Predictions:
    """keypoints float32 [N, A, K, 2], (x, y) pixels of the original images; likelihood [N, A, K]; seconds it took."""

    keypoints: np.ndarray
    likelihood: np.ndarray
    seconds: float


def predict_store(predict: Predict, variables: Any, store: FrameStore, batch_size: int) -> Predictions:
    """Predicts every frame of a store by a compiled `predict`.

    The time leaves compilation out: the first batch runs once before.
    """
    batches = list(evaluation_batches(len(store), batch_size))
    jax.block_until_ready(predict(variables, store.image[batches[0][0]]))
    start = time.perf_counter()
    outputs = [(predict(variables, store.image[indices]), n) for indices, n in batches]
    keypoints = np.concatenate([np.asarray(out["keypoints"][:n]) for out, n in outputs])
    likelihood = np.concatenate([np.asarray(out["likelihood"][:n]) for out, n in outputs])
    seconds = time.perf_counter() - start
    original = np.asarray(apply_affine(store.to_original, jnp.asarray(keypoints)))
    return Predictions(original[:, None], likelihood[:, None], seconds)  # of one animal


def evaluation_folder(workdir: Path, split: str, checkpoint: str, prediction: dict[str, Any]) -> Path:
    """Where `evaluate_run` writes: what is not the best checkpoint's plain prediction has a folder of its own."""
    words = [f"checkpoint={checkpoint}"] if checkpoint != "best" else []
    words += [f"{field}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for field, v in prediction.items()]
    return workdir / "eval" / "-".join([split, *words])


def evaluate_run(workdir: Path, split: str, checkpoint: str, boxes: bool = False, **prediction: Any) -> dict[str, Any]:
    """Evaluates a run on one part of its own split and writes `eval/<split>/`.

    `prediction` names fields of `config.predict` to use instead of the run's own; the folder is then
    `eval/<split>-<field>=<value>`, and `eval/<split>-checkpoint=<checkpoint>` for another than the best. With `boxes`
    the detections of a detector are evaluated too, see `write_boxes`.

    Needs the run folder and the data alone. Raises InputError if either is missing, or if the data changed, or if
    `boxes` cannot be had.

    Returns the content of metrics.json, and with `boxes` that of boxes.json under this name.
    """
    config, run = with_prediction(runlog.read_config(workdir), **prediction), runlog.read_run(workdir)
    if boxes:
        check_boxes(config)
        if config.predict.flip or tuple(config.predict.scales) != (1.0,):
            raise InputError("the boxes are of the frames as they are: leave --flip and --scales away with --boxes")
    config.data.split_file = str(workdir / "split.json")
    settings = data.DataConfig.of(config)
    frames = data.load(settings)
    if frames.fingerprint != run["data"]["fingerprint"]:
        raise InputError(
            f"the frames or labels of config.data.path = '{config.data.path}' are not those that {workdir} was "
            "trained on: put them back, or train a new run"
        )
    indices = data.split(settings, frames)[split]
    method = make_method(config, frames.bodyparts)
    step, variables = load_variables(workdir, method, checkpoint)
    variables = jax.jit(method.prepare)(variables)
    store = make_store(frames, indices, config.scale)
    pairs = pair_indices(config.data.symmetric_pairs, frames.bodyparts)
    found = predict_store(compiler.jit(make_predict(method, config, pairs)), variables, store, config.batch_size)
    folder = evaluation_folder(workdir, split, checkpoint, prediction)
    seen = {
        "images": frames.images[indices],
        "sizes": frames.sizes[indices],
        "truth": frames.keypoints[indices],
        "labelled": frames.labelled[indices],
        "predicted": found.keypoints,
        "likelihood": found.likelihood,
        "ids": [frames.ids[i] for i in indices],
        "bodyparts": frames.bodyparts,
    }
    numbers = {"split": split, "step": step, "scale": config.scale}
    more = {"boxes": write_boxes(folder, method, variables, store, config.batch_size, seen, numbers)} if boxes else {}
    return more | write_evaluation(
        folder,
        split=split,
        **seen,
        pcutoff=config.pcutoff,
        seconds=found.seconds,
        about={"device": device_name(), "step": step, "predict": config.predict.to_dict()},
        metrics_jsonl=workdir / "metrics.jsonl",
    )
