"""Style of all pictures: fonts, colours that colour-blind readers can distinguish, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from pawjax.files import replacing

DPI = 120
SMALLEST_PX = 0.01  # on logarithmic axes smaller errors, zero included, are drawn here

# Okabe and Ito, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
INK, GREY, FAINT = "#222222", "#767676", "#D9D9D9"
TRAIN, DEV = BLUE, VERMILION
PALETTE = (SKY, ORANGE, GREEN, VERMILION, PURPLE, YELLOW, BLUE)
HALO = [Stroke(linewidth=3.2, foreground="black", alpha=0.55), Normal()]  # sets a line off from the frame

_RC = {
    **{key: value for key, value in matplotlib.rcParamsDefault.items() if key.startswith(("text.", "font."))},
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a bodypart may be called "$x$"
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.linewidth": 1.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def picture(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` inches to draw on; written to `path` as PNG when the block ends."""
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as temporary:
            canvas.print_figure(temporary, format="png")


def bodypart_colors(n: int) -> list[tuple[float, float, float]]:
    """n colours: seven hues, then the same paler, then darker, so 21 differ."""
    base = np.array([matplotlib.colors.to_rgb(color) for color in PALETTE])
    shades = np.concatenate([base, 0.5 + 0.5 * base, 0.55 * base])
    return [tuple(shades[i % len(shades)]) for i in range(n)]


def log_errors(errors: np.ndarray) -> np.ndarray:
    """Errors in px, clipped from below for a logarithmic axis."""
    return np.maximum(errors, SMALLEST_PX)


def plain_log_axis(axis: Axis) -> None:
    """Marks a logarithmic axis, its limits already set, with 0.1, 1, 10 instead of powers of ten."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def title(axes: Axes, text: str, below: str = "") -> None:
    """The left-aligned title of a plot, with an optional line of plain text below it."""
    axes.set_title(text, pad=23 if below else 8)
    if below:
        at = {"xycoords": "axes fraction", "xytext": (0, 7), "textcoords": "offset points"}
        axes.annotate(below, (0, 1), fontsize=9, **at)


def legend(axes: Axes, columns: int, raised: bool = False) -> None:
    """The legend at the upper right, level with the title (`raised` if the title has a line below)."""
    offset = ScaledTranslation(0, (15 if raised else 0) / 72, axes.figure.dpi_scale_trans)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        bbox_transform=axes.transAxes + offset,
        ncols=columns,
        borderaxespad=0.1,
        handlelength=1.6,
        columnspacing=1.4,
    )


def notice(axes: Axes, text: str) -> None:
    """An empty plot with the reason as text."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, fontsize=12, transform=axes.transAxes)


def share(value: float) -> str:
    """0..1 as a percentage; 100 % only if it is all, 0 % only if it is none."""
    text = f"{100 * value:.0f}"
    if (text == "100" and value < 1) or (text == "0" and value > 0):
        text = f"{np.clip(100 * value, 0.1, 99.9):.1f}"
    return f"{text} %"


def pixels(value: float | None) -> str:
    """A length with three digits; '-' for None."""
    if value is None:
        return "-"
    if 0 < abs(value) < 0.01:
        return "<0.01"
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"


def shorten(text: str, length: int) -> str:
    """The text, with its middle replaced by an ellipsis if it is longer than `length`."""
    if len(text) <= length:
        return text
    tail = (length - 1) * 2 // 3
    return text[: length - 1 - tail] + "\u2026" + text[len(text) - tail :]
