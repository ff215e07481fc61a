"""Every setting of every sweep is a config that the doors would take."""

import warnings
from pathlib import Path

import pytest
from absl import flags
from ml_collections import config_flags

from launch.sweep import folder_of, read_sweep
from pawjax.methods import make_method

ROOT = Path(__file__).parents[1]
SWEEPS = {"experiment1": 7, "experiment2": 3, "experiment3": 7, "experiment4": 5, "label_efficiency": 10}


def config_of(arguments, monkeypatch):
    arguments = ["train", *(argument.replace("{seed}", "0") for argument in arguments)]
    monkeypatch.setattr("sys.argv", arguments)  # where ml_collections looks for the fields
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    values(arguments)
    return values.config


@pytest.mark.parametrize("name, count", SWEEPS.items())
def test_every_setting_is_a_config_of_its_own(name, count, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PRETRAINED", "runs/other")
    settings = read_sweep(ROOT / "launch" / f"{name}.py")
    configs = [config_of(arguments, monkeypatch) for arguments in settings.values()]
    assert len({config.to_json() for config in configs}) == len(settings) == count
    assert len({folder_of(Path(), setting, 0) for setting in settings}) == count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the point-sized box is warned of, as it should be
        for config in configs:
            make_method(config, ("paw",))


def test_boxes_shrink_with_the_frames(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("BOX_SCALE", "0.5")
    settings = read_sweep(ROOT / "launch" / "experiment3.py")
    assert config_of(settings["box: larger, shifted"], monkeypatch).detector.box_shift == (7.5, -7.5)
