"""Pictures of a calibration: its errors, what the corners cover, the rig, and the worst pictures."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm

from pawjax.data.board_views import read_views
from pawjax.report import style
from pawjax.report.calibrated import Calibrated
from pawjax.report.rig import draw_rig

N_WORST = 6  # pictures shown
MOST_BOARDS = 40  # drawn with the rig
LOWEST_PX, HIGHEST_PX = 0.05, 5.0  # of the colours
COLORS = "viridis"


def draw_errors(path: Path, made: Calibrated) -> None:
    """The error of each picture as a strip of colours for each camera, and of each corner as a histogram."""
    errors, names = made.picture_errors(), made.cameras.names
    with style.picture(path, 11, 2.8 + 0.42 * len(names) + 2.4) as figure:
        top, bottom = figure.subplots(2, 1, height_ratios=(0.6 + 0.42 * len(names), 2.4))
        norm = LogNorm(LOWEST_PX, HIGHEST_PX)
        mesh = top.pcolormesh(np.arange(errors.shape[1] + 1) - 0.5, np.arange(len(names) + 1) - 0.5, errors, norm=norm)
        mesh.set_cmap(COLORS)
        top.plot(*np.nonzero(made.left_out)[::-1], "x", color=style.VERMILION, ms=5, mew=1.6)
        top.set_yticks(range(len(names)), [style.shorten(name, 24) for name in names])
        top.invert_yaxis()
        top.grid(False)
        top.set_xlabel("view, in the order of time")
        _explain(figure.colorbar(mesh, ax=top, pad=0.01, aspect=12, extend="both"), "RMS error (px)")
        below = "white: the board was not found" + ("; a cross: left out" if made.left_out.any() else "")
        style.title(top, "Error of each picture", below)
        _draw_histograms(bottom, made)


def _draw_histograms(axes: Axes, made: Calibrated) -> None:
    errors = [own[np.isfinite(own)] for own in made.used_errors()]
    end = max(float(np.quantile(np.concatenate(errors), 0.995)), 1e-3)
    bins = np.linspace(0, end, 61)
    for name, own, color in zip(made.cameras.names, errors, style.bodypart_colors(len(errors)), strict=True):
        shares = np.histogram(np.minimum(own, end), bins)[0] / max(len(own), 1)
        axes.stairs(100 * shares, bins, color=color, lw=1.6, label=style.shorten(name, 24))
    axes.set(xlim=(0, end), ylim=(0, None), xlabel="reprojection error of a corner (px)", ylabel="% of corners")
    style.title(axes, "Errors of the corners", "the last bar holds all that are larger")
    style.legend(axes, min(len(errors), 4), raised=True)


def draw_coverage(path: Path, made: Calibrated) -> None:
    """Where in each camera's frame corners were found, coloured by their errors."""
    n = len(made.cameras)
    columns = min(n, 3)
    rows = -(-n // columns)
    width, height = made.cameras.sizes[0]
    with style.picture(path, 11, rows * (10 / columns * height / width + 0.35) + 0.35) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for index, axes in zip(range(n), panels.flat, strict=False):
            errors = made.used_errors()[index]
            seen = np.isfinite(errors)
            x, y = made.result.pixels[index][seen].T
            dots = axes.scatter(x, y, c=errors[seen], s=5, norm=LogNorm(LOWEST_PX, HIGHEST_PX), cmap=COLORS, lw=0)
            width, height = made.cameras.sizes[index]
            axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xticks=(), yticks=())
            axes.set_axis_on()
            axes.grid(False)
            for side in axes.spines.values():
                side.set_visible(True)
            axes.set_title(style.shorten(made.cameras.names[index], 30), fontsize=10)
            share = f"{style.share(made.coverage()[index])} of the frame"
            axes.set_title(share, loc="right", fontsize=9, fontweight="normal", color=style.GREY)
        _explain(figure.colorbar(dots, ax=panels, fraction=0.025, aspect=25, pad=0.01, extend="both"), "error (px)")
        caption = "%: share of the fields of an 8 x 6 grid with a corner; lenses are not known where there is none"
        figure.supxlabel(caption, fontsize=9, color=style.GREY)


