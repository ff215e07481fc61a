"""Pictures of the tracks of a video: trajectories in the frame, courses over time, and histograms."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize

from pawjax.data.video import FrameReader, Video
from pawjax.report import style
from pawjax.report.labelled_video import check_size
from pawjax.tracks.moments import speeds_of, steps_of
from pawjax.tracks.tracks import Tracks

MOST_POINTS = 20_000  # of a trajectory that are drawn
SHORTEST_STEP = 0.01  # px; shorter ones are counted with it, on a logarithmic axis
PALE = 0.55  # of white over the frame under a trajectory


def plots(video: Video, tracks: Tracks, pcutoff: float) -> dict[str, Callable[[Path], None]]:
    """{name of a picture: what writes it to a path}, with DeepLabCut's names.

    Points with a likelihood below `pcutoff` are left out of trajectories and courses. Raises InputError if the video
    has another size than the tracks.
    """
    check_size(video, tracks)

    def trajectories(path: Path) -> None:
        draw_trajectories(path, next(iter(FrameReader(video, 3))).pixels, tracks, pcutoff)

    return {
        "trajectory.png": trajectories,
        "plot.png": lambda path: draw_courses(path, tracks, pcutoff),
        "hist.png": lambda path: draw_histograms(path, tracks, pcutoff),
    }


def draw_trajectories(path: Path, frame: np.ndarray, tracks: Tracks, pcutoff: float) -> None:
    """The way of each bodypart over a pale frame uint8 [H, W, 3]; colours tell the time."""
    n, (height, width) = len(tracks.bodyparts), tracks.size
    columns = min(n, 3 if n in (3, 5, 6, 9) else 2 if n <= 4 else 4)
    rows = -(-n // columns)
    every = slice(None, None, -(-len(tracks) // MOST_POINTS))
    points, seconds = sure_points(tracks, pcutoff)[every], (tracks.times - tracks.times[0])[every]
    end = max(float(seconds[-1]), 1e-9)
    colors = ScalarMappable(Normalize(0, end), ListedColormap(colormaps["plasma"](np.linspace(0, 0.88, 256))))
    with style.picture(path, 10.6, rows * (9.6 / columns * height / width + 0.35) + 0.6) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for k, axes in zip(range(n), panels.flat, strict=False):
            axes.imshow(np.uint8(frame * (1 - PALE) + 255 * PALE), interpolation="bilinear")
            ways = np.stack([points[:-1, k], points[1:, k]], axis=1)
            lines = LineCollection(ways, colors=colors.to_rgba(seconds[1:]), linewidths=1.3, capstyle="round")
            axes.add_collection(lines, autolim=False)
            axes.set_title(style.shorten(tracks.bodyparts[k], round(56 / columns)), fontsize=10)
            share = style.share(float((tracks.likelihood[:, 0, k] >= pcutoff).mean()))
            axes.set_title(share, loc="right", fontsize=9, fontweight="normal", color=style.GREY)
        bar = figure.colorbar(colors, ax=panels, fraction=0.025, aspect=40, pad=0.01)
        bar.set_label("time (s)")
        bar.outline.set_visible(False)
        caption = f"%: share of the frames in which the likelihood is at least {pcutoff:g}; only these are drawn"
        figure.supxlabel(caption, fontsize=9, color=style.GREY)


def draw_courses(path: Path, tracks: Tracks, pcutoff: float) -> None:
    """x, y, speed and likelihood of each bodypart over time."""
    seconds = tracks.times - tracks.times[0]
    points = sure_points(tracks, pcutoff)
    speed = np.where(_sure_steps(tracks, pcutoff), speeds_of(tracks)[:, 0], np.nan)
    courses = {
        "x (px)": points[..., 0],
        "y (px)": points[..., 1],
        "speed (px/s)": speed,
        "likelihood": tracks.likelihood[:, 0],
    }
    with style.picture(path, 11, 8.4) as figure:
        panels = figure.subplots(4, 1, sharex=True, height_ratios=(1.1, 1.1, 1, 0.8))
        for axes, (name, values) in zip(panels, courses.items(), strict=True):
            for k, color in enumerate(style.bodypart_colors(len(tracks.bodyparts))):
                axes.plot(seconds, values[:, k], color=color, lw=0.9)
            axes.set_ylabel(name)
        x, y, speeds, likelihoods = panels
        y.invert_yaxis()  # as in the frame
        speeds.set_ylim(0, _nearly_all(speed))
        likelihoods.set_ylim(0, 1.02)
        likelihoods.axhline(pcutoff, color=style.INK, lw=1, ls=(0, (5, 3)))
        likelihoods.set_xlabel("time (s)")
        likelihoods.set_xlim(0, max(float(seconds[-1]), 1e-9))
        style.title(x, "Tracks over time", f"only points with a likelihood of at least {pcutoff:g}, the dashed line")
        _name_bodyparts(x, tracks)


def draw_histograms(path: Path, tracks: Tracks, pcutoff: float) -> None:
    """How often each likelihood, and each step from frame to frame, occurs."""
    steps = np.where(_sure_steps(tracks, pcutoff), steps_of(tracks)[:, 0], np.nan)
    known = np.maximum(steps[np.isfinite(steps)], SHORTEST_STEP)
    shortest, longest = (known.min(), known.max()) if len(known) else (SHORTEST_STEP, 1.0)
    with style.picture(path, 11, 4.4) as figure:
        left, right = figure.subplots(1, 2)
        colors = style.bodypart_colors(len(tracks.bodyparts))
        _draw_shares(left, tracks.likelihood[:, 0], np.linspace(0, 1, 41), colors)
        left.axvline(pcutoff, color=style.INK, lw=1, ls=(0, (5, 3)))
        left.set_xlabel("likelihood")
        _draw_shares(right, np.maximum(steps, SHORTEST_STEP), np.geomspace(shortest, longest * 1.01, 41), colors)
        right.set_xscale("log")
        style.plain_log_axis(right.xaxis)
        right.set_xlabel("step from frame to frame (px)")
        share = float((tracks.likelihood[:, 0] >= pcutoff).mean())
        style.title(left, "Likelihood", f"{style.share(share)} of points reach {pcutoff:g}, the dashed line")
        style.title(right, "Steps", "between points that reach it in both frames")
        _name_bodyparts(right, tracks, below=True)


def sure_points(tracks: Tracks, pcutoff: float) -> np.ndarray:
    """float32 [T, K, 2] of one animal; NaN where the likelihood is below `pcutoff`."""
    return np.where(tracks.likelihood[:, 0, :, None] >= pcutoff, tracks.keypoints[:, 0], np.nan)


def _sure_steps(tracks: Tracks, pcutoff: float) -> np.ndarray:
    """bool [T, K]: whether a point and the one before are sure."""
    sure = tracks.likelihood[:, 0] >= pcutoff
    sure[1:] &= sure[:-1].copy()
    sure[0] = False
    return sure


def _draw_shares(axes: Axes, values: np.ndarray, edges: np.ndarray, colors: list) -> None:
    for column, color in zip(values.T, colors, strict=True):
        counts, _ = np.histogram(column[np.isfinite(column)], edges)
        axes.stairs(np.where(counts, counts / len(values), np.nan), edges, baseline=None, color=color, lw=1.6)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yscale("log")
    axes.set_ylim(0.5 / len(values), 1.3)
    style.plain_log_axis(axes.yaxis)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.set_ylabel("share of frames")


def _nearly_all(speed: np.ndarray) -> float:
    """The top of an axis of speeds, which the fastest half percent may exceed."""
    known = speed[np.isfinite(speed)]
    return 1.3 * float(np.percentile(known, 99.5)) or 1.0 if len(known) else 1.0


def _name_bodyparts(axes: Axes, tracks: Tracks, below: bool = False) -> None:
    colors = style.bodypart_colors(len(tracks.bodyparts))
    for name, color in zip(tracks.bodyparts, colors, strict=True):
        axes.plot([], [], color=color, lw=2.4, label=style.shorten(name, 20))
    if below:
        axes.figure.legend(loc="outside lower center", ncols=min(6, len(colors)))
    else:
        axes.figure.legend(loc="outside upper center", ncols=min(6, len(colors)))
