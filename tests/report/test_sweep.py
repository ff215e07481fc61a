"""The table of a sweep against numbers by hand."""

import csv

import matplotlib.image
import numpy as np

from pawjax.report.sweep import write_sweep


def run(rmse: float, gross: int = 0) -> dict:
    split = {"rmse_px": rmse, "mean_error_px": rmse / 2, "median_px": 1.0, "n_over_50px": gross, "n_points": 10}
    return {
        "train": split | {"rmse_px": rmse / 4},
        "dev": split,
        "test": split | {"rmse_px": rmse + 1},
        "seconds": 90.0,
    }


def test_table_csv_and_picture(tmp_path):
    table = write_sweep(tmp_path / "out", {"ResNet-50": [run(4.0), run(8.0, 3)], "ResNet-101": [run(2.0)]})
    rows = table.splitlines()
    assert rows[2] == (
        "| ResNet-50 | 2 | 1.50 ± 0.71 px | 6.00 ± 2.83 px | 7.00 ± 2.83 px | 3.00 ± 1.41 px | 3 of 20 | 1.5 min |"
    )
    assert rows[3].startswith("| ResNet-101 | 1 | 0.50 px | 2.00 px | 3.00 px |")
    assert (tmp_path / "out" / "table.md").read_text() == table
    with (tmp_path / "out" / "runs.csv").open() as file:
        records = list(csv.DictReader(file))
    assert len(records) == 9 and records[5]["split"] == "test" and float(records[5]["rmse_px"]) == 9.0
    picture = matplotlib.image.imread(tmp_path / "out" / "rmse.png")
    assert picture.std() > 0.01 and np.isfinite(picture).all()
