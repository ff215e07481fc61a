"""Frames with their points: the worst predictions of an evaluation, and grids of (augmented) images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from pawjax.report import style
from pawjax.report.boxes import TITLE, FrameBoxes, PointBoxes
from pawjax.report.frames import EvaluatedFrames

TILE = 2.35  # inches: the height of a frame in the gallery
INNER, OUTER = 0.05, 0.22  # between a frame and its magnified view; between frames
CAPTION, HEAD, LINE = 0.4, 0.34, 0.2  # above a frame; above all; a further line there
OBLONG = (TILE - INNER) / 2 / TILE  # height over width of the two views of a gross miss


class Window(NamedTuple):
    """A region of an image, px: the ranges of x and y that are shown."""

    left: float
    right: float
    top: float
    bottom: float


def worst_frames(
    frames: EvaluatedFrames,
    out_path: str | Path,
    n: int = 12,
    boxes: FrameBoxes | None = None,
) -> None:
    """Draws the n frames with the largest error of one point, the worst first.

    Each frame is shown beside a magnified view of its worst point: a ring for the label, a cross for the
    prediction, a line between them, coloured by bodypart. A gross miss has two views, the label above and
    the prediction below. Boxes, if given, are those of the worst point.

    Args:
      frames: N of them; those without a labelled point are left out.
      out_path: the PNG.
      n: largest number of frames.
      boxes: a detector's boxes in the N frames, drawn with the points.
    """
    sizes, bodyparts = frames.sizes, frames.bodyparts
    errors = np.where(frames.labelled, np.hypot(*np.moveaxis(frames.predicted - frames.truth, -1, 0)), -1.0)
    worst = errors.max((1, 2), initial=-1.0)
    order = [int(i) for i in np.argsort(-worst, kind="stable")[:n] if worst[i] >= 0]
    if not order:
        with style.picture(out_path, 6, 2) as figure:
            style.notice(figure.subplots(), "no labelled points")
        return
    aspects = np.clip([sizes[i][1] / sizes[i][0] for i in order], 0.4, 2.4)
    across = TILE * (float(aspects.max()) + 1) + INNER  # inches of one frame and its magnified view
    columns = min(len(order), max(1, round(15 / across)))
    rows = math.ceil(len(order) / columns)
    colours = style.bodypart_colors(len(bodyparts))
    legend = _Legend(bodyparts, colours, columns * (across + OUTER))
    head = HEAD + (LINE if boxes else 0)
    width, height = columns * (across + OUTER) + OUTER, head + rows * (CAPTION + TILE + OUTER) + legend.height
    with style.picture(out_path, width, height) as figure:
        figure.set_layout_engine("none")  # everything is placed in inches
        figure.text(
            OUTER / width,
            1 - 0.08 / height,
            f"{len(order)} worst of {len(frames.images)} frames: "
            + ("the ring is the label, the cross the prediction" if columns > 1 else "ring: label, cross: prediction"),
            va="top",
            fontsize=12,
            fontweight="bold",
        )
        if boxes:
            figure.text(OUTER / width, 1 - (0.08 + LINE) / height, TITLE, va="top", fontsize=9.5)
        for place, i in enumerate(order):
            a, k = map(int, np.unravel_index(errors[i].argmax(), errors[i].shape))
            corner = (
                OUTER + place % columns * (across + OUTER),
                head + place // columns * (CAPTION + TILE + OUTER),
            )
            _write_caption(
                figure,
                corner,
                style.shorten(frames.ids[i], int(across * 13)),
                f"{style.shorten(bodyparts[k], 24)}: {style.pixels(float(errors[i, a, k]))} px, "
                f"likelihood {frames.likelihood[i, a, k]:.2f}",
            )
            image = frames.images[i, : sizes[i][0], : sizes[i][1]]
            points = (
                np.asarray(frames.truth[i], float),
                np.asarray(frames.predicted[i], float),
                np.asarray(frames.labelled[i], bool),
            )
            around = boxes and boxes.of(i, a, k)
            _draw_tile(figure, (corner[0], corner[1] + CAPTION), image, points, (a, k), colours, around)
        legend.draw(figure)


class _Legend:
    """The bodyparts' colours in rows below the frames; nothing for a single bodypart."""

    def __init__(self, bodyparts: Sequence[str], colours: list, width: float):
        self._entries = [(style.shorten(name, 24), colour) for name, colour in zip(bodyparts, colours, strict=True)]
        longest = max((len(name) for name, _ in self._entries), default=0)
        self._columns = max(1, int(width / (0.085 * longest + 0.35)))
        many = len(self._entries) > 1
        self.height = 0.19 * math.ceil(len(self._entries) / self._columns) + 0.1 if many else 0.0

    def draw(self, figure: Figure, place: str = "lower left") -> None:
        """Draws it at the bottom of the figure; 'outside lower left' lets a layout engine leave room for it."""
        if self.height:
            marks = [Line2D([], [], ls="", marker="o", ms=6, mfc=c, mec=style.INK, mew=0.5) for _, c in self._entries]
            figure.legend(
                marks,
                [name for name, _ in self._entries],
                loc=place,
                ncols=min(self._columns, len(marks)),
                handletextpad=0.1,
                labelspacing=0.3,
                columnspacing=1.1,
                borderaxespad=0.3,
            )


