"""Every setting of every sweep is a config that the doors would take."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from launch import sweep
from launch.sweep import commands, flags_of, folder_of, keep_flags, read_sweep
from pawjax import cli, train
from pawjax.methods import make_method

ROOT = Path(__file__).parents[1]
SWEEPS = {"experiment1": 7, "experiment2": 3, "experiment3": 7, "experiment4": 7, "label_efficiency": 10}
NARROW = {
    "experiment1": "mirror_paw_",
    "experiment2": "mirror_paw_",
    "experiment3": "boxes_",
    "experiment4": "ball_",
    "label_efficiency": "mirror_mouse_",
}


def config_of(arguments):
    values, _ = cli.parse(train.DOOR, [argument.replace("{seed}", "0") for argument in arguments])
    return values.config


@pytest.mark.parametrize("name, count", SWEEPS.items())
def test_every_setting_is_a_config_of_its_own(name, count, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PRETRAINED", "runs/other")
    settings = read_sweep(ROOT / "launch" / f"{name}.py")
    configs = [config_of(arguments) for arguments in settings.values()]
    assert len({config.to_json() for config in configs}) == len(settings) == count
    assert len({folder_of(Path(), setting, 0) for setting in settings}) == count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the point-sized box is warned of, as it should be
        for config in configs:
            make_method(config, ("paw",))


@pytest.mark.parametrize("name, configs", NARROW.items())
def test_every_setting_is_there_for_the_narrow_networks(name, configs, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PRETRAINED", "runs/other")
    monkeypatch.setenv("CONFIGS", f"configs/experiments/{configs}")
    settings = read_sweep(ROOT / "launch" / f"{name}.py")
    configs = [config_of(arguments) for arguments in settings.values()]
    assert len({config.to_json() for config in configs}) == len(settings) == SWEEPS[name]


def test_boxes_shrink_with_the_frames(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("BOX_SCALE", "0.5")
    settings = read_sweep(ROOT / "launch" / "experiment3.py")
    assert config_of(settings["box: larger, shifted"]).faster_rcnn.box_shift == (7.5, -7.5)


def test_a_settings_own_flag_counts_and_its_config_comes_first(monkeypatch):
    monkeypatch.chdir(ROOT)
    common = ["--config.steps=7", "--config.seed=3"]
    flags = flags_of({"a": ["--config=configs/quickstart.py", "--config.steps=9"]}, common)["a"]
    assert flags[0] == "--config=configs/quickstart.py"
    config = config_of(flags)
    assert (config.steps, config.seed) == (9, 3)


def test_a_run_that_is_trained_further_is_evaluated_again(tmp_path):
    for split in sweep.SPLITS:
        (tmp_path / "eval" / split).mkdir(parents=True)
        (tmp_path / "eval" / split / "metrics.json").write_text("{}")
    doors = lambda: [command[2] for command in commands([], tmp_path, 0, None)]  # noqa: E731
    assert doors() == ["pawjax.train", *3 * ["pawjax.evaluate"]]
    (tmp_path / "run.json").write_text('{"seconds": 1}')  # stopped: no 'steps'
    assert doors() == ["pawjax.train", *3 * ["pawjax.evaluate"]]
    (tmp_path / "run.json").write_text('{"steps": 9}')
    assert doors() == []


def test_a_sweep_keeps_to_its_flags(tmp_path):
    path = tmp_path / "sweep.json"
    keep_flags(path, {"a": ["--x=1"], "b": ["--x=2"]})
    keep_flags(path, {"b": ["--x=2"], "c": ["--x=3"]})  # other settings may come
    before = path.read_text()
    with pytest.raises(SystemExit, match=r"began with other flags for a \(--x=1 --x=9\)"):
        keep_flags(path, {"a": ["--x=9"], "b": ["--x=2"]})
    assert path.read_text() == before


def test_a_sweep_ends_where_a_training_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["sweep", "launch/experiment2.py", f"--out={tmp_path}", "--seeds=1"])
    calls = []
    monkeypatch.setattr(sweep.subprocess, "run", lambda command: calls.append(command) or SimpleNamespace(returncode=3))
    with pytest.raises(SystemExit) as ended:
        sweep.main()
    assert (
        ended.value.code == 3 and len(calls) == 1 and "pawjax.train ended with exit code 3" in capsys.readouterr().err
    )
