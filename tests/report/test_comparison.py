"""The files of a comparison against numbers by hand, and what they must not contain."""

import base64
import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax.errors import InputError
from pawjax.report import page
from pawjax.report.comparison import (
    CSV_COLUMNS,
    FILES,
    ComparedRun,
    check_out,
    count,
    duration,
    reading,
    write_comparison,
)
from pawjax.report.published import Published, read_published
from pawjax.report.tables import write_predictions_csv
from pawjax.run_files import read_errors


def metrics_of(rmse: float, gross: int = 0) -> dict:
    numbers = {"rmse_px": rmse, "mean_error_px": rmse / 2, "median_px": rmse / 4, "p95_px": 3 * rmse}
    return {**numbers, "n_over_50px": gross, "n_points": 40, "n_images": 20, "seconds": 0.5, "device": "chip"}


def make_run(folder: Path, name: str, test: float, **fields) -> ComparedRun:
    Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (30, 40), np.uint8)).save(folder / "worst.png")
    steps = np.array([100, 200, 300])
    curves = {f"{split}/rmse_px": (steps, np.array([90.0, 9.0, test])) for split in ("train", "dev")}
    values = {
        "name": name,
        "metrics": {"train": metrics_of(1.0), "dev": metrics_of(2.0), "test": metrics_of(test, gross=1)},
        "test_errors": np.random.default_rng(0).gamma(2, test, 40),
        "curves": curves,
        "pictures": (folder / "worst.png",),
        "n_train": 60,
        "seconds": 90.0,
        "parameters": 23_561_205,
        "flops": 47.88e9,
        "device": "chip",
        "command": ("python", "-m", "pawjax.train", "--config=configs/x.py"),
    }
    return ComparedRun(**(values | fields))


def test_table_equals_the_metrics(tmp_path):
    runs = [make_run(tmp_path, "r50", 4.0), make_run(tmp_path, "r101 | deep", 3.0)]
    table = write_comparison(tmp_path / "out", runs)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert (tmp_path / "out" / "table.md").read_text() == table
    rows = table.splitlines()
    assert rows[2] == (
        "| r50 | 1.00 | 2.00 | 4.00 | 0.50 | 1.00 | 2.00 | 1.00 | 12.0 | 1 of 40 | 1.5 min | 25.0 | 23.6 M | 47.9 G "
        "| chip |"
    )
    assert rows[3].startswith("| r101 \\| deep | 1.00 | 2.00 | 3.00 |") and "| 47.9 G | chip |" in rows[3]
    with (tmp_path / "out" / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    numbers = {key: float(value) for key, value in first.items() if key not in ("run", "device")}
    assert numbers == {
        **{"train_rmse_px": 1, "dev_rmse_px": 2, "test_rmse_px": 4},
        **{"train_mean_error_px": 0.5, "dev_mean_error_px": 1, "test_mean_error_px": 2},
        **{"test_median_px": 1, "test_p95_px": 12, "test_n_over_50px": 1, "test_n_points": 40, "n_train": 60},
        **{"training_seconds": 90, "test_ms_per_frame": 25, "parameters": 23_561_205, "flops_per_frame": 47.88e9},
    }
    assert second["run"] == "r101 | deep"


def test_training_frames_are_shown_where_they_differ(tmp_path):
    same = write_comparison(tmp_path / "a", [make_run(tmp_path, "x", 4.0), make_run(tmp_path, "y", 3.0)])
    other = write_comparison(tmp_path / "a", [make_run(tmp_path, "x", 4.0), make_run(tmp_path, "y", 3.0, n_train=5)])
    assert "training frames" not in same
    assert "training frames" in other and "| 60 |" in other.splitlines()[2] and "| 5 |" in other.splitlines()[3]


def test_page_is_self_contained(tmp_path):
    runs = [make_run(tmp_path, f"<b>{i}</b>", 4.0 - i / 2) for i in range(4)]
    write_comparison(
        tmp_path / "out", runs, Published(({"run": "<i>they</i>", "test_rmse_px": "1.5"},), "Of <others>.")
    )
    html = (tmp_path / "out" / "index.html").read_text()
    assert not re.search(r"https?:|//\w|@import|url\(|<link|<script|srcset", re.sub(r'base64,[^"]*', "", html))
    sources = re.findall(r'\b(?:src|href)\s*=\s*"([^"]*)"', html)
    assert len(sources) == 7 and all(source.startswith("data:image/png;base64,") for source in sources)
    pictures = [base64.b64decode(source.partition(",")[2]) for source in sources]
    names = ("errors_by_compute", "learning_curves", "cumulative_errors")
    assert pictures[:3] == [(tmp_path / "out" / f"{name}.png").read_bytes() for name in names]
    assert pictures[3] == runs[0].pictures[0].read_bytes()
    assert "<b>" not in html and "&lt;b&gt;0&lt;/b&gt;" in html
    assert "&lt;i&gt;they&lt;/i&gt;" in html and "Of &lt;others&gt;." in html
    assert re.findall(r'<td class="best">([^<]*)</td>', html) == ["2.50", "1.25", "0.62", "7.50"]  # the last run's


def test_each_run_has_all_its_pictures(tmp_path):
    paths = [tmp_path / "worst.png", tmp_path / "proposals.png"]
    run = make_run(tmp_path, "x", 4.0, pictures=tuple(paths))
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(paths[1])
    write_comparison(tmp_path / "out", [run])
    html = (tmp_path / "out" / "index.html").read_text()
    pictures = [base64.b64decode(text) for text in re.findall('src="data:image/png;base64,([^"]*)"', html)]
    assert pictures[3:] == [path.read_bytes() for path in paths]


def test_published_rows_are_copied_digit_by_digit(tmp_path):
    runs = [make_run(tmp_path, "x", 4.0)]
    assert "sources" not in write_comparison(tmp_path / "out", runs)
    published = read_published(Path(__file__).parents[2] / "launch" / "published.csv", CSV_COLUMNS)
    rows = write_comparison(tmp_path / "out", runs, published).splitlines()[3:]
    errors = ("1.0097 | 4.6437 | 3.3886", "0.6251 | 4.9553 | 2.9650", "77.3 | 82.9 | 81.3", "20.3 | 22.9 | 19.9")
    times = ("24 h", "30 h", "48 min", "1.9 h")
    for row, numbers, time in zip(rows, errors, times, strict=True):
        assert row.startswith("| student report, other frames: ") and f"| {numbers} |" in row and f"| {time} |" in row
    assert "325 test frames of 800x600" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    "text, words",
    [
        ("run,rmse\nx,1\n", "has an unknown column 'rmse': its columns are those of table.csv, run, train_rmse_px"),
        ("test_rmse_px\n1\n", "has no column 'run'"),
        ("# nothing\nrun\n", "has no rows"),
        ("run,training_seconds\nx,24 h\n", "training_seconds = '24 h' must be a number"),
        ("run,training_seconds\nx,nan\n", "training_seconds = 'nan' must be a number"),
        ("run,training_seconds\nx,-3\n", "training_seconds = '-3' must be a number"),
        ("run,training_seconds\nx,1,2\n", "more cells than columns"),
        ("run,training_seconds\n,1\n", "a row has no 'run'"),
        (bytes(range(256)), "is not a CSV in UTF-8"),
        ("run\nx\n".encode("utf-16"), "is not a CSV in UTF-8"),
        (b"run\n" + b"x" * 200_000, "is not a CSV in UTF-8 .field larger"),
    ],
)
def test_unreadable_published_file_is_refused(text, words, tmp_path):
    path = tmp_path / "published.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=words):
        read_published(path, CSV_COLUMNS)


