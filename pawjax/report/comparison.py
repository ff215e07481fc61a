"""The comparison of runs: one table as Markdown, CSV and on a page with the curves and the worst frames."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.data.splits import SPLITS
from pawjax.errors import InputError
from pawjax.files import write_text
from pawjax.metrics import GROSS_MISS
from pawjax.report import page, style
from pawjax.report.cells import csv_text, markdown_row
from pawjax.report.comparison_pictures import cumulative_errors, errors_by_compute, learning_curves
from pawjax.report.curves import Series
from pawjax.report.published import Published

FILES = ("index.html", "table.md", "table.csv", "errors_by_compute.png", "learning_curves.png", "cumulative_errors.png")

CSV_COLUMNS = (
    "run",
    *(f"{split}_{key}" for key in ("rmse_px", "mean_error_px") for split in SPLITS),
    *(f"test_{key}" for key in ("median_px", "p95_px", "n_over_50px", "n_points")),
    *("n_train", "training_seconds", "test_ms_per_frame", "parameters", "flops_per_frame", "device"),
)
NOTHING = Published((), "")

Row = Mapping[str, Any]  # the columns of table.csv; None where there is no number


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """What a comparison shows of one run.

    Attributes:
      name: short and unique.
      metrics: {'train', 'dev', 'test': the content of metrics.json}.
      test_errors: [n] px, Euclidean distances of the labelled test points.
      curves: the run's log, as returned by `report.curves.read_metrics`.
      pictures: PNGs of the test frames with the largest errors.
      n_train: number of training frames.
      seconds: training time.
      parameters: number of trained parameters.
      flops: FLOPs to predict one frame, see `pawjax.inference.flops`.
      device: name of the device that trained and tested it.
      command: the training command, as shell words.
    """

    name: str
    metrics: Mapping[str, Mapping[str, Any]]
    test_errors: np.ndarray
    curves: Mapping[str, Series]
    pictures: tuple[Path, ...]
    n_train: int
    seconds: float
    parameters: int
    flops: int
    device: str
    command: tuple[str, ...]


def check_out(folder: Path, workdirs: Sequence[Path]) -> None:
    """Raises InputError if `folder` lies in a run, or holds files of these names that no comparison wrote."""
    for workdir in workdirs:
        if folder.resolve().is_relative_to(workdir.resolve()):
            raise InputError(f"--out={folder} lies in the run {workdir}, which must not change: use another --out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out={folder} is a file: name a folder")
    present = [name for name in FILES if (folder / name).exists()]
    if present and not page.is_ours(folder / "index.html"):
        raise InputError(f"--out={folder} holds a file {present[0]} that is not a comparison's: use another --out")


def write_comparison(folder: str | Path, runs: Sequence[ComparedRun], published: Published = NOTHING) -> str:
    """Writes `FILES`: a page, the table as Markdown and CSV, and the pictures.

    Each file is replaced atomically, the page last; it embeds its pictures.

    Args:
      folder: output folder; created if missing.
      runs: at least one, in the order of the rows.
      published: rows to append, results of others on other frames.

    Returns:
      The table as Markdown.
    """
    folder = Path(folder)
    rows = [*map(_row, runs), *published.rows]
    columns = [column for column in COLUMNS if column.key != "n_train" or len({run.n_train for run in runs}) > 1]
    markdown = _markdown(columns, rows)
    write_text(folder / "table.md", markdown)
    cells = ([row.get(column) for column in CSV_COLUMNS] for row in rows)
    write_text(folder / "table.csv", csv_text([CSV_COLUMNS, *cells]))
    errors_by_compute(rows[: len(runs)], folder / "errors_by_compute.png")
    learning_curves({run.name: run.curves for run in runs}, folder / "learning_curves.png")
    cumulative_errors({run.name: run.test_errors for run in runs}, folder / "cumulative_errors.png")
    write_text(folder / "index.html", _page(folder, columns, rows, runs, published.note))
    return markdown


def _row(run: ComparedRun) -> Row:
    test = run.metrics["test"]
    per_frame = 1000 * test["seconds"] / test["n_images"]
    return {
        "run": run.name,
        **{f"{s}_{key}": run.metrics[s][key] for key in ("rmse_px", "mean_error_px") for s in SPLITS},
        **{f"test_{key}": test[key] for key in ("median_px", "p95_px", "n_over_50px", "n_points")},
        "n_train": run.n_train,
        "training_seconds": run.seconds,
        "test_ms_per_frame": per_frame,
        "parameters": run.parameters,
        "flops_per_frame": run.flops,
        "device": run.device,
    }


@dataclasses.dataclass(frozen=True)
class Column:
    """A displayed column: `title` under `group`, made from the row's `key`; `best` marks its lowest number."""

    group: str
    title: str
    key: str
    text: Callable[[Any], str]
    best: bool = False

    def cell(self, row: Row) -> str:
        """Text of the row's cell; '-' if there is no number."""
        if row.get(self.key) is None:
            return "-"
        value = row[self.key]
        text = value if isinstance(value, str) else self.text(value)
        points = row.get("test_n_points")
        return f"{text} of {points}" if points and self.key == "test_n_over_50px" else text


