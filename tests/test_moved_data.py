"""A run is evaluated wherever its data are now: the fingerprint decides whether they are the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax import cli, compare, data, evaluate
from pawjax.config import default_config
from pawjax.engine import runlog
from pawjax.engine.setup import open_folder
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.inference import comparison
from pawjax.inference.run import RunFiles, open_run, read_run_files
from tests.data.conftest import random_pixels, write_label_csv
from tests.test_run_files import Reached, reached


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working directory of a training on the relative path `project`, with split file `mine.json` and run `run`."""
    folder = tmp_path / "here"
    ids = [f"labeled-data/m1/img{i}.png" for i in range(6)]
    points = np.random.default_rng(0).uniform(0, 20, (6, 2, 2))
    write_label_csv(folder / "project/labeled-data/m1/CollectedData_Ann.csv", ids, points)
    (folder / "project/config.yaml").write_text("Task: reach\nscorer: Ann\nbodyparts:\n- snout\n- tail\n")
    for i, name in enumerate(ids):
        Image.fromarray(random_pixels(i)).save(folder / "project" / name)
    lists = {"train": ids[:3], "dev": ids[3:4], "test": ids[4:]}
    (folder / "mine.json").write_text(json.dumps(lists))
    config = default_config()
    config.data.update(source="deeplabcut", path="project", split_file="mine.json")
    monkeypatch.chdir(folder)
    source = data.DataConfig.of(config)
    frames = data.load(source)
    split = data.split(source, frames)
    record = runlog.describe_run(config, frames, split)
    open_folder(folder / "run", config, frames, split, record).close()
    write_json(folder / "run" / "run.json", record | {"steps": 1, "seconds": 1.0})
    (folder / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    monkeypatch.chdir(tmp_path)
    return folder


def use_relative_path(workdir: Path) -> None:
    """Makes config.json that of an older version, which kept the path as typed."""
    values = json.loads((workdir / "config.json").read_text())
    values["data"]["path"] = "project"
    (workdir / "config.json").write_text(json.dumps(values))


def test_run_knows_the_absolute_path_of_its_data(here):
    (here / "mine.json").unlink()  # the run has its own list
    files = read_run_files(here / "run")
    assert files.config.data.path == str(here / "project")
    frames = files.frames()
    ids = {name: [frames.ids[i] for i in rows] for name, rows in files.split(frames).items()}
    assert ids == json.loads((here / "run" / "split.json").read_text()) and len(ids["test"]) == 2


def test_moved_data_are_found_by_the_flag(here, tmp_path, monkeypatch, capsys):
    (here / "project").rename(tmp_path / "moved")
    monkeypatch.setattr(RunFiles, "restore", reached)
    monkeypatch.setattr(comparison, "network_cost", lambda *_: (1, 1))
    command = [f"--workdir={here / 'run'}", "--split=test"]
    assert cli.call(evaluate.ENTRY_POINT, command) == 2
    said = capsys.readouterr().err
    assert f"'{here / 'project'}' does not exist" in said and "name their folder with --data=FOLDER" in said
    with pytest.raises(Reached):
        cli.call(evaluate.ENTRY_POINT, [*command, "--data=moved"])
    command = [str(here / "run"), "--out=out"]
    assert cli.call(compare.ENTRY_POINT, command) == 2 and "--data=FOLDER" in capsys.readouterr().err
    with pytest.raises(Reached):
        cli.call(compare.ENTRY_POINT, [*command, "--data=moved"])


def test_other_or_incomplete_data_are_refused(here):
    shutil.copytree(here / "project", here / "other")
    Image.fromarray(random_pixels(99)).save(here / "other/labeled-data/m1/img0.png")
    with pytest.raises(InputError, match="other' are not those that .*run was trained on: .*--data=FOLDER"):
        read_run_files(here / "run", str(here / "other")).frames()
    (here / "project/labeled-data/m1/img0.png").unlink()
    with pytest.raises(InputError, match="img0.png.* name their folder with --data=FOLDER"):
        read_run_files(here / "run").frames()


def test_relative_path_of_an_older_run_begins_at_the_working_directory(here, monkeypatch):
    use_relative_path(here / "run")
    with pytest.raises(InputError, match="'project' does not exist, from the working directory; .*--data=FOLDER"):
        read_run_files(here / "run").frames()
    assert len(read_run_files(here / "run", "here/project").frames()) == 6
    monkeypatch.chdir(here)
    assert len(read_run_files(here / "run").frames()) == 6


def test_predicting_needs_no_data(here, monkeypatch):
    monkeypatch.setattr(RunFiles, "restore", lambda self, _: self)
    shutil.rmtree(here / "project")
    assert open_run(here / "run").bodyparts == ("snout", "tail")


def test_synthetic_frames_have_no_folder(here):
    runlog.write_config(here / "synthetic", default_config())
    shutil.copy(here / "run" / "run.json", here / "synthetic")
    with pytest.raises(InputError, match="--data=x: .*synthetic was trained on synthetic frames: leave --data out"):
        read_run_files(here / "synthetic", "x")
