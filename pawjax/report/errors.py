"""Pictures of the errors: their distribution, by bodypart, and against the likelihood."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pawjax.metrics import PCK_THRESHOLDS, SATISFICING_PX, roc_auc
from pawjax.report import style


def error_distribution(errors: np.ndarray, out_path: str | Path, title: str = "Errors") -> None:
    """Draws a histogram above and the cumulative share below, over a shared logarithmic axis in px.

    Args:
      errors: [n] px, Euclidean distances of the labelled points; may be empty. Those under 0.01 px are drawn
        at 0.01.
      out_path: the PNG.
      title: what was evaluated.
    """
    errors = np.asarray(errors, np.float64)
    with style.picture(out_path, 9, 6.4) as figure:
        if not errors.size:
            style.notice(figure.subplots(), "no labelled points")
            return
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
        shown = np.sort(style.log_errors(errors))
        low, high = min(shown[0] / 1.3, 0.8), max(shown[-1] * 1.3, 30)
        bins = np.geomspace(low, high, 61)
        above.hist(shown, bins=bins, color=style.BLUE, edgecolor="white", lw=0.4)
        above.set_xscale("log")
        above.set_xlim(low, high)
        above.set_ylabel("points")
        above.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        rmse, mean, largest = np.sqrt(np.mean(errors**2)), np.mean(errors), np.max(errors)
        numbers = f"RMSE {style.pixels(rmse)} px, mean {style.pixels(mean)} px, largest {style.pixels(largest)} px"
        style.title(above, title, f"{errors.size} points, {numbers}")
        steps = np.arange(1, len(shown) + 1) / len(shown)
        below.step(np.r_[low, shown, high], np.r_[0, steps, 1], where="post", color=style.BLUE)
        below.set_ylim(0, 1.03)
        below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        below.set_ylabel("share of points within")
        below.set_xlabel("error (px)")
        _mark_quantiles((above, below), errors)
        _mark_thresholds(below, errors)
        style.plain_log_axis(below.xaxis)


def _mark_quantiles(both: Sequence[Axes], errors: np.ndarray) -> None:
    for name, value, colour in (
        ("median", float(np.median(errors)), style.GREEN),
        ("95th percentile", float(np.percentile(errors, 95)), style.VERMILION),
    ):
        for axes in both:
            axes.axvline(
                max(value, style.SMALLEST_PX),
                color=colour,
                lw=1.6,
                ls="-" if name == "median" else (0, (5, 2)),
                label=f"{name} {style.pixels(value)} px",
            )
    style.legend(both[0], 2)


def _mark_thresholds(axes: Axes, errors: np.ndarray) -> None:
    """Dots on the curve at 2, 5, 10, 20 px, with their shares above the plot, where no line crosses them."""
    for threshold in PCK_THRESHOLDS:
        within = float(np.mean(errors <= threshold))
        axes.plot([threshold, threshold], [within, 1.03], color=style.GREY, lw=0.8, ls=":", clip_on=False)
        axes.plot(threshold, within, "o", color=style.BLUE, mec="white", mew=1, ms=7, clip_on=False, zorder=4)
        axes.annotate(
            f"\u2264{threshold} px\n{style.share(within)}",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            linespacing=1.15,
        )


def bodypart_bars(metrics: dict, out_path: str | Path) -> None:
    """Draws median, mean and 95th percentile of every bodypart and of all points, as returned by `summarize`."""
    rows = [("all points", metrics), *metrics["per_bodypart"].items()]
    bars = (
        ("median_px", "median", style.GREEN),
        ("mean_error_px", "mean", style.BLUE),
        ("p95_px", "95th percentile", style.ORANGE),
    )
    with style.picture(out_path, 9, 1.2 + 0.6 * len(rows)) as figure:
        axes = figure.subplots()
        longest = max(numbers[key] or 0 for _, numbers in rows for key, *_ in bars) or 1
        for place, (key, name, colour) in enumerate(bars):
            y = np.arange(len(rows)) + (place - 1) * 0.26
            values = [numbers[key] for _, numbers in rows]
            axes.barh(y, [value or 0 for value in values], height=0.24, color=colour, label=name)
            for at, value in zip(y, values, strict=True):
                if value is not None:
                    axes.text(value + longest * 0.008, at, style.pixels(value), va="center", fontsize=7.5)
        empty = {"va": "center", "color": style.GREY, "fontsize": 9}
        for row, (_, numbers) in enumerate(rows):
            if not numbers["n_points"]:
                axes.text(longest * 0.008, row, "no labelled points", **empty)
        labels = [f"{style.shorten(name, 30)}\n{numbers['n_points']} points" for name, numbers in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=8.5)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.axhline(0.5, color=style.GREY, lw=0.8)
        axes.set_xlim(0, longest * 1.08)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.set_xlabel("error (px)")
        style.title(axes, "Error by bodypart")
        style.legend(axes, 3)


def likelihood_scatter(
    errors: np.ndarray,
    labelled: np.ndarray,
    likelihood: np.ndarray,
    bodyparts: Sequence[str],
    pcutoff: float,
    out_path: str | Path,
    absent: np.ndarray,
) -> None:
    """Draws the error of every labelled point against its likelihood, with the cut-off and what it keeps and drops.

    Below, if some bodyparts are absent, how likely they were and how likely the labelled ones.

    Args:
      errors: [N,A,K] px, read only where labelled. Errors under 0.01 px are drawn at 0.01.
      labelled: bool [N,A,K].
      likelihood: [N,A,K], 0..1.
      bodyparts: K names, each with its own colour if there are at most seven.
      pcutoff: minimum likelihood of a trusted prediction.
      out_path: the PNG.
      absent: bool [N,A,K], the bodyparts known not to be seen.
    """
    shown, gone = (np.asarray(which, bool) & np.isfinite(likelihood) for which in (labelled, absent))
    with style.picture(out_path, 9, 8.2 if gone.any() else 5.6) as figure:
        if not gone.any():
            axes = figure.subplots()
        else:
            axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
            _likelihoods_of_absent(below, likelihood[shown], likelihood[gone], pcutoff)
        if not shown.any():
            style.notice(axes, "no labelled points")
            return
        groups: list[tuple[str, str, np.ndarray]] = [("", style.BLUE, shown)]
        if 1 < len(bodyparts) <= len(style.PALETTE):
            indices = np.arange(len(bodyparts))
            names = [style.shorten(name, 24) for name in bodyparts]
            groups = [(names[k], style.PALETTE[k], shown & (indices == k)) for k in indices]
        alpha = float(np.clip(30 / np.sqrt(shown.sum()), 0.15, 0.8))
        for name, colour, chosen in groups:
            axes.scatter(
                likelihood[chosen],
                style.log_errors(errors[chosen]),
                s=16,
                color=colour,
                alpha=alpha,
                lw=0,
                label=name,
            )
        axes.set_yscale("log")
        low, high = style.log_errors(errors[shown]).min(), style.log_errors(errors[shown]).max()
        axes.set_ylim(min(low / 1.5, 1), max(high * 1.5, 20))
        axes.set_xlim(-0.02, 1.02)
        style.plain_log_axis(axes.yaxis)
        if not gone.any():
            axes.set_xlabel("likelihood")
        axes.set_ylabel("error (px)")
        axes.axvline(pcutoff, color=style.INK, lw=1.2, ls=(0, (5, 3)))
        axes.axhline(SATISFICING_PX, color=style.GREY, lw=1, ls=(0, (1, 2)))
        kept = likelihood[shown] >= pcutoff
        style.title(axes, "Likelihood against error", _what_is_kept(errors[shown], kept, pcutoff))
        if len(groups) > 1:
            points = axes.get_legend_handles_labels()
            legend = figure.legend(*points, loc="outside lower center", ncols=4, handletextpad=0.1, columnspacing=1.2)
            for handle in legend.legend_handles:
                handle.set(alpha=1, sizes=[30])


def _likelihoods_of_absent(axes: Axes, there: np.ndarray, gone: np.ndarray, pcutoff: float) -> None:
    """Histograms of the likelihoods [n] of labelled points and [m] of absent ones, as shares of each."""
    for values, name, colour in ((there, "labelled", style.BLUE), (gone, "absent", style.VERMILION)):
        weights = np.full(len(values), 1 / max(len(values), 1))
        label = f"{len(values)} {name}"
        axes.hist(values, np.linspace(0, 1, 41), weights=weights, color=colour, alpha=0.6, label=label)
    axes.axvline(pcutoff, color=style.INK, lw=1.2, ls=(0, (5, 3)))
    axes.set_xlabel("likelihood")
    axes.set_ylabel("share of points")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    found = f"{(gone >= pcutoff).sum()} of {len(gone)} absent points are found at the cut-off {pcutoff:g}"
    if len(there):
        found += f"; area under the ROC curve {roc_auc(there, gone):.3f}"
    style.title(axes, "Bodyparts that are not there", found)
    style.legend(axes, 2, raised=True)


def reliability(numbers: Mapping[str, Any], out_path: str | Path) -> None:
    """Draws the share of right points by likelihood, see `draw_reliability`.

    Args:
      numbers: as returned by `pawjax.metrics.reliability`.
      out_path: the PNG.
    """
    with style.picture(out_path, 5.6, 5.6) as figure:
        axes = figure.subplots()
        if not numbers["bins"]:
            style.notice(axes, "no labelled points")
            return
        draw_reliability(axes, numbers, style.BLUE)
        off, temperature, bias = (numbers[name] for name in ("expected_error", "temperature", "bias"))
        below = f"off by {off:.2f} on average"
        if temperature is not None:
            below += f"; temperature {temperature:.2f} and bias {bias:.2f} fit best"
        style.title(axes, "Reliability of the likelihood", below)


def draw_reliability(axes: Axes, numbers: Mapping[str, Any], colour: str, label: str | None = None) -> None:
    """The share of right points by likelihood: one dot per bin, its area by the number of points in it.

    Args:
      axes: where to draw.
      numbers: as returned by `pawjax.metrics.reliability`, of at least one point.
      colour: of line and dots.
      label: for the legend.
    """
    bins = numbers["bins"]
    axes.plot([0, 1], [0, 1], color=style.GREY, lw=1, ls=(0, (5, 3)))
    share = np.array([b["n"] for b in bins]) / sum(b["n"] for b in bins)
    x, y = [b["likelihood"] for b in bins], [b["right"] for b in bins]
    axes.plot(x, y, color=colour, lw=1, label=label)
    axes.scatter(x, y, s=20 + 600 * share, color=colour, alpha=0.6, lw=0, clip_on=False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("likelihood")
    axes.set_ylabel(f"share within {numbers['right_px']:g} px")


def _what_is_kept(errors: np.ndarray, kept: np.ndarray, pcutoff: float) -> str:
    """How many of the errors [n] the cut-off keeps and drops, and how many of each exceed the satisficing bar."""
    phrases = []
    for name, chosen in (("keeps", errors[kept]), ("drops", errors[~kept])):
        rmse = f", RMSE {style.pixels(float(np.sqrt(np.mean(chosen**2))))} px" if chosen.size else ""
        phrases.append(f"{name} {chosen.size} points{rmse}, {int((chosen > SATISFICING_PX).sum())} over 10 px")
    return f"The cut-off {pcutoff:g} " + "; ".join(phrases)
