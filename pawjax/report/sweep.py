"""A sweep's results side by side: a Markdown table, a CSV, and a picture of the spread over seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.data.splits import SPLITS
from pawjax.files import write_text
from pawjax.report import style
from pawjax.report.cells import csv_text, markdown_row


def write_sweep(folder: str | Path, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Writes `table.md`, `runs.csv` and `rmse.png` and returns the table.

    Args:
      folder: output folder; created if missing. Each file is replaced atomically.
      results: the runs of every setting, one per seed: {'train', 'dev', 'test': the content of metrics.json,
        'seconds': training time}.

    Errors are pixels of the original images: the mean over the seeds and, with two or more, the standard deviation.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = _table(results)
    write_text(folder / "table.md", table)
    keys = ("rmse_px", "mean_error_px", "median_px", "n_over_50px")
    rows = [
        [name, index, split, *(run[split][key] for key in keys)]
        for name, runs in results.items()
        for index, run in enumerate(runs)
        for split in SPLITS
    ]
    write_text(folder / "runs.csv", csv_text([["setting", "run", "split", *keys], *rows]))
    _draw(results, folder / "rmse.png")
    return table


def _values(runs: Sequence[Mapping[str, Any]], split: str, key: str) -> np.ndarray:
    return np.array([run[split][key] for run in runs], np.float64)


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def _table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    lines = [
        "| setting | runs | train RMSE | dev RMSE | test RMSE | test mean error | over 50 px | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        rmse = [f"{_spread(_values(runs, split, 'rmse_px'))} px" for split in SPLITS]
        mean = _spread(_values(runs, "test", "mean_error_px"))
        gross = int(_values(runs, "test", "n_over_50px").sum())
        points = int(_values(runs, "test", "n_points").sum())
        minutes = np.mean([run["seconds"] for run in runs]) / 60
        cells = [name, str(len(runs)), *rmse, f"{mean} px", f"{gross} of {points}", f"{minutes:.1f} min"]
        lines.append(markdown_row(cells))
    return "\n".join(lines) + "\n"


def _draw(results: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Draws every run as a dot and the mean as a bar: train, dev and test side by side for each setting."""
    with style.picture(path, 8.0, 1.2 + 0.75 * len(results)) as figure:
        axes = figure.add_subplot()
        colors = dict(zip(SPLITS, (style.TRAIN, style.DEV, style.INK), strict=True))
        for row, runs in enumerate(results.values()):
            for place, split in enumerate(SPLITS):
                values, y = _values(runs, split, "rmse_px"), row + 0.22 * (place - 1)
                axes.plot(values, np.full(len(values), y), "o", ms=5, alpha=0.7, color=colors[split])
                axes.plot([values.mean()] * 2, [y - 0.09, y + 0.09], color=colors[split])
        for split in SPLITS:
            axes.plot([], [], "o", color=colors[split], label=split)
        axes.set_yticks(range(len(results)), list(results))
        axes.set_ylim(len(results) - 0.5, -0.5)
        axes.set_xscale("log")
        style.plain_log_axis(axes.xaxis)
        axes.set_xlabel("RMSE, px of the original frames")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        style.title(axes, "Error by setting", "dots: runs; bars: their mean")
