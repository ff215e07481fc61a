"""The pictures of a comparison: learning curves, the errors of all runs over one axis, and what they cost."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pawjax.metrics import SATISFICING_PX
from pawjax.report import style
from pawjax.report.curves import Series, bias_and_variance

DASHES = ((0, (4, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))  # once all colours are used
LINES = [
    ("train", "rmse_px", "train RMSE", style.TRAIN, "-"),
    ("dev", "rmse_px", "dev RMSE", style.DEV, "-"),
    ("train", "mean_error_px", "train mean error", style.TRAIN, (0, (4, 2))),
    ("dev", "mean_error_px", "dev mean error", style.DEV, (0, (4, 2))),
]


def learning_curves(runs: Mapping[str, Mapping[str, Series]], out_path: str | Path) -> None:
    """Draws train and dev error by step, one panel per run, with a shared error axis.

    Args:
      runs: {name: its log, as returned by `read_metrics`}.
      out_path: the PNG.
    """
    columns = min(len(runs), 2 if len(runs) in (2, 4) else 3)
    n_rows = math.ceil(len(runs) / columns)
    width = max(4.1 * columns, 6.4)
    with style.picture(out_path, width, 3.3 * n_rows + 0.4) as figure:
        grid = figure.subplots(n_rows, columns, squeeze=False, sharey=True)
        for axes in grid.ravel()[len(runs) :]:
            axes.set_axis_off()
        for axes, (name, series) in zip(grid.ravel(), runs.items(), strict=False):
            _draw_run(axes, name, series)
        for axes in grid[:, 0]:
            axes.set_ylabel("error (px)")
        first = grid[0, 0]
        first.set_yscale("log")  # for all panels, as they share it
        first.autoscale_view()
        style.plain_log_axis(first.yaxis)
        handles = {
            label: line for axes in grid.ravel() for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=4, handlelength=2.2)


def _draw_run(axes: Axes, name: str, series: Mapping[str, Series]) -> None:
    best = bias_and_variance(dict(series))
    words = ""
    if best is not None:
        step, train, variance = best
        words = f"best step {step}: train {style.pixels(train)}, dev {style.pixels(train + variance)} px"
        axes.axvline(step, color=style.INK, lw=0.9, ls=(0, (4, 3)), zorder=1)
    style.title(axes, style.shorten(name, 38), words)
    for split, key, label, colour, dash in LINES:
        if f"{split}/{key}" in series:
            steps, errors = series[f"{split}/{key}"]
            solid = dash == "-"
            marker = "o" if solid and len(steps) <= 40 else None
            values = style.log_errors(errors)
            axes.plot(
                steps, values, color=colour, ls=dash, lw=1.8 if solid else 1.0, marker=marker, ms=3.2, label=label
            )
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def cumulative_errors(runs: Mapping[str, np.ndarray], out_path: str | Path) -> None:
    """Draws the share of test points within a distance, one line per run.

    Args:
      runs: {name: errors [n] px, Euclidean distances of the labelled test points; may be empty}.
      out_path: the PNG.
    """
    with style.picture(out_path, 10.5, 5.4) as figure:
        axes = figure.subplots()
        drawn = {name: np.sort(style.log_errors(errors)) for name, errors in runs.items() if len(errors)}
        if not drawn:
            style.notice(axes, "no labelled points")
            return
        low = min(float(np.quantile(errors, 0.01)) for errors in drawn.values()) / 1.3
        high = max(30.0, max(float(errors[-1]) for errors in drawn.values()) * 1.3)
        for i, (name, colour) in enumerate(zip(drawn, style.bodypart_colors(len(drawn)), strict=True)):
            errors = drawn[name]
            shares = np.arange(1, len(errors) + 1) / len(errors)
            median, p95 = np.percentile(errors, (50, 95))
            label = f"{style.shorten(name, 30)}\nmedian {style.pixels(median)}, p95 {style.pixels(p95)} px"
            dash = "-" if i < len(style.PALETTE) else DASHES[(i // len(style.PALETTE) - 1) % len(DASHES)]
            x, y = np.r_[min(low, errors[0]), errors, high], np.r_[0, shares, 1]
            axes.step(x, y, where="post", color=colour, ls=dash, label=label)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(0, 1.02)
        style.plain_log_axis(axes.xaxis)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.axvline(SATISFICING_PX, color=style.GREY, lw=1, ls=(0, (1, 2)), zorder=1)
        at = {"xycoords": axes.get_xaxis_transform(), "xytext": (4, 6), "textcoords": "offset points"}
        axes.annotate("satisficing 10 px", (SATISFICING_PX, 0), color=style.GREY, fontsize=8, **at)
        axes.set_xlabel("error (px)")
        axes.set_ylabel("share of test points within")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.9)
        style.title(axes, "Cumulative errors on test")


def errors_by_compute(rows: Sequence[Mapping[str, Any]], out_path: str | Path) -> None:
    """Draws the mean error on test against the FLOPs that predict a frame and against the training time, per run.

    Args:
      rows: the runs' rows of `report.comparison`.
      out_path: the PNG.
    """
    known = [row for row in rows if row["test_mean_error_px"] is not None]
    colours = dict(zip((row["run"] for row in rows), style.bodypart_colors(len(rows)), strict=True))
    with style.picture(out_path, 11.5, 4.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        if not known:
            for axes in (left, right):
                style.notice(axes, "no labelled points")
            return
        for axes, key, unit in ((left, "flops_per_frame", 1e9), (right, "training_seconds", 60)):
            for row in known:
                at = [max(row[key] / unit, 1e-6)], style.log_errors(np.array([row["test_mean_error_px"]]))
                axes.plot(*at, "o", ms=9, color=colours[row["run"]], label=style.shorten(row["run"], 30))
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.margins(0.15)
            axes.autoscale_view()
            style.plain_log_axis(axes.xaxis)
        style.plain_log_axis(left.yaxis)
        left.set_ylabel("mean error on test (px)")
        left.set_xlabel("GFLOPs to predict a frame")
        right.set_xlabel("training time (min)")
        style.title(left, "Error by compute")
        style.title(right, "Error by training time")
        right.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.8)
