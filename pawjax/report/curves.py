"""The learning curve: the loss, and train error against dev error (bias and variance)."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pawjax import run_files
from pawjax.metrics import SATISFICING_PX
from pawjax.report import style

HUMAN_PX = 2.7  # distance between two people's labels of the same paw (seeds: human variability)

Series = tuple[np.ndarray, np.ndarray]  # steps [n], values [n]


def read_metrics(path: str | Path) -> dict[str, Series]:
    """Reads `metrics.jsonl`: {key: (steps [n], values [n])}, steps ascending, finite values only.

    If a step was logged twice (before and after a resume), the last record counts. Raises InputError as
    `run_files.read_log`.
    """
    records: dict[str, dict[int, float]] = {}
    for record in run_files.read_log(Path(path)):
        for key, value in record.items():
            if key != "step":
                records.setdefault(key, {})[record["step"]] = math.nan if value is None else float(value)
    series = {}
    for key, values in records.items():
        steps = sorted(step for step, value in values.items() if math.isfinite(value))
        if steps:
            series[key] = (np.array(steps), np.array([values[step] for step in steps]))
    return series


def bias_and_variance(series: Mapping[str, Series]) -> tuple[int, float, float] | None:
    """Best step (`run_files.criterion_of`), bias = train RMSE there, variance = dev RMSE - train RMSE there; px.

    Only steps with both errors count; None if there is no such step.
    """
    if "train/rmse_px" not in series or "dev/rmse_px" not in series:
        return None
    train = dict(zip(*series["train/rmse_px"], strict=True))
    dev = dict(zip(*series["dev/rmse_px"], strict=True))
    judged = dict(zip(*series.get(run_files.CRITERION, series["dev/rmse_px"]), strict=True))
    common = [(judged[step], step) for step in dev if step in train and step in judged]
    if not common:
        return None
    _, step = min(common)
    return int(step), float(train[step]), float(dev[step] - train[step])


def learning_curve(series: Mapping[str, Series], out_path: str | Path) -> None:
    """Draws a run's log, as returned by `read_metrics`: loss and learning rate above, train and dev error below.

    Solid lines are root mean squares, dashed ones mean errors, in px. Of the best step (`bias_and_variance`) the bias
    is the train RMSE, the variance the dev RMSE minus it.
    """
    with style.picture(out_path, 9, 7.2) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
        _draw_losses(above, series)
        _draw_errors(below, series)
        below.set_xlabel("step")
        below.xaxis.set_major_locator(MaxNLocator(9, integer=True))


def _draw_losses(axes: Axes, series: Mapping[str, Series]) -> None:
    terms = [key for key in sorted(series) if key.startswith("loss/")]
    wheel = (style.GREEN, style.PURPLE, style.SKY, style.ORANGE, style.GREY)
    colours = {key: wheel[i % len(wheel)] for i, key in enumerate(terms)}
    drawn = [key for key in ("loss", *terms) if key in series and (series[key][1] > 0).any()]
    style.title(axes, "Loss")
    if not drawn:
        style.notice(axes, "no loss logged yet")
        return
    for key in drawn:
        steps, values = series[key]
        main = key == "loss"
        colour = style.INK if main else colours[key]
        label = "total" if main else key.removeprefix("loss/")
        positive = values > 0
        axes.plot(
            steps[positive],
            values[positive],
            color=colour,
            lw=1.6 if main else 1.1,
            alpha=1 if main else 0.9,
            marker="o" if positive.sum() == 1 else None,
            ms=4,
            label=label,
            zorder=3 if main else 2,
        )
    axes.set_yscale("log")
    style.plain_log_axis(axes.yaxis)
    axes.set_ylabel("loss")
    if "learning_rate" in series:
        _draw_learning_rate(axes, *series["learning_rate"])
    style.legend(axes, 6)


def _draw_learning_rate(axes: Axes, steps: np.ndarray, rates: np.ndarray) -> None:
    faint = axes.twinx()
    faint.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    faint.fill_between(steps, rates, step="post", color=style.FAINT, alpha=0.45, lw=0)
    faint.step(steps, rates, where="post", color="#B0B0B0", lw=1)
    axes.plot([], [], color="#B0B0B0", lw=1, label="learning rate (right)")
    faint.set_ylim(0, max(float(rates.max()) * 1.15, 1e-12))
    faint.grid(False)
    faint.set_ylabel("learning rate", color=style.GREY)
    faint.tick_params(axis="y", labelcolor=style.GREY, length=0)
    faint.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    faint.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")


def _draw_errors(axes: Axes, series: Mapping[str, Series]) -> None:
    reading = bias_and_variance(series)
    style.title(axes, "Error on train and dev", _in_words(reading))
    shown = [
        (f"{split}/{key}", f"{split} {name}", colour, line)
        for split, colour in (("train", style.TRAIN), ("dev", style.DEV))
        for key, name, line in (("rmse_px", "RMSE", "-"), ("mean_error_px", "mean error", (0, (4, 2))))
        if f"{split}/{key}" in series
    ]
    if not shown:
        style.notice(axes, "no evaluation logged yet")
        return
    values = np.concatenate([style.log_errors(series[key][1]) for key, *_ in shown])
    for key, label, colour, line in shown:
        steps, errors = series[key]
        solid = line == "-"
        axes.plot(
            steps,
            style.log_errors(errors),
            color=colour,
            ls=line,
            lw=1.9 if solid else 1.1,
            marker="o" if solid and len(steps) <= 40 else None,
            ms=3.5,
            label=label,
        )
    _shade_gap(axes, series)
    axes.set_yscale("log")
    axes.set_ylim(values.min() / 1.35, values.max() * 1.35)
    _draw_bars(axes)
    style.plain_log_axis(axes.yaxis)
    axes.set_ylabel("error (px)")
    style.legend(axes, 4, raised=reading is not None)
    if reading is not None:
        step, bias, variance = reading
        axes.axvline(step, color=style.INK, lw=0.9, ls=(0, (4, 3)), zorder=1)
        ends = style.log_errors(np.array([bias, bias + variance]))
        axes.plot([step, step], ends, color=style.INK, lw=2.6, solid_capstyle="butt", zorder=4)


def _shade_gap(axes: Axes, series: Mapping[str, Series]) -> None:
    """Fills the gap between train and dev RMSE if both are known."""
    if "train/rmse_px" in series and "dev/rmse_px" in series:
        steps, dev = series["dev/rmse_px"]
        train = np.interp(steps, *series["train/rmse_px"])
        axes.fill_between(steps, style.log_errors(train), style.log_errors(dev), color=style.DEV, alpha=0.09, lw=0)


def _draw_bars(axes: Axes) -> None:
    """Draws the satisficing bar and the human variability if they fall within the axis."""
    low, high = axes.get_ylim()
    for level, name in ((SATISFICING_PX, "satisficing\n10 px"), (HUMAN_PX, "human vari-\nability 2.7 px")):
        if low < level < high:
            axes.axhline(level, color=style.GREY, lw=1, ls=(0, (1, 2)), zorder=1)
            at = {"xycoords": axes.get_yaxis_transform(), "xytext": (5, 0), "textcoords": "offset points"}
            axes.annotate(name, (1, level), va="center", color=style.GREY, fontsize=8, **at)


def _in_words(reading: tuple[int, float, float] | None) -> str:
    if reading is None:
        return ""
    step, bias, variance = reading
    return (
        f"best step {step}: bias {style.pixels(bias)} px (train RMSE), "
        f"variance {style.pixels(variance)} px (dev RMSE - train RMSE, the black bar)"
    )