def duration(seconds: float) -> str:
    """A duration in the unit that keeps the number short."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    number, unit = (seconds / 60, "min") if seconds < 5400 else (seconds / 3600, "h")
    return f"{round(number, 1):g} {unit}"


def count(n: float) -> str:
    """A large count with three digits: 23.7 M, 47.9 G."""
    exponent = int(f"{n:.2e}".partition("e")[2])  # after rounding, as 999.6 k is 1 M
    power = max(0, min(exponent // 3, 4))
    return f"{n / 1000**power:.3g} {' kMGT'[power]}".rstrip()


COLUMNS = (
    Column("", "run", "run", str),
    *(Column("RMSE, px", s, f"{s}_rmse_px", style.pixels, best=s == "test") for s in SPLITS),
    *(Column("mean error, px", s, f"{s}_mean_error_px", style.pixels, best=s == "test") for s in SPLITS),
    Column("test, px", "median", "test_median_px", style.pixels, best=True),
    Column("test, px", "p95", "test_p95_px", style.pixels, best=True),
    Column("test, px", f"over {GROSS_MISS}", "test_n_over_50px", str),
    Column("time", "training", "training_seconds", duration),
    Column("time", "test, ms per frame", "test_ms_per_frame", "{:.1f}".format),
    Column("network", "training frames", "n_train", str),
    Column("network", "parameters", "parameters", count),
    Column("network", "FLOPs per frame", "flops_per_frame", count),
    Column("", "hardware", "device", str),
)


def _markdown(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    separate = ("time", "network", "")  # groups that add nothing to their titles
    titles = [c.title if c.group in separate else f"{c.title} {c.group}" for c in columns]
    body = [markdown_row([column.cell(row) for column in columns]) for row in rows]
    return "\n".join([markdown_row(titles), "|" + "---|" * len(columns), *body]) + "\n"


def reading(run: ComparedRun) -> str:
    """Bias and variance of a run in words, from the mean errors: one gross miss moves a root mean square too far."""
    train, dev, test = (run.metrics[split]["mean_error_px"] for split in SPLITS)
    if train is None or dev is None or test is None:
        return "Bias and variance are unknown: one split has no labelled points."
    if dev > train:
        variance = f"variance {style.pixels(dev - train)} px (dev is {dev / train:.2f} times train)"
    else:
        variance = f"no visible variance (dev is {style.pixels(dev)} px)"
    words = f"Mean errors: bias {style.pixels(train)} px (train), {variance}, test {style.pixels(test)} px."
    gross = [f"{n} on {split}" for split in SPLITS if (n := run.metrics[split]["n_over_50px"])]
    return words + (f" Points over {GROSS_MISS} px, which dominate the RMSE: {', '.join(gross)}." if gross else "")


def _page(folder: Path, columns: Sequence[Column], rows: Sequence[Row], runs: Sequence[ComparedRun], note: str) -> str:
    cells = [[column.cell(row) for column in columns] for row in rows]
    best = {(column, row) for column in range(len(columns)) for row in _lowest(columns[column], rows[: len(runs)])}
    test = runs[0].metrics["test"]
    notes = [
        f"Errors are pixels of the original frames, Euclidean; {test['n_images']} test frames with {test['n_points']} "
        "labelled points. RMSE is the root mean square, the mean error is what DeepLabCut calls RMSE. The lowest test "
        "errors are bold.",
        "Times are as measured, including any other load on the machine; test times are for whole batches. FLOPs are "
        "the multiplications and additions of the convolutions and matrix products that predict one frame at the "
        "network's scale, in their direct form, on any machine.",
    ]
    if note:
        notes.append(note)
    return page.render(
        f"Comparison of {len(runs)} runs" if len(runs) > 1 else f"The run {runs[0].name}",
        [
            page.table([(column.group, column.title) for column in columns], cells, best, len(runs)),
            *map(page.note, notes),
            page.heading("What the error costs"),
            page.picture(folder / "errors_by_compute.png", "error by compute and by training time, for each run"),
            page.heading("Learning curves"),
            page.note("During training, the train error is measured on as many training frames as dev has."),
            page.picture(folder / "learning_curves.png", "train and dev error by step, for each run"),
            page.heading("Errors on test"),
            page.picture(folder / "cumulative_errors.png", "share of test points within a distance, for each run"),
            page.heading("Worst test frames"),
            *(element for run in runs for element in _section(run)),
        ],
    )


def _lowest(column: Column, rows: Sequence[Row]) -> list[int]:
    """Rows with the column's lowest number; none if the column marks none or there is nothing to compare."""
    values = [row[column.key] if column.best else None for row in rows]
    known = [value for value in values if value is not None]
    return [i for i, value in enumerate(values) if value == min(known)] if len(known) > 1 else []


def _section(run: ComparedRun) -> list[str]:
    return [
        page.heading(run.name, level=3),
        page.paragraph(reading(run)),
        page.code(shlex.join(run.command)),
        *(page.picture(path, f"{path.stem.replace('_', ' ')} of {run.name}") for path in run.pictures),
    ]
