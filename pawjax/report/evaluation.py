"""Everything an evaluation writes to `eval/<split>/`: numbers, predictions and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pawjax import metrics
from pawjax.files import write_json
from pawjax.report import curves, errors, gallery, tables
from pawjax.report.frames import EvaluatedFrames

FILES = (
    *("metrics.json", "predictions.csv", "error_distribution.png", "bodyparts.png", "likelihood.png"),
    *("reliability.png", "worst_frames.png", "learning_curve.png"),
)


def write_evaluation(
    folder: str | Path,
    frames: EvaluatedFrames,
    *,
    split: str,
    pcutoff: float,
    seconds: float,
    about: Mapping[str, Any],
    curve: Mapping[str, curves.Series] | None = None,
    raw_likelihood: np.ndarray | None = None,
) -> dict:
    """Writes one evaluation and returns the content of `metrics.json`.

    `metrics.json` (written last: if it exists, the rest is complete), `predictions.csv`,
    `error_distribution.png`, `bodyparts.png`, `likelihood.png`, `reliability.png`, `worst_frames.png` and, given the
    run's log, `learning_curve.png`: `FILES`. Each file is replaced atomically.

    Args:
      folder: `eval/<split>` of a run; created if missing.
      frames: frames with labels and predictions.
      split: 'train', 'dev' or 'test'.
      pcutoff: minimum likelihood of a trusted prediction.
      seconds: time to predict the N images.
      about: further fields of `metrics.json`, e.g. the device and the checkpoint's step.
      curve: the run's log, as returned by `curves.read_metrics`.
      raw_likelihood: [N, A, K], those of `frames` before they were calibrated; None if none was.

    Raises:
      InputError: predictions that are not finite.
      ValueError: arrays whose shapes do not match.
    """
    folder = Path(folder)
    truth, labelled, predicted = frames.truth, frames.labelled, frames.predicted
    likelihood, bodyparts = frames.likelihood.astype(np.float64), frames.bodyparts
    numbers = metrics.summarize(
        truth, labelled, predicted, likelihood, bodyparts, pcutoff, frames.absent, raw_likelihood
    )
    numbers = {
        "split": split,
        **numbers,
        "seconds": float(seconds),
        "images_per_second": len(labelled) / seconds if seconds > 0 else None,
        **about,
    }
    distances = metrics.distances(truth, labelled, predicted)
    tables.write_predictions_csv(
        folder / "predictions.csv", frames.ids, bodyparts, truth, labelled, frames.absent, predicted, likelihood
    )
    errors.error_distribution(distances[labelled], folder / "error_distribution.png", f"Errors on {split}")
    errors.bodypart_bars(numbers, folder / "bodyparts.png")
    errors.likelihood_scatter(
        distances, labelled, likelihood, bodyparts, pcutoff, folder / "likelihood.png", frames.absent
    )
    errors.reliability(numbers["reliability"], folder / "reliability.png")
    gallery.worst_frames(frames, folder / "worst_frames.png")
    if curve is not None:
        curves.learning_curve(curve, folder / "learning_curve.png")
    write_json(folder / "metrics.json", numbers)
    return numbers
