"""The split of a run, and what is said about its labels."""

import dataclasses

import numpy as np
import pytest

from pawjax import data
from pawjax.engine.runlog import describe_run, write_config
from pawjax.engine.setup import described, load_frames
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.inference.run import read_run_files
from tests.tiny import tiny_config


def real_config():
    """A config whose frames may have been left unlabelled by chance."""
    config = tiny_config()
    config.data.update(source="deeplabcut", path="project")
    return config


@pytest.fixture
def set_labels(monkeypatch):
    """set_labels(labelled, bodyparts) makes `data.load` return frames of one pixel with labels where `labelled`."""

    def set_labels(labelled, bodyparts=("paw",), fingerprint="0"):
        labelled = np.asarray(labelled, bool).reshape(-1, 1, len(bodyparts))
        n, ids = len(labelled), tuple(f"labeled-data/m/{i}.png" for i in range(len(labelled)))
        images, points = np.zeros((n, 1, 1, 1), np.uint8), np.zeros((*labelled.shape, 2), np.float32)
        absent = np.zeros_like(labelled)
        frames = data.LabelledFrames(
            images, np.ones((n, 2), np.int32), points, labelled, absent, ids, ("m",) * n, bodyparts, fingerprint
        )
        monkeypatch.setattr(data, "load", lambda config: frames)
        return frames

    return set_labels


def test_resumed_run_keeps_a_split_with_unlabelled_frames(set_labels, tmp_path):
    """Runs of earlier versions drew them too: they go on, and are evaluated, as they began."""
    config, frames = real_config(), set_labels(np.arange(40) % 4 > 0)
    new = load_frames(config, tmp_path)[1]
    assert sum(map(len, new.values())) == 30
    old = data.split(data.DataConfig.of(tiny_config()), frames)  # draws from all frames, as then
    assert sum(map(len, old.values())) == 40
    write_config(tmp_path, config)
    data.write_split(tmp_path / "split.json", frames, old)
    assert len(load_frames(config, tmp_path)[1]["train"]) == len(new["train"])  # no run.json: it had not begun
    write_json(tmp_path / "run.json", describe_run(config, frames, old))
    for split in (load_frames(config, tmp_path)[1], read_run_files(tmp_path).split(frames)):
        assert {name: rows.tolist() for name, rows in split.items()} == {n: rows.tolist() for n, rows in old.items()}
    set_labels(np.ones(30), fingerprint="1")  # other frames: `open_folder` refuses them by name
    assert sum(map(len, load_frames(config, tmp_path)[1].values())) == 30


def test_bodyparts_and_test_frames_without_labels_are_said(set_labels, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pawjax.errors._said", set())
    config = real_config()
    frames = set_labels(np.repeat([[True, False]], 40, axis=0), ("paw", "tail"))
    load_frames(config, tmp_path)
    err = capsys.readouterr().err
    assert "warning: no train frame has a label of tail, which the network therefore cannot learn" in err
    rows = data.split(data.DataConfig.of(config), frames)
    labelled = np.ones((40, 2), bool)
    labelled[rows["train"], 1] = False
    set_labels(labelled, ("paw", "whisker"))  # labelled in dev and test only
    load_frames(config, tmp_path)
    assert "no train frame has a label of whisker" in capsys.readouterr().err
    config.data.unlabelled = "negative"
    labelled[rows["test"]] = False
    set_labels(labelled, ("paw", "nose"))
    load_frames(config, tmp_path)
    assert f"none of the {len(rows['test'])} test frames has a label of paw, nose" in capsys.readouterr().err
    labelled[rows["dev"]] = False
    set_labels(labelled, ("paw", "nose"))
    with pytest.raises(InputError, match="none of the 8 dev frames has a label of paw, nose"):
        load_frames(config, tmp_path)


def test_frames_of_labelled_runs_are_not_mentioned(set_labels, tmp_path, capsys):
    set_labels(np.ones((20, 2)), ("paw", "tail"))
    load_frames(real_config(), tmp_path)
    assert capsys.readouterr().err == ""


def test_what_a_run_reads_in_a_sentence(set_labels):
    frames, split = set_labels([True] * 5 + [False] * 5), {"train": np.arange(7), "dev": np.arange(7, 10)}
    assert described(frames, split) == "frames: 7 train, 3 dev, of 1x1 px; 5 train labels; 1 bodypart: paw"
    frames = dataclasses.replace(
        set_labels(np.ones((10, 9)), tuple("abcdefghi")), sizes=np.int32([[30, 40]] * 9 + [[50, 20]])
    )
    words = "frames: 7 train, 3 dev, of up to 40x50 px; 63 train labels; 9 bodyparts: a, b, c, d, e, f and 3 more"
    assert described(frames, split) == words