def _axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the figure's upper left corner."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def _write_caption(figure: Figure, corner: tuple[float, float], frame: str, point: str) -> None:
    """Two lines at `corner` (inches from the upper left): the frame's id, its worst point."""
    w, h = figure.get_size_inches()
    for line, (text, weight) in enumerate(((frame, "normal"), (point, "bold"))):
        y = 1 - (corner[1] + 0.16 * (line + 1)) / h
        figure.text(corner[0] / w, y, text, fontsize=8.5, fontweight=weight, va="baseline")


def _draw_tile(
    figure: Figure,
    corner: tuple[float, float],
    image: np.ndarray,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    worst: tuple[int, int],
    colours: list,
    boxes: PointBoxes | None,
) -> None:
    """One frame and its magnified worst point, `worst` = (animal, bodypart).

    `points` are truth [A,K,2], predicted [A,K,2], labelled [A,K].
    """
    truth, predicted, labelled = points
    colour = colours[worst[1]]
    height, width = image.shape[:2]
    across = TILE * float(np.clip(width / height, 0.4, 2.4))
    whole = _axes_at(figure, *corner, across, TILE)
    _show(whole, image, Window(-0.5, width - 0.5, -0.5, height - 0.5))
    if boxes:
        boxes.draw(whole, colour)
    for a, k in np.argwhere(labelled):
        _draw_pair(whole, truth[a, k], predicted[a, k], colours[k], 1.0 if (a, k) == worst else 0.55)
    windows = magnified(truth[worst], predicted[worst], height, width, 1.15 * boxes.span() if boxes else 0.0)
    down = (TILE - INNER * (len(windows) - 1)) / len(windows)
    for row, window in enumerate(windows):
        left, right, top, bottom = window
        frame = {"fill": False, "ec": "white", "lw": 0.9, "path_effects": style.HALO}
        whole.add_patch(Rectangle((left, top), right - left, bottom - top, **frame))
        view = _axes_at(figure, corner[0] + across + INNER, corner[1] + row * (down + INNER), TILE, down)
        _show(view, image, window)
        if boxes:
            boxes.draw(view, colour)
        _draw_pair(view, truth[worst], predicted[worst], colour, 2.0)


def magnified(truth: np.ndarray, predicted: np.ndarray, height: int, width: int, at_least: float = 0.0) -> list[Window]:
    """The regions of a frame to magnify so that label [2] and prediction [2], (x, y) px, can be distinguished.

    One square around both, two to three times as wide as their distance and at least `at_least` px; if the former is
    more than half the frame, two oblongs of half the frame's shorter side, around the label and around the prediction.
    """
    short = min(height, width)
    apart = float(np.abs(predicted - truth).max())
    side = min(max(2.2 * apart, short / 10, 24.0, at_least), short)
    if 2.2 * apart <= short / 2:
        return [_window((truth + predicted) / 2, side, side, height, width)]
    side = short / 2
    return [_window(point, side, side * OBLONG, height, width) for point in (truth, predicted)]


