"""Predictions as a CSV table."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawjax.files import write_text
from pawjax.report.cells import csv_text

COLUMNS = ("x_true", "y_true", "x", "y", "likelihood", "error_px")


def write_predictions_csv(
    path: str | Path,
    ids: Sequence[str],
    bodyparts: Sequence[str],
    truth: np.ndarray,
    labelled: np.ndarray,
    absent: np.ndarray,
    predicted: np.ndarray,
    likelihood: np.ndarray,
) -> None:
    """Writes one row per frame, under one header row.

    The columns are `id` and then, for every bodypart in order, `NAME_x_true`, `NAME_y_true` (the label),
    `NAME_x`, `NAME_y`, `NAME_likelihood` (the prediction), `NAME_error_px` (their Euclidean distance) and `NAME_absent`
    (1 where the bodypart is known not to be seen, else empty).
    x, y and errors are pixels of the original image, pixel centres at integers, with four decimals.
    Where a bodypart is not labelled, `x_true`, `y_true` and `error_px` are empty; a number that is not
    finite leaves its cell empty too. With several animals, one after another, NAME is `animal1_NAME` and so on.
    Ids and names are written by `pawjax.report.cells.csv_text`.

    Args:
      path: the CSV; replaced atomically.
      ids: N frame ids.
      bodyparts: K names.
      truth: [N,A,K,2] (x, y), A animals.
      labelled, absent: bool [N,A,K].
      predicted: [N,A,K,2] (x, y).
      likelihood: [N,A,K].
    """
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    error = np.hypot(*np.moveaxis(predicted - truth, -1, 0))
    table = np.stack([*np.moveaxis(truth, -1, 0), *np.moveaxis(predicted, -1, 0), likelihood, error], -1)
    hidden = np.zeros(table.shape, bool)
    hidden[..., [COLUMNS.index(name) for name in ("x_true", "y_true", "error_px")]] = ~labelled[..., None]
    n_animals = truth.shape[1]
    prefixes = [f"animal{a}_" for a in range(1, n_animals + 1)] if n_animals > 1 else [""]
    points = [prefix + name for prefix in prefixes for name in bodyparts]
    table = np.where(hidden, np.nan, table).reshape(len(ids), len(points), len(COLUMNS))
    rows = [["id", *(f"{name}_{column}" for name in points for column in (*COLUMNS, "absent"))]]
    for frame, numbers, gone in zip(ids, table, absent.reshape(len(ids), -1), strict=True):
        row = [frame]
        for point, is_absent in zip(numbers, gone, strict=True):
            row += [*(f"{value:.4f}" if math.isfinite(value) else "" for value in point), "1" if is_absent else ""]
        rows.append(row)
    write_text(path, csv_text(rows))
