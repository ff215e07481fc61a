"""The picture of a triangulation's diagnostics: errors of each camera and bodypart, and errors by shifts in time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pawjax.report.style import GREY, INK, VERMILION, bodypart_colors, legend, notice, picture, pixels, shorten, title

CELL = 0.42  # inches, of a camera and bodypart
LONGEST_NAME = 16
DARK = 0.55  # of the colour scale, from which numbers are white


def draw_diagnostics(path: Path, diagnostics: Mapping[str, Any]) -> None:
    """Writes a PNG of what `pawjax.reconstruction.diagnosing.diagnose` found, replacing the file atomically."""
    table = diagnostics["error_px"]["by_camera_and_bodypart"]
    bodyparts = list(next(iter(table.values())))
    width = max(8.0, 3.0 + 1.2 * CELL * len(bodyparts))
    height = 2.4 + CELL * len(table)
    with picture(path, width, height + 3.4) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=(height, 3.4))
        _draw_errors(above, table, bodyparts)
        _draw_shifts(below.subplots(), diagnostics["shift"])


def _draw_errors(figure: Figure, table: Mapping[str, Mapping[str, float | None]], bodyparts: list[str]) -> None:
    values = np.array([[np.nan if own[name] is None else own[name] for name in bodyparts] for own in table.values()])
    axes = figure.subplots()
    title(axes, "Reprojection error", "median over all tracked points, px, outliers too")
    if not np.isfinite(values).any():
        notice(axes, "no point has an error")
        return
    low, high = np.nanmin(values), np.nanmax(values)
    scale = LogNorm(max(low, 0.01), max(high, 1.01 * low, 0.02))
    axes.imshow(np.maximum(values, 0.01), cmap="Blues", norm=scale, aspect="auto")
    for row, own in enumerate(values):
        for column, value in enumerate(own):
            color = "white" if np.isfinite(value) and scale(max(value, 0.01)) > DARK else INK
            text = pixels(float(value)) if np.isfinite(value) else "-"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    names = [shorten(name, LONGEST_NAME) for name in bodyparts]
    axes.set_xticks(range(len(bodyparts)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(table)), [shorten(name, LONGEST_NAME) for name in table])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_shifts(axes: Axes, shift: Mapping[str, Any]) -> None:
    suspected = shift["suspected"]
    below = "median error of each camera if its frames are taken later; the least should be at 0"
    if suspected:
        below = f"camera {suspected['camera']} fits best {suspected['frames']:+d} frames away"
    title(axes, "Cameras in time", below)
    if shift["error_px"] is None:
        notice(axes, "too few frames to look for shifts")
        return
    colors = bodypart_colors(len(shift["error_px"]))
    for color, (camera, errors) in zip(colors, shift["error_px"].items(), strict=True):
        at = np.array(list(map(int, errors)))
        values = np.array([np.nan if value is None else value for value in errors.values()])
        axes.plot(at, values, color=color, label=shorten(camera, LONGEST_NAME), marker=".")
    axes.axvline(0, color=GREY, linewidth=0.8)
    if suspected:
        axes.axvline(suspected["frames"], color=VERMILION, linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("frames")
    axes.set_ylabel("px")
    axes.set_ylim(bottom=0)
    legend(axes, columns=min(6, len(colors)), raised=True)