def test_published_file_must_be_a_file_and_may_begin_with_a_mark(tmp_path):
    for path, words in ((tmp_path, "is a folder, not a file"), (tmp_path / "none", "cannot be read .No such file")):
        with pytest.raises(InputError, match=words):
            read_published(path, CSV_COLUMNS)
    (tmp_path / "excel.csv").write_bytes("# note\nrun,device\nx,GPU\n".encode("utf-8-sig"))
    expected = Published(({"run": "x", "device": "GPU"},), "note")
    assert read_published(tmp_path / "excel.csv", CSV_COLUMNS) == expected


def test_bias_and_variance_in_words(tmp_path):
    words = reading(make_run(tmp_path, "x", 4.0))
    assert words == (
        "Mean errors: bias 0.50 px (train), variance 0.50 px (dev is 2.00 times train), test 2.00 px. "
        "Points over 50 px, which dominate the RMSE: 1 on test."
    )
    metrics = {"train": metrics_of(3.0), "dev": metrics_of(2.0), "test": metrics_of(2.0)}
    assert "no visible variance" in reading(make_run(tmp_path, "x", 4.0, metrics=metrics))


def test_errors_are_read_back_from_predictions(tmp_path):
    path, truth = tmp_path / "predictions.csv", np.zeros((2, 1, 2, 2))
    predicted = np.array([[[[3.0, 4.0], [0.0, 1.0]]], [[[5.0, 12.0], [8.0, 15.0]]]])
    labelled = np.array([[[True, True]], [[False, True]]])
    write_predictions_csv(
        path, ["a", "b"], ["paw_error_px", "nose"], truth, labelled, ~labelled, predicted, np.ones((2, 1, 2))
    )
    np.testing.assert_allclose(read_errors(path, 3), [5, 1, 17])
    with pytest.raises(InputError, match="3 errors but metrics.json beside it counts 4"):
        read_errors(path, 4)


def test_only_a_comparison_is_replaced(tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    with pytest.raises(InputError, match="lies in the run"):
        check_out(run / "eval" / "comparison", [run])
    check_out(out, [run])
    write_comparison(out, [make_run(tmp_path, "x", 4.0)])
    check_out(out, [run])
    (out / "index.html").write_text("my thesis")
    with pytest.raises(InputError, match="index.html that is not a comparison's"):
        check_out(out, [run])
    with pytest.raises(InputError, match="is a file"):
        check_out(tmp_path / "worst.png", [run])


def test_numbers_are_abbreviated():
    assert [duration(s) for s in (12.2, 90, 24 * 3600, 1.9 * 3600)] == ["12 s", "1.5 min", "24 h", "1.9 h"]
    assert [count(n) for n in (7, 1234, 23_561_205, 47.88e9)] == ["7", "1.23 k", "23.6 M", "47.9 G"]
    assert count(999.6e6) == "1 G"


def test_only_own_pages_are_recognized(tmp_path):
    (tmp_path / "a.html").write_text(page.render("A", []))
    (tmp_path / "b.html").write_text("<html></html>")
    assert page.is_ours(tmp_path / "a.html")
    assert not page.is_ours(tmp_path / "b.html") and not page.is_ours(tmp_path / "c.html")