def _window(centre: np.ndarray, across: float, down: float, height: int, width: int) -> Window:
    """`across` x `down` px around (x, y), moved into the frame while keeping the centre in view."""
    x, y = (float(np.clip(c, -0.5, s - 0.5)) for c, s in zip(centre, (width, height), strict=True))
    across, down = min(across, width), min(down, height)
    left = float(np.clip(x - across / 2, -0.5, width - 0.5 - across))
    top = float(np.clip(y - down / 2, -0.5, height - 0.5 - down))
    return Window(left, left + across, top, top + down)


def _show(axes: Axes, image: np.ndarray, window: Window) -> None:
    """Draws the image within the window, plus a margin of one pixel, without ticks."""
    height, width = image.shape[:2]
    x0, x1 = max(math.floor(window.left), 0), min(math.ceil(window.right) + 1, width)
    y0, y1 = max(math.floor(window.top), 0), min(math.ceil(window.bottom) + 1, height)
    crop = image[y0:y1, x0:x1]
    crop = np.repeat(crop, 3, -1) if crop.shape[-1] == 1 else crop
    axes.imshow(crop, extent=(x0 - 0.5, x1 - 0.5, y1 - 0.5, y0 - 0.5))
    axes.set_xlim(window.left, window.right)
    axes.set_ylim(window.bottom, window.top)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("NW")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_pair(axes: Axes, truth: np.ndarray, predicted: np.ndarray, colour: tuple, size: float) -> None:
    """Draws label (ring) and prediction (cross) with the line between them."""
    axes.plot(*np.stack([truth, predicted], 1), color=colour, lw=0.9 * size**0.5, path_effects=style.HALO)
    ring = {"mfc": "none", "mec": colour, "mew": 1.1 * size**0.5, "path_effects": style.HALO}
    axes.plot(*truth, "o", ms=6.5 * size, **ring)
    axes.plot(*predicted, "x", ms=5.5 * size, mec=colour, mew=1.3 * size**0.5, path_effects=style.HALO)


def points_grid(
    images: np.ndarray | Sequence[np.ndarray],
    keypoints: np.ndarray,
    labelled: np.ndarray,
    out_path: str | Path,
    titles: Sequence[str] | None = None,
    n_columns: int = 4,
    bodyparts: Sequence[str] = (),
) -> None:
    """Draws images with their labelled points, row by row, for inspecting augmented batches.

    Args:
      images: N images [H,W,C] of 0..255, C 1 or 3; uint8 or float (clipped and rounded); sizes may differ.
      keypoints: [N,A,K,2] (x, y) px of the images, A animals.
      labelled: bool [N,A,K].
      out_path: the PNG.
      titles: N captions.
      n_columns: images per row.
      bodyparts: K names for a legend of the colours.
    """
    if not len(images):
        with style.picture(out_path, 6, 2) as figure:
            style.notice(figure.subplots(), "no images")
        return
    columns = min(n_columns, len(images))
    rows = math.ceil(len(images) / columns)
    tile = 3.1
    ratio = float(np.clip(np.median([image.shape[0] / image.shape[1] for image in images]), 0.4, 2))
    colours = style.bodypart_colors(np.shape(keypoints)[2])
    legend = _Legend(bodyparts, colours[: len(bodyparts)], columns * tile)
    height = rows * (tile * ratio + (0.25 if titles else 0.06)) + legend.height
    with style.picture(out_path, columns * tile, height) as figure:
        figure.get_layout_engine().set(wspace=0.01, hspace=0.01, w_pad=0.02, h_pad=0.02)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(images) :]:
            axes.set_axis_off()
        for i, image in enumerate(images):
            image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
            _show(grid[i], image, Window(-0.5, image.shape[1] - 0.5, -0.5, image.shape[0] - 0.5))
            for a, k in np.argwhere(labelled[i]):
                grid[i].plot(*keypoints[i][a, k], "+", ms=9, mec=colours[k], mew=1.5, path_effects=style.HALO)
            if titles:
                grid[i].set_title(style.shorten(titles[i], 44), fontsize=8, fontweight="normal", pad=3)
        legend.draw(figure, "outside lower left")
