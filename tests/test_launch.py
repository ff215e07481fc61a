"""Every setting of every sweep is a valid config, and the scripts for SLURM run their commands."""

import json
import os
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest

from launch import few_labels, label_efficiency, refinement, smoothing, sweep
from launch.sweep import commands, flags_of, folder_of, keep_flags, read_sweep
from pawjax import cli, run_files, train
from pawjax.data.deeplabcut import read_deeplabcut
from pawjax.errors import InputError
from pawjax.methods import make_method

ROOT = Path(__file__).parents[1]
SWEEPS = {"experiment1": 7, "experiment2": 3, "experiment3": 7, "experiment4": 7, "all_methods": 7}
NARROW = {
    "experiment1": "mirror_paw_",
    "experiment2": "mirror_paw_",
    "experiment3": "boxes_",
    "experiment4": "ball_",
}


def config_of(arguments):
    values, _ = cli.parse(train.ENTRY_POINT, [argument.replace("{seed}", "0") for argument in arguments])
    return values.config


@pytest.mark.parametrize("name, count", SWEEPS.items())
def test_every_setting_is_a_distinct_config(name, count, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = read_sweep(ROOT / "launch" / f"{name}.py")
    configs = [config_of(arguments) for arguments in settings.values()]
    assert len({config.to_json() for config in configs}) == len(settings) == count
    assert len({folder_of(Path(), setting, 0) for setting in settings}) == count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the expected warning about the point-sized box
        for config in configs:
            make_method(config, ("paw",))


@pytest.mark.parametrize("name, configs", NARROW.items())
def test_every_setting_exists_for_narrow_networks(name, configs, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CONFIGS", f"configs/experiments/{configs}")
    settings = read_sweep(ROOT / "launch" / f"{name}.py")
    configs = [config_of(arguments) for arguments in settings.values()]
    assert len({config.to_json() for config in configs}) == len(settings) == SWEEPS[name]


def test_boxes_shrink_with_the_frames(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("BOX_SCALE", "0.5")
    settings = read_sweep(ROOT / "launch" / "experiment3.py")
    assert config_of(settings["box: larger, shifted"]).faster_rcnn.box_shift == (7.5, -7.5)


def test_fewer_labels_are_a_subset_of_more():
    split = {"train": np.arange(9, 20), "dev": np.arange(4), "test": np.arange(4, 9)}
    few, more = (few_labels.first_frames(split, n, 3, "test") for n in (2, 7))
    assert len(few["train"]) == 2 and set(few["train"]) < set(more["train"]) < set(split["train"])
    assert more["dev"] is split["test"]  # errors are those of the monitored frames


def test_collected_results_go_on(tmp_path):
    calls = []

    def result(way, n, seed):
        calls.append((way, n, seed))
        return dict.fromkeys((*few_labels.SHOWN, "seconds"), 10.0 * seed)

    for seeds in (1, 2):
        results = few_labels.collect(tmp_path / "out", ["a", "b"], [5], seeds, result)
    assert calls == [("a", 5, 0), ("b", 5, 0), ("a", 5, 1), ("b", 5, 1)]
    assert few_labels.values_of(results, "b", 5, 2, "seconds").tolist() == [0, 10]


def test_starts_are_distinct_configs_and_their_errors_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ways = label_efficiency.starts("runs/other")
    configs = [config_of(["--config=configs/lite0.py", *flags]) for flags in ways.values()]
    assert len({config.to_json() for config in configs}) == len(ways)
    results = {
        few_labels.name_of(way, n, seed): {"mean_error_px": 100 / n + seed + i}
        for i, way in enumerate(ways)
        for n in (5, 63)
        for seed in range(2)
    }
    label_efficiency.draw(tmp_path / "frames.png", results, [5, 63], 2)
    assert matplotlib.image.imread(tmp_path / "frames.png").std() > 0.01


def test_setting_flags_override_common_ones_and_config_comes_first(monkeypatch):
    monkeypatch.chdir(ROOT)
    common = ["--config.steps=7", "--config.seed=3"]
    flags = flags_of({"a": ["--config=configs/quickstart.py", "--config.steps=9"]}, common)["a"]
    assert flags[0] == "--config=configs/quickstart.py"
    config = config_of(flags)
    assert (config.steps, config.seed) == (9, 3)


def test_run_that_resumes_is_evaluated_again(tmp_path):
    for split in sweep.SPLITS:
        (tmp_path / "eval" / split).mkdir(parents=True)
        numbers = dict.fromkeys(run_files.EVALUATION, 1) | {"device": "cpu"}
        (tmp_path / "eval" / split / "metrics.json").write_text(json.dumps(numbers))
    modules = lambda: [command[2] for command in commands([], tmp_path, 0, None)]  # noqa: E731
    assert modules() == ["pawjax.train", "pawjax.evaluate"]
    about = {"source": "paw_on_ball", "fingerprint": "", "bodyparts": ["paw"], "n_train": 1, "n_dev": 1, "n_test": 1}
    run = {"command": ["train.py"], "device": "cpu", "n_devices": 1, "data": about}
    (tmp_path / "run.json").write_text(json.dumps(run))  # stopped: no 'steps'
    assert modules() == ["pawjax.train", "pawjax.evaluate"]
    (tmp_path / "run.json").write_text(json.dumps(run | {"steps": 9, "seconds": 1}))
    assert modules() == []
    for split in ("dev", "test"):
        (tmp_path / "eval" / split / "metrics.json").write_text("{}")
    assert modules() == ["pawjax.evaluate"] and commands([], tmp_path, 0, None)[0][-1] == "--split=dev,test"
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="run.json is damaged"):
        modules()


def test_sweep_refuses_changed_flags(tmp_path):
    path = tmp_path / "sweep.json"
    keep_flags(path, {"a": ["--x=1"], "b": ["--x=2"]})
    keep_flags(path, {"b": ["--x=2"], "c": ["--x=3"]})  # new settings may be added
    before = path.read_text()
    with pytest.raises(SystemExit, match=r"began with other flags for a \(--x=1 --x=9\)"):
        keep_flags(path, {"a": ["--x=9"], "b": ["--x=2"]})
    assert path.read_text() == before


def test_sweep_ends_when_a_training_is_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["sweep", "launch/experiment2.py", f"--out={tmp_path}", "--seeds=1"])
    calls = []
    monkeypatch.setattr(sweep.subprocess, "run", lambda command: calls.append(command) or SimpleNamespace(returncode=3))
    with pytest.raises(SystemExit) as ended:
        sweep.main()
    assert (
        ended.value.code == 3 and len(calls) == 1 and "pawjax.train ended with exit code 3" in capsys.readouterr().err
    )


@pytest.mark.parametrize("first", [0, 1])
def test_each_task_of_an_array_predicts_its_part(tmp_path, first):
    """The script is run as SLURM runs it, with a `srun` that prints its command."""
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    array = {"SLURM_ARRAY_TASK_ID": str(first + 2), "SLURM_ARRAY_TASK_MIN": str(first), "SLURM_ARRAY_TASK_COUNT": "3"}
    command = ["bash", str(ROOT / "launch/predict.sbatch"), "--workdir=runs/my run", "videos/"]
    environment = {**os.environ, **array, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "python -m pawjax.predict --shard=3/3 --workdir=runs/my run videos/\n"


def test_refinement_adds_its_frames_to_a_copy_of_the_project(tmp_path):
    project = tmp_path / "project"
    (project / "labeled-data/m1").mkdir(parents=True)
    (project / "config.yaml").write_text("scorer: Ann\nbodyparts: [snout, tail]\n")
    labels = (
        "scorer,Ann,Ann,Ann,Ann\nbodyparts,snout,snout,tail,tail\ncoords,x,y,x,y\nlabeled-data/m1/img0.png,1,2,3,4\n"
    )
    (project / "labeled-data/m1/CollectedData_Ann.csv").write_text(labels)
    points = np.array([[5, 6.5], [7, 8]], np.float32)
    frames = {12: (np.zeros((20, 30, 3), np.uint8), points), 3: (np.ones((20, 30, 3), np.uint8), points + 1)}
    for _ in range(2):  # a stopped call goes on
        refinement.write_project(tmp_path / "copy", project, "m2", frames)
    table = read_deeplabcut(tmp_path / "copy")
    assert table.files == ("labeled-data/m1/img0.png", "labeled-data/m2/img0003.png", "labeled-data/m2/img0012.png")
    np.testing.assert_array_equal(table.keypoints[1:, 0], [points + 1, points])
    assert len(read_deeplabcut(project).files) == 1


def test_smoothers_are_compared(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(smoothing, "N_FRAMES", 150)
    monkeypatch.setattr("sys.argv", ["smoothing", "--seeds=1", f"--json={tmp_path}/found.json"])
    smoothing.main()
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found) == list(smoothing.WAYS) and capsys.readouterr().out.count("\n") == len(found) + 2
    mean = {way: row["mean_px"] for way, (row,) in found.items()}
    assert mean["ensemble Kalman"] < mean["median of networks"] < mean["one network"]
