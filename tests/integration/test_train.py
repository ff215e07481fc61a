"""A tiny run end to end: trained, interrupted, resumed, evaluated, loaded."""

import dataclasses
import functools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import pawjax
from pawjax import data
from pawjax.engine import runlog
from pawjax.engine.host_stream import stream_batches
from pawjax.engine.loop import train_and_evaluate
from pawjax.engine.state import create_state
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.evaluate import errors_line
from pawjax.inference.evaluation import evaluate_run
from pawjax.inference.run import open_run, read_run_files
from pawjax.methods import make_method
from pawjax.models.backbones import Model
from pawjax.optim import Optimizer, make_optimizer
from tests.tiny import command as tiny_command
from tests.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]


def read(workdir: Path, name: str = "run.json"):
    return json.loads((workdir / name).read_text())


def curve(workdir: Path) -> list[dict]:
    """metrics.jsonl without its timings."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("whole")
    train_and_evaluate(tiny_config(), workdir)
    return workdir


def test_run_folder_is_complete(whole_run):
    run = read(whole_run)
    assert run["steps"] == 6 and run["seconds"] > 0 and len(run["params_sha256"]) == 64
    assert (run["data"]["n_train"], run["data"]["n_dev"], run["data"]["n_test"]) == (12, 4, 4)
    assert [line["step"] for line in curve(whole_run)] == [2, 3, 4, 6, 6]
    split = read(whole_run, "split.json")
    assert sorted(map(len, (split["train"], split["dev"], split["test"]))) == [4, 4, 12]


def test_finished_run_does_nothing_more(whole_run):
    before = (whole_run / "metrics.jsonl").read_text()
    state = train_and_evaluate(tiny_config(), whole_run)
    assert int(state.step) == 6 and (whole_run / "metrics.jsonl").read_text() == before


def test_stopped_run_resumes_bit_for_bit(whole_run, tmp_path, monkeypatch):
    from pawjax.engine import checkpoints

    save = checkpoints.Checkpoints.save

    def save_and_interrupt(self, state, metrics=None):
        monkeypatch.setattr(checkpoints.Checkpoints, "save", save)  # a second signal ends the process
        save(self, state, metrics)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_interrupt)
    state = train_and_evaluate(tiny_config(), tmp_path)
    assert int(state.step) == 4, "the signal comes at the checkpoint of step 3 and is handled after the next step"
    assert "params_sha256" not in read(tmp_path)
    monkeypatch.undo()
    train_and_evaluate(tiny_config(), tmp_path)
    assert read(tmp_path)["params_sha256"] == read(whole_run)["params_sha256"]
    assert curve(tmp_path)[-1] == curve(whole_run)[-1]


def test_streamed_frames_train_the_same_run(whole_run, tmp_path, monkeypatch):
    from pawjax.engine import setup

    calls = []
    monkeypatch.setattr(setup, "stream_batches", lambda *args: calls.append(args) or stream_batches(*args))
    config = tiny_config()
    config.device_gb = 0.0
    train_and_evaluate(config, tmp_path)
    assert calls
    for found, expected in zip(curve(tmp_path), curve(whole_run), strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


def test_several_steps_per_dispatch(whole_run, tmp_path):
    config = tiny_config()
    config.log_every, config.steps_per_dispatch = 3, 3
    train_and_evaluate(config, tmp_path)
    expected, found = curve(whole_run)[-1], curve(tmp_path)[-1]
    assert found["step"] == 6 and found["dev/rmse_px"] == pytest.approx(expected["dev/rmse_px"], rel=0.05)
    config.device_gb = 0.0
    with pytest.raises(InputError, match="config.steps_per_dispatch"):
        train_and_evaluate(config, tmp_path / "streamed")
    config.log_every = 2
    with pytest.raises(InputError, match="config.log_every = 2 must be a multiple"):
        train_and_evaluate(config, tmp_path / "uneven")


@pytest.mark.parametrize("split", ["train", "dev"])
def test_split_without_labels_is_refused_before_training(split, tmp_path, monkeypatch):
    load = data.load

    def load_without(config):
        frames = load(config)
        labelled = frames.labelled.copy()
        labelled[data.split(config, frames)[split]] = False
        return dataclasses.replace(frames, labelled=labelled)

    monkeypatch.setattr(data, "load", load_without)
    with pytest.raises(InputError, match=rf"none of the \d+ {split} frames has a label of .*config.data.split_file"):
        train_and_evaluate(tiny_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_errors_of_unlabelled_frames_are_dashes(tmp_path):
    numbers = dict.fromkeys(("rmse_px", "mean_error_px", "median_px")) | {"n_over_50px": 0, "absent": None}
    line = errors_line("test", numbers | {"n_images": 3, "images_per_second": 2.0}, tmp_path)
    assert line == f"test: 3 frames, RMSE - px, mean error - px, median - px, 0 over 50 px, 2.0 images/s -> {tmp_path}"


def test_another_seed_gives_another_run(whole_run, tmp_path):
    config = tiny_config()
    config.seed, config.steps, config.tensorboard = 1, 3, True
    train_and_evaluate(config, tmp_path)
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert curve(tmp_path)[0]["loss"] != curve(whole_run)[0]["loss"]


def test_run_starts_from_another_run(whole_run, tmp_path):
    config = tiny_config()
    config.init_from, config.steps, config.eval_every = str(whole_run), 1, 1
    config.optimizer.learning_rate, config.optimizer.warmup_steps, config.optimizer.ema_decay = 0.0, 0, 0.0
    workdir = tmp_path / "next"
    params = train_and_evaluate(config, workdir).params  # at rate 0 equal to the initial ones
    assert read(workdir)["init_from"]["missing"] == []
    before = read_run_files(whole_run).restore(fold=False).variables
    jax.tree.map(np.testing.assert_array_equal, params, before["params"])
    config.model.variant = "slim"
    with pytest.raises(InputError, match="config.model.variant = 'torchvision'"):
        train_and_evaluate(config, tmp_path / "other")


def test_heads_of_reordered_bodyparts_are_not_loaded(whole_run):
    (paw,) = read(whole_run)["data"]["bodyparts"]
    for bodyparts in ((paw,), ("nose",), ("nose", paw)):
        config = tiny_config()
        method, optimizer = make_method(config, bodyparts), make_optimizer(Optimizer.of(config))
        create = functools.partial(create_state, method, optimizer, 0, average=False)
        state = jax.jit(create)({"image": np.zeros((1, 64, 96, 1), np.uint8)})
        _, merged = initialise(state, method, str(whole_run), Model(), bodyparts)
        heads = {name.split("/")[1] for name in merged.missing}
        assert heads == ({"scoremap", "locref"} if len(bodyparts) == 2 else set())
        assert any(name.startswith("params/backbone/") for name in merged.used)


def test_concurrent_training_is_refused(whole_run):
    config, before = tiny_config(), (whole_run / "config.json").read_text()
    config.log_every = 1  # a resumed run may change it, but not while another one trains
    with runlog.lock_run(whole_run), pytest.raises(InputError, match="another process is training in"):
        train_and_evaluate(config, whole_run)
    assert (whole_run / "config.json").read_text() == before
    runlog.lock_run(whole_run).close()


def test_damaged_run_file_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(InputError, match="config.json is damaged"):
        runlog.read_config(tmp_path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scale": -1}, "config.scale = -1.0 must be at least 0.01"),
        ({"steps": None}, "config.steps = None must be a whole number"),
        ({"nothing": 3}, "unknown config field config.nothing"),
        ({"model": 3}, "it has no model.norm"),
        ({"target": {}}, "not the config that pawjax wrote"),
        (None, "does not hold the fields that pawjax wrote"),
    ],
)
def test_edited_run_config_is_refused(change, words, whole_run, tmp_path):
    values = change and read(whole_run, "config.json") | change
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=rf"config\.json.*{words}"):
        runlog.read_config(tmp_path)


def test_prediction_field_that_the_method_does_not_read_is_refused_before_training(tmp_path):
    config = tiny_config()
    config.predict.proposals = 5
    with pytest.raises(
        InputError, match="config.predict.proposals = 5 is not read by .* 'deeplabcut': it reads decode"
    ):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_with_missing_weights_leaves_no_folder(tmp_path):
    config = tiny_config()
    config.init_from = str(tmp_path / "resnet50.pth")
    with pytest.raises(InputError, match=r"config.init_from = '.*resnet50.pth': there is no such file"):
        train_and_evaluate(config, tmp_path / "run")
    config.init_from = "imagnet"
    with pytest.raises(InputError, match=r"'imagnet': there is no such file or folder: did you mean 'imagenet'\?"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluation_and_tracker_agree(whole_run):
    summary = evaluate_run(whole_run, "test", "last")
    assert not (whole_run / "eval" / "test").exists(), "reserved for the best checkpoint"
    folder = whole_run / "eval" / "test-checkpoint=last"
    assert read(folder, "metrics.json")["rmse_px"] == summary["rmse_px"]
    assert summary["n_images"] == 4 and summary["images_per_second"] > 0
    assert list(folder.glob("*.png"))

    frames = data.load(data.DataConfig.of(tiny_config()))
    rows = [frames.ids.index(frame) for frame in read(whole_run, "split.json")["test"]]
    tracker = pawjax.load(whole_run, "last")
    keypoints, likelihood = tracker(frames.images[rows])
    distance = np.linalg.norm(keypoints - frames.keypoints[rows, 0], axis=-1)[frames.labelled[rows, 0]]
    assert np.sqrt((distance**2).mean()) == pytest.approx(summary["rmse_px"], rel=1e-4)
    assert tracker.bodyparts == frames.bodyparts and likelihood.shape == (4, 1)
    copied = pickle.loads(pickle.dumps(tracker))(frames.images[rows])
    np.testing.assert_array_equal(copied[0], keypoints)
    np.testing.assert_array_equal(copied[1], likelihood)


def test_open_run_reads_config_frames_and_weights(whole_run):
    run = open_run(whole_run, "last", flip=True)
    assert (run.workdir, run.step, run.bodyparts) == (whole_run, 6, ("left_forepaw",))
    assert run.config.predict.flip and run.config.batch_size == 4 and run.record["steps"] == 6
    frames = run.frames()
    ids = {split: {frames.ids[i] for i in indices} for split, indices in run.split(frames).items()}
    assert ids == {split: set(names) for split, names in read(whole_run, "split.json").items()}
    found = jax.jit(run.method.predict)(run.variables, frames.images[:2])
    trained = read_run_files(whole_run).restore("last", fold=False)
    expected = jax.jit(trained.method.predict)(trained.variables, frames.images[:2])
    np.testing.assert_allclose(found["keypoints"], expected["keypoints"], atol=1e-2)
    with pytest.raises(InputError, match="is not a run folder"):
        open_run(whole_run / "checkpoints")


def test_changed_frames_are_refused(whole_run, tmp_path):
    workdir = shutil.copytree(whole_run, tmp_path / "run")
    record = read(workdir)
    (workdir / "run.json").write_text(json.dumps(record | {"data": record["data"] | {"fingerprint": "another"}}))
    with pytest.raises(InputError, match=r"are not those that .*run was trained on: restore them, or train a new run$"):
        read_run_files(workdir).frames()
    with pytest.raises(InputError, match=r"are not those that .*run was trained on"):
        evaluate_run(workdir, "dev", "best")


def test_run_on_four_devices_is_evaluated_on_one(whole_run):
    assert read(whole_run)["n_devices"] == 4
    command = [*tiny_command("pawjax.evaluate"), f"--workdir={whole_run}", "--split=train,test"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # with one CPU device
    assert result.returncode == 0, result.stderr
    for split in ("train", "test"):
        assert read(whole_run / "eval" / split, "metrics.json")["n_images"] == read(whole_run)["data"][f"n_{split}"]


def test_changed_config_is_refused_field_by_field(whole_run):
    config = tiny_config()
    config.optimizer.learning_rate = 0.5
    config.seed = 3
    with pytest.raises(InputError, match=r"optimizer.learning_rate is 0.001 there and 0.5 here; seed is 0 there"):
        train_and_evaluate(config, whole_run)


def test_refused_resumption_leaves_the_folder_unchanged(whole_run, tmp_path):
    workdir = shutil.copytree(whole_run, tmp_path / "run")
    run, split = read(workdir), json.dumps(read(workdir, "split.json"))
    (workdir / "split.json").write_text(split)
    (workdir / "run.json").write_text(json.dumps(run | {"data": run["data"] | {"fingerprint": "another"}}))
    with pytest.raises(InputError, match=r"config.data.path changed since .*run began"):
        train_and_evaluate(tiny_config(), workdir)
    assert (workdir / "split.json").read_text() == split
    runlog.lock_run(workdir).close()  # the lock was released


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        train_and_evaluate(tiny_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_non_finite_loss_names_step_and_frames(tmp_path):
    config = tiny_config()
    config.optimizer.name, config.optimizer.schedule = "sgd", "constant"
    config.optimizer.learning_rate = config.optimizer.rate_factor = config.optimizer.weight_decay = 1000.0
    config.log_every = 1
    with pytest.raises(InputError, match=r"not finite at step \d+ \(frames labeled-data/.*learning rate"):
        train_and_evaluate(config, tmp_path)


@pytest.mark.parametrize("which, word", [("7", "saved step"), ("worst", "not best, last")])
def test_missing_checkpoint_is_refused(whole_run, which, word):
    with pytest.raises(InputError, match=word):
        evaluate_run(whole_run, "dev", which)


@pytest.mark.slow
def test_streamed_frames_train_the_same_run_bit_for_bit(tmp_path):
    """With the code generators of real runs, which `conftest.py` disables."""
    for name, gigabytes in (("resident", 8.0), ("streamed", 0.0)):
        command = [sys.executable, "-m", "pawjax.train", "--config=configs/quickstart.py:smoke"]
        command += [f"--config.device_gb={gigabytes}", f"--workdir={tmp_path / name}"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""}, check=True)
    assert read(tmp_path / "streamed")["params_sha256"] == read(tmp_path / "resident")["params_sha256"]


@pytest.mark.slow
def test_run_killed_at_a_random_moment_resumes_bit_for_bit(tmp_path):
    command = [sys.executable, "-m", "pawjax.train", "--config=configs/quickstart.py:smoke", "--config.steps=40"]
    environment = {**os.environ, "PAWJAX_CACHE": str(tmp_path / "cache")}

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen([*command, f"--workdir={tmp_path / name}"], cwd=ROOT, env=environment)

    assert start("whole").wait() == 0
    delay = np.random.default_rng().uniform(0.3, 3.0)
    for _ in range(3):
        process = start("killed")
        log = tmp_path / "killed" / "metrics.jsonl"
        lines = len(log.read_text().splitlines()) if log.exists() else 0
        while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > lines):
            time.sleep(0.05)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start("killed").wait() == 0
    assert read(tmp_path / "killed")["params_sha256"] == read(tmp_path / "whole")["params_sha256"]
