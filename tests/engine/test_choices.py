"""What a new run chooses by itself, what it says, and what flags override."""

import json

import numpy as np
import pytest

from pawjax.data import LabelledFrames
from pawjax.engine import choices
from pawjax.errors import InputError
from tests.tiny import tiny_config

SPLIT = {"train": np.arange(40), "dev": np.array([40]), "test": np.array([41])}


def frames_of(bodyparts, extent=400.0):
    """42 frames of an animal whose bodyparts lie on a line; those of dev and test are far larger."""
    points = np.zeros((42, 1, len(bodyparts), 2), np.float32)
    points[..., 0] = np.linspace(0, extent, len(bodyparts))
    points[40:] *= 100
    labelled = np.ones(points.shape[:3], bool)
    ids = tuple(f"labeled-data/m/{i}.png" for i in range(42))
    images, sizes = np.zeros((42, 1, 1, 1), np.uint8), np.ones((42, 2), np.int32)
    return LabelledFrames(images, sizes, points, labelled, ~labelled, ids, ("m",) * 42, tuple(bodyparts), "0")


def open_config():
    config = tiny_config()
    config.scale, config.batch_size, config.steps = 0.0, 0, 0
    config.augment.flip_p = 0.5
    return config


def test_open_fields_are_chosen_from_the_training_frames_and_said(capsys):
    config = open_config()
    found, chosen = choices.choose(config, frames_of(("left_ear", "nose", "right_ear")), SPLIT)
    assert (config.scale, config.batch_size, config.steps) == (0, 0, 0), "the caller's config stays"
    assert (found.scale, found.batch_size, found.steps) == (0.57, 8, 500)
    assert found.data.symmetric_pairs == (("left_ear", "right_ear"),)
    choices.report(chosen)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" = ")[0] for line in lines] == [f"config.{field}" for field in chosen]
    assert "config.scale = 0.57, because the labelled points of an animal extend over 400 px" in lines[0]
    recorded = json.loads(json.dumps(choices.record(chosen)))["chosen"]
    assert recorded["steps"]["value"] == 500 and "40 training frames 100 times" in recorded["steps"]["because"]


def test_what_the_config_says_is_not_chosen():
    config = tiny_config()
    config.augment.flip_p, config.data.symmetric_pairs = 0.5, (("left_ear", "nose"),)
    found, chosen = choices.choose(config, frames_of(("left_ear", "nose", "right_ear")), SPLIT)
    assert chosen == {} == choices.record(chosen) and found.to_dict() == config.to_dict()
    config.data.symmetric_pairs, config.data.guess_pairs = (), False
    assert choices.choose(config, frames_of(("left_ear", "right_ear")), SPLIT)[1] == {}
    config.data.guess_pairs, config.augment.flip_p = True, 0.0
    assert choices.choose(config, frames_of(("left_ear", "right_ear")), SPLIT)[1] == {}


def test_one_bodypart_tells_no_size():
    found, chosen = choices.choose(open_config(), frames_of(("nose",)), SPLIT)
    assert found.scale == 1 and "two labelled bodyparts" in chosen["scale"].because


def test_mirrored_frames_without_sides_are_said(capsys, monkeypatch):
    monkeypatch.setattr("pawjax.errors._said", set())
    found, chosen = choices.choose(open_config(), frames_of(("nose", "tail")), SPLIT)
    choices.report(chosen)
    words = "config.data.symmetric_pairs = (), because frames are mirrored, and no names of bodyparts tell left"
    assert words in capsys.readouterr().err and found.data.symmetric_pairs == ()
    assert "data.symmetric_pairs" not in choices.choose(open_config(), frames_of(("left_paw",)), SPLIT)[1]
    assert "no bodypart on the other side of left_paw" in capsys.readouterr().err, "a mirrored left paw looks right"


def test_ambiguous_sides_are_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("pawjax.errors._said", set())
    with pytest.raises(InputError, match=r"which of left_ear, l_ear, r_ear are left and right .*guess_pairs=False$"):
        choices.choose(open_config(), frames_of(("left_ear", "l_ear", "r_ear")), SPLIT)
    choices.choose(open_config(), frames_of(("left_paw", "nose")), SPLIT)
    assert "no bodypart on the other side of left_paw: name the pairs" in capsys.readouterr().err