def draw_scene(path: Path, made: Calibrated) -> None:
    """The cameras and the boards in space."""
    places = made.board_places()
    known = np.flatnonzero(np.isfinite(places).all((-1, -2)))
    shown = known[np.unique(np.linspace(0, len(known) - 1, min(MOST_BOARDS, len(known))).astype(int))]
    with style.picture(path, 9, 7) as figure:
        axes = figure.add_subplot(projection="3d")
        grid = np.arange(len(made.board.points)).reshape(made.board.rows, made.board.columns)
        outline = np.array([grid[0, 0], grid[0, -1], grid[-1, -1], grid[-1, 0], grid[0, 0]])
        for view in shown:
            axes.plot(*places[view, outline].T, color=style.GREY, lw=0.8, alpha=0.7)
        draw_rig(made.cameras, axes, places[shown])
        if made.upright:
            axes.view_init(elev=25, azim=-60)
        else:  # from behind the first camera and above it: y goes down
            axes.view_init(elev=-25, azim=-150, roll=180, vertical_axis="y")
        title = "Cameras and boards" + (f", {len(shown)} of {len(known)}" if len(shown) < len(known) else "")
        axes.set_title(title, pad=0)


def draw_worst(path: Path, made: Calibrated) -> None:
    """The pictures with the largest errors: corners as found and as projected."""
    errors = made.picture_errors()
    order = np.argsort(np.where(np.isfinite(errors), -errors, np.inf), axis=None)[:N_WORST]
    worst = [place for place in zip(*np.unravel_index(order, errors.shape), strict=True) if np.isfinite(errors[place])]
    projected = made.projected()
    pictures = _read(made, worst)
    columns = min(3, len(worst))
    rows = -(-len(worst) // columns)
    with style.picture(path, 12, rows * (11.4 / columns * 0.75 + 0.5) + 0.4) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for (camera, view), axes in zip(worst, panels.flat, strict=False):
            if (camera, view) not in pictures:
                continue
            axes.imshow(pictures[camera, view], cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
            found, expected = made.result.pixels[camera, view], projected[camera, view]
            axes.plot(*found.T, "o", ms=7, mfc="none", mec=style.ORANGE, mew=1.1, label="found")
            axes.plot(*expected.T, "x", ms=4, color=style.SKY, mew=1.1, label="projected")
            source = made.sources[camera]
            label = f"{source.camera}, {source.label(int(made.views[camera, view]))}"
            axes.set_title(style.shorten(label, 34), fontsize=10)
            axes.set_title(f"{style.pixels(errors[camera, view])} px", loc="right", fontsize=9, fontweight="normal")
            _zoom(axes, found, pictures[camera, view].shape)
        panels[0, 0].legend(loc="lower left", frameon=True, framealpha=0.9)


def _explain(bar: Colorbar, label: str) -> None:
    bar.set_label(label)
    bar.outline.set_visible(False)
    style.plain_log_axis(bar.ax.yaxis)


def _zoom(axes: Axes, found: np.ndarray, shape: tuple[int, int]) -> None:
    """The part of the picture with the board, of the picture's shape."""
    low, high = np.nanmin(found, axis=0), np.nanmax(found, axis=0)
    height, width = shape
    half = 0.6 * max((high[0] - low[0]) / 4, (high[1] - low[1]) / 3) * np.array([4, 3]) + 5
    middle = (low + high) / 2
    start, end = np.maximum(middle - half, -0.5), np.minimum(middle + half, (width - 0.5, height - 0.5))
    axes.set(xlim=(start[0], end[0]), ylim=(end[1], start[1]))


def _read(made: Calibrated, worst: list[tuple[int, int]]) -> dict[tuple[int, int], np.ndarray]:
    pictures = {}
    for camera in {camera for camera, _ in worst}:
        views = {int(made.views[camera, view]): (camera, view) for own, view in worst if own == camera}
        for place, pixels in read_views(made.sources[camera], sorted(views)):
            pictures[views[place]] = pixels
    return pictures
