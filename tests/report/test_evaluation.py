"""The files of an evaluation: complete, readable, and written atomically."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from pawjax.evaluate import errors_line
from pawjax.files import write_json
from pawjax.report.curves import read_metrics
from pawjax.report.evaluation import FILES, write_evaluation
from pawjax.report.frames import EvaluatedFrames
from pawjax.report.gallery import points_grid
from pawjax.run_files import read_errors


def make_case(n, k, height=60, width=80, error=3.0, seed=0, a=1):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(5, 55, (n, a, k, 2))
    return {
        "images": rng.integers(0, 256, (n, height, width, 1), np.uint8),
        "sizes": np.tile([height, width], (n, 1)),
        "truth": truth,
        "labelled": rng.uniform(size=(n, a, k)) < 0.8,
        "absent": np.zeros((n, a, k), bool),
        "predicted": truth + error * rng.normal(size=(n, a, k, 2)),
        "likelihood": rng.uniform(size=(n, a, k)),
        "ids": [f"labeled-data/v/img{i:03}.png" for i in range(n)],
        "bodyparts": [f"part{j}" for j in range(k)],
    }


def write(folder, case, log=None):
    options = {"split": "dev", "pcutoff": 0.6, "seconds": 2.0, "about": {"device": "cpu"}}
    options["curve"] = None if log is None else read_metrics(log)
    return write_evaluation(folder, EvaluatedFrames(**case), **options)


@pytest.fixture
def log(tmp_path):
    lines = [
        {"step": s, "loss": 1 / s, "loss/scoremap": 1 / s, "learning_rate": 0.1, "images_per_second": 3.0}
        for s in (10, 20)
    ]
    lines += [
        {
            "step": s,
            "train/rmse_px": 9 / s,
            "train/mean_error_px": 8 / s,
            "dev/rmse_px": 12 / s,
            "dev/mean_error_px": 9 / s,
        }
        for s in (10, 20)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    "case",
    [make_case(14, 1), make_case(3, 20, 24, 30), make_case(1, 2), make_case(6, 2, error=0.0), make_case(5, 3, a=2)],
    ids=["one bodypart", "twenty, tiny", "one frame", "perfect", "two animals"],
)
def test_every_file_is_written_and_readable(tmp_path, case, log):
    folder = tmp_path / "eval"
    numbers = write(folder, case, log)
    assert {path.name for path in folder.iterdir()} == set(FILES), "no temporary file may be left"
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 200
    assert json.loads((folder / "metrics.json").read_text())["rmse_px"] == numbers["rmse_px"]
    assert numbers["images_per_second"] == len(case["images"]) / 2


def test_bodypart_without_labels(tmp_path, log):
    case = make_case(4, 3)
    case["labelled"][:, :, 1] = False
    assert write(tmp_path / "eval", case, log)["per_bodypart"]["part1"]["rmse_px"] is None


def test_table_holds_the_predictions(tmp_path):
    case = make_case(5, 2)
    write(tmp_path, case)
    with open(tmp_path / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == case["ids"]
    for i, row in enumerate(rows):
        for j, name in enumerate(case["bodyparts"]):
            assert float(row[f"{name}_x"]) == pytest.approx(case["predicted"][i, 0, j, 0], abs=1e-4)
            if case["labelled"][i, 0, j]:
                error = np.linalg.norm(case["predicted"][i, 0, j] - case["truth"][i, 0, j])
                assert float(row[f"{name}_error_px"]) == pytest.approx(error, abs=1e-3)
            else:
                assert row[f"{name}_x_true"] == row[f"{name}_error_px"] == ""


def test_absent_bodyparts_are_counted_listed_and_drawn(tmp_path):
    case = make_case(30, 2)
    without = write(tmp_path / "without", case)
    assert without["absent"] is None and "absent points" not in errors_line("dev", without, tmp_path)
    case["absent"] = ~case["labelled"]
    numbers = write(tmp_path / "with", case)
    gone = case["likelihood"][case["absent"]]
    assert (numbers["absent"]["n_points"], numbers["absent"]["n_found"]) == (gone.size, (gone >= 0.6).sum())
    line = errors_line("dev", numbers, tmp_path)
    auc = numbers["absent"]["roc_auc"]
    assert f"{(gone >= 0.6).sum()} of {gone.size} absent points above 0.6, ROC AUC {auc:.3f}" in line
    with open(tmp_path / "with/predictions.csv", newline="") as file:
        marks = [[row[f"part{k}_absent"] == "1" for k in (0, 1)] for row in csv.DictReader(file)]
    assert marks == case["absent"][:, 0].tolist()
    sizes = [Image.open(tmp_path / name / "likelihood.png").height for name in ("without", "with")]
    assert sizes[1] > sizes[0], "a second plot"


def test_table_lists_two_animals_one_after_the_other(tmp_path):
    case = make_case(4, 2, a=2)
    numbers = write(tmp_path, case)
    with open(tmp_path / "predictions.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1].startswith("animal1_part0_") and header[-2:] == ["animal2_part1_error_px", "animal2_part1_absent"]
    x = [[float(row[header.index(f"animal{a}_part{k}_x")]) for a in (1, 2) for k in (0, 1)] for row in rows]
    np.testing.assert_allclose(np.reshape(x, (4, 2, 2)), case["predicted"][..., 0], atol=1e-4)
    assert len(read_errors(tmp_path / "predictions.csv", numbers["n_points"])) == case["labelled"].sum()


def test_json_refuses_non_finite_numbers(tmp_path):
    with pytest.raises(ValueError, match="a.b"):
        write_json(tmp_path / "x.json", {"a": {"b": float("nan")}})
    assert not list(tmp_path.iterdir())


def test_points_grid_takes_mixed_sizes(tmp_path):
    images = [np.zeros((40, 60, 1), np.uint8), np.zeros((30, 30, 3), np.uint8), np.zeros((50, 20, 1), np.uint8)]
    points_grid(images, np.ones((3, 1, 2, 2)), np.ones((3, 1, 2), bool), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert min(picture.size) > 100
        height = picture.height
    named = tmp_path / "named.png"
    points_grid(images, np.ones((3, 1, 2, 2)), np.ones((3, 1, 2), bool), named, bodyparts=("left", "right"))
    with Image.open(named) as picture:
        assert picture.height > height, "room for a legend"
