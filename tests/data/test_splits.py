"""Splits: a partition, reproducible by seed, by video on request, and written to reusable files."""

import dataclasses
import json
import os
import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawjax.data import DataConfig, LabelledFrames, read_split, split, write_split
from pawjax.data.splits import SPLITS
from pawjax.errors import InputError


def frames_of(videos: dict[str, int]) -> LabelledFrames:
    """Frames of one pixel: `videos` maps names to numbers of frames."""
    ids = [f"labeled-data/{video}/img{index:03d}.png" for video, n in videos.items() for index in range(n)]
    n = len(ids)
    return LabelledFrames(
        np.zeros((n, 1, 1, 1), np.uint8),
        np.ones((n, 2), np.int32),
        np.zeros((n, 1, 1, 2), np.float32),
        np.ones((n, 1, 1), bool),
        np.zeros((n, 1, 1), bool),
        tuple(ids),
        tuple(frame.split("/")[1] for frame in ids),
        ("paw",),
        "0",
    )


def config(**fields):
    return DataConfig(**{name: str(value) if name == "split_file" else value for name, value in fields.items()})


def lengths(rows):
    return tuple(len(rows[name]) for name in SPLITS)


def test_split_sizes_equal_the_student_report():
    assert lengths(split(config(), frames_of({"a": 1623}))) == (973, 325, 325)


@given(
    counts=st.lists(st.integers(2, 30), min_size=3, max_size=9),
    shares=st.tuples(*[st.integers(1, 10)] * 3),
    seed=st.integers(0, 2**32),
    by=st.sampled_from(["frame", "video"]),
)
@settings(max_examples=60, deadline=None, database=None)
def test_split_is_a_partition(counts, shares, seed, by):
    frames = frames_of({f"v{index}": n for index, n in enumerate(counts)})
    fractions = tuple(np.array(shares) / sum(shares))
    try:
        rows = split(config(split_fractions=fractions, split_seed=seed, split_by=by), frames)
    except InputError as error:  # too few frames: a fraction rounds to none
        assert by == "frame" and min(fractions) * len(frames) < 1 and "empty" in str(error)
        return
    np.testing.assert_array_equal(np.sort(np.concatenate([rows[name] for name in SPLITS])), np.arange(len(frames)))
    assert all((np.diff(rows[name]) > 0).all() and len(rows[name]) for name in SPLITS)
    if by == "video":
        videos = [{frames.videos[row] for row in rows[name]} for name in SPLITS]
        assert sum(map(len, videos)) == len(counts)
    else:
        assert np.abs(np.array(lengths(rows)) - np.array(fractions) * len(frames)).max() <= 1 + 1e-9


@pytest.mark.parametrize("by", ["frame", "video"])
def test_split_depends_on_the_seed(by):
    frames = frames_of({f"v{index}": 10 + index for index in range(9)})
    draws = [split(config(split_seed=seed, split_by=by), frames)["test"].tolist() for seed in (0, 0, 1, 2, 3)]
    assert draws[0] == draws[1] and len(set(map(tuple, draws))) > 2


def test_smaller_training_sets_are_subsets(tmp_path):
    frames = frames_of({"a": 60})
    whole = split(config(), frames)
    some = [split(config(n_train=n), frames) for n in (5, 20, 36)]
    for rows, n in zip(some, (5, 20, 36), strict=True):
        assert len(rows["train"]) == n and (rows["test"] == whole["test"]).all()
    write_split(tmp_path / "whole.json", frames, whole)
    drawn = [split(config(n_train=20, split_file=str(tmp_path / "whole.json"), split_seed=s), frames) for s in (0, 1)]
    assert set(drawn[0]["train"]) != set(drawn[1]["train"])
    assert set(some[0]["train"]) < set(some[1]["train"]) < set(some[2]["train"]) == set(whole["train"])
    write_split(tmp_path / "split.json", frames, some[0])  # as a run writes it and its evaluation reads it
    again = read_split(tmp_path / "split.json", frames)
    assert (again["train"] == some[0]["train"]).all()
    with pytest.raises(InputError, match="config.data.n_train = 37 must be at most"):
        split(config(n_train=37), frames)


def test_videos_come_close_to_the_fractions():
    rows = split(config(split_by="video"), frames_of({f"v{index}": 10 + index % 3 for index in range(30)}))
    assert np.abs(np.array(lengths(rows)) / 330 - (0.6, 0.2, 0.2)).max() < 0.02


def test_large_video_goes_to_train():
    rows = split(config(split_by="video"), frames_of({"small": 10, "big": 80, "tiny": 10}))
    assert lengths(rows) == (80, 10, 10)


def test_written_split_is_read_back(tmp_path):
    frames = frames_of({"a": 20, "b": 10})
    rows = split(config(split_seed=7), frames)
    write_split(tmp_path / "split.json", frames, rows)
    again = split(config(split_file=tmp_path / "split.json"), frames)
    assert all(np.array_equal(rows[name], again[name]) for name in SPLITS)
    fewer = frames_of({"a": 20, "b": 9})
    with pytest.raises(InputError, match="1 of its frames are not among the labelled ones: labeled-data/b/img009.png"):
        split(config(split_file=tmp_path / "split.json"), fewer)


def with_unlabelled(frames, *rows):
    """The frames with no label in these rows."""
    labelled = frames.labelled.copy()
    labelled[list(rows)] = False
    return dataclasses.replace(frames, labelled=labelled)


def real(**fields):
    return config(source="deeplabcut", path="project", **fields)


def test_split_of_a_labelled_project_is_as_ever():
    """Runs are repeated by their config: its split must not change."""
    rows = split(real(split_seed=3), frames_of({"a": 12, "b": 8}))
    assert {name: rows[name].tolist() for name in SPLITS} == {
        "train": [1, 2, 3, 6, 8, 10, 11, 12, 13, 15, 16, 18],
        "dev": [0, 9, 14, 17],
        "test": [4, 5, 7, 19],
    }


def test_unlabelled_frames_are_left_out_of_a_drawn_split(warnings):
    frames = with_unlabelled(frames_of({"a": 60}), *range(0, 60, 3))
    rows = split(real(), frames)
    assert lengths(rows) == (24, 8, 8)  # of 40
    assert not any(row % 3 == 0 for name in SPLITS for row in rows[name])
    (text,) = warnings()
    assert text.startswith("20 of 60 frames have no label of paw and are left out of train, dev and test;")
    assert split(real(n_train=24), frames)["train"].tolist() == rows["train"].tolist()
    videos = with_unlabelled(frames_of({"a": 9, "b": 3, "c": 3, "d": 5}), *range(15, 20))
    assert {videos.videos[row] for rows in split(real(split_by="video"), videos).values() for row in rows} == set("abc")


@pytest.mark.parametrize("fields", [{"source": "deeplabcut", "path": "p", "unlabelled": "negative"}, {}])
def test_negatives_and_synthetic_frames_stay(warnings, fields):
    frames = frames_of({"a": 60})
    rows = split(config(**fields), with_unlabelled(frames, *range(0, 60, 3)))
    assert warnings() == [] and all((rows[name] == split(config(), frames)[name]).all() for name in SPLITS)


def test_frames_with_a_label_of_another_bodypart_stay(warnings):
    frames = frames_of({"a": 10})
    two = {name: np.zeros((10, 1, 2), bool) for name in ("labelled", "absent")}
    points = np.zeros((10, 1, 2, 2), np.float32)
    frames = dataclasses.replace(frames, bodyparts=("paw", "tail"), keypoints=points, **two)
    frames.labelled[:, 0, 0] = np.arange(10) < 5
    frames.labelled[:, 0, 1] = np.arange(10) >= 5
    assert sum(lengths(split(real(), frames))) == 10 and warnings() == []
    assert sum(lengths(split(real(), frames.select_bodyparts(("tail",))))) == 5
    frames.absent[:, 0, 1] = np.arange(10) == 0
    assert sum(lengths(split(real(), frames.select_bodyparts(("tail",))))) == 6, "an absent bodypart is known too"


def test_unlabelled_frames_of_a_file(tmp_path, warnings):
    frames = with_unlabelled(frames_of({"a": 6}), 1, 5)
    path = _lists(tmp_path / "split.json", train=frames.ids[:2], dev=frames.ids[2:3], test=frames.ids[3:5])
    assert split(real(split_file=path), frames)["train"].tolist() == [0]
    assert warnings()[0].startswith("1 of 5 frames have no label of paw")
    assert read_split(path, frames)["train"].tolist() == [0, 1]  # a run goes on as it began
    with pytest.raises(InputError, match="leaves dev empty .*give each at least one labelled frame"):
        split(real(split_file=path), with_unlabelled(frames, 2))
    pickled = tmp_path / "Documentation_data-x.pickle"
    frames = with_unlabelled(frames_of({"a": 30}), *range(0, 30, 3))
    _documentation(pickled, frames, [row for row in range(30) if row % 5], range(0, 30, 5))
    rows = split(real(split_file=pickled), frames)
    assert rows["test"].tolist() == [5, 10, 20, 25] and (len(rows["train"]), len(rows["dev"])) == (12, 4)


def test_split_in_another_unicode_form(tmp_path):
    frames = frames_of({"M\u00e4use": 6})
    names = [unicodedata.normalize("NFD", frame) for frame in frames.ids]
    assert names[0] != frames.ids[0]
    path = _lists(tmp_path / "split.json", train=names[:4], dev=[names[4]], test=[names[5]])
    assert lengths(split(real(split_file=path), frames)) == (4, 1, 1)


def test_frames_not_listed_are_left_out(tmp_path):
    lists = {"note": "by hand", "train": ["labeled-data\\a\\img003.png"], "dev": ["labeled-data/a/img000.png"]}
    path = tmp_path / "split.json"
    path.write_text(json.dumps({**lists, "test": ["labeled-data/a/img004.png", "labeled-data/a/img001.png"]}))
    rows = split(config(split_file=path), frames_of({"a": 6}))
    assert {name: rows[name].tolist() for name in SPLITS} == {"train": [3], "dev": [0], "test": [1, 4]}


def test_shared_splits_fit_their_data(shared_data):
    for name, expected in (("openfield", (81, 12, 23)), ("mirror_mouse", (63, 9, 18))):
        path = shared_data / f"splits/{name}_seed0.json"
        lists = json.loads(path.read_text())
        everything = sorted(frame for split_name in SPLITS for frame in lists[split_name])
        n = len(everything)
        frames = frames_of({"a": n}).__class__(**{**frames_of({"a": n}).__dict__, "ids": tuple(everything)})
        rows = split(config(split_file=path), frames)
        assert lengths(rows) == expected
        assert [frames.ids[row] for row in rows["test"]] == sorted(lists["test"])


def _lists(path, **lists):
    path.write_text(json.dumps(lists))
    return path


def test_bad_lists_are_named(tmp_path):
    frames, path = frames_of({"a": 6}), tmp_path / "split.json"
    a, b, c = (frames.ids[index] for index in range(3))
    cases = {
        "img000.png is listed more than once": {"train": [a], "dev": [b], "test": [c, a]},
        "no lists of frames named": {"train": [a], "test": [b]},
        "leaves dev empty": {"train": [a], "dev": [], "test": [b]},
        "2 of its frames are not among the labelled ones: x/1.png, y": {
            "train": ["x/1.png", "y"],
            "dev": [a],
            "test": [b],
        },
    }
    for words, lists in cases.items():
        with pytest.raises(InputError, match=words) as error:
            split(config(split_file=_lists(path, **lists)), frames)
        assert "split.json" in str(error.value)
    path.write_text("{")
    with pytest.raises(InputError, match="split.json: cannot be read as the split"):
        split(config(split_file=path), frames)
    path.write_text("[" * 5000)
    with pytest.raises(InputError, match="split.json: cannot be read as the split"):
        split(config(split_file=path), frames)
    with pytest.raises(InputError, match="is a folder, not a file"):
        split(config(split_file=tmp_path), frames)
    with pytest.raises(InputError, match="none.json: cannot be read as the split"):
        split(config(split_file=tmp_path / "none.json"), frames)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"split_fractions": (0.8, 0.2, 0.0)}, "leaves test empty"),
        ({"split_by": "video"}, r"the frames come from 2 video\(s\)"),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(InputError, match=f"config.data.split.*{words}"):
        split(config(**fields), frames_of({"a": 6, "b": 6}))


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="leaves dev and test empty"):
        split(config(), frames_of({"a": 2}))


def _documentation(path, frames, train, test):
    data = [{"image": tuple(frames.ids[row].split("/")), "joints": {0: np.zeros((1, 3))}} for row in train if row >= 0]
    path.write_bytes(pickle.dumps([data, np.array(train), np.array(test), 0.8], protocol=4))
    return path


def test_deeplabcut_split_keeps_its_test_frames(tmp_path, capsys):
    frames = frames_of({"a": 30})
    train, test = [row for row in range(30) if row % 5], [0, 5, 10, 15, 20, 25]
    path = _documentation(tmp_path / "Documentation_data-x_80shuffle1.pickle", frames, [*train, -1], [*test, -1, -1])
    rows = split(config(split_file=path), frames)
    assert rows["test"].tolist() == test
    assert sorted([*rows["train"], *rows["dev"]]) == train
    assert len(rows["dev"]) == 6  # a quarter of its training frames: 0.2 of 0.6 + 0.2
    assert "has no dev split: 6 of its 24 training frames became dev" in capsys.readouterr().err
    other = split(config(split_file=path, split_seed=1), frames)
    assert other["test"].tolist() == test and other["dev"].tolist() != rows["dev"].tolist()


def test_deeplabcut_split_counts_rows_of_the_merged_table(tmp_path, write_csv):
    frames = frames_of({"a": 5, "b": 5})
    merged = [*frames.ids[5:], *frames.ids[:5]]
    write_csv(tmp_path / "CollectedData_Ann.csv", merged, np.zeros((10, 2, 2)))
    data = [{"image": merged[row]} for row in range(8)]
    path = tmp_path / "Documentation_data-x.pickle"
    path.write_bytes(pickle.dumps([data, list(range(8)), [8, 9], 0.8]))
    assert split(config(split_file=path), frames)["test"].tolist() == [3, 4]


def test_frame_with_two_rows_is_in_train_or_test(tmp_path, write_csv):
    frames = frames_of({"a": 10})
    write_csv(tmp_path / "CollectedData_Ann.csv", [*frames.ids, frames.ids[0]], np.zeros((11, 2, 2)))
    path = tmp_path / "Documentation_data-x.pickle"
    path.write_bytes(pickle.dumps([[], [0, 1, 2, 3, 4, 5, 10], [6, 7, 8, 9], 0.8]))
    rows = split(config(split_file=path), frames)
    assert sorted([*rows["train"], *rows["dev"]]) == [0, 1, 2, 3, 4, 5]
    path.write_bytes(pickle.dumps([[], [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 0.8]))
    with pytest.raises(InputError, match="the frame labeled-data/a/img000.png is in both train and test"):
        split(config(split_file=path), frames)


def test_bad_documentation_is_named(tmp_path):
    frames, path = frames_of({"a": 10}), tmp_path / "Documentation_data-x.pickle"
    _documentation(path, frames, range(8), [8, 12])
    with pytest.raises(InputError, match="refers to row 12, but there are only 10"):
        split(config(split_file=path), frames)
    _documentation(path, frames, range(9), [8, 9])
    with pytest.raises(InputError, match="row 8 is in both train and test"):
        split(config(split_file=path), frames)
    path.write_bytes(pickle.dumps([[{"image": frames.ids[9]}], list(range(8)), [8, 9], 0.8]))
    with pytest.raises(InputError, match="names labeled-data/a/img009.png for training.*labels have changed"):
        split(config(split_file=path), frames)
    path.write_bytes(pickle.dumps([[], range, [1], 0.8]))
    with pytest.raises(InputError, match="contains more than plain data.*builtins.range"):
        split(config(split_file=path), frames)
    path.write_bytes(b"no pickle")
    with pytest.raises(InputError, match="is not a Documentation_data pickle"):
        split(config(split_file=path), frames)


def test_split_file_nested_deep_or_no_file(tmp_path):
    path = tmp_path / "split.json"
    path.write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(InputError, match="split.json: cannot be read as the split"):
        split(config(split_file=path), frames_of({"a": 10}))
    for suffix in (".json", ".pickle"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
        with pytest.raises(InputError, match=f"pipe{suffix} is a pipe"):
            split(config(split_file=tmp_path / f"pipe{suffix}"), frames_of({"a": 10}))


@pytest.mark.parametrize(
    "content",
    [
        [[], [0, 2**70], [1], 0.8],
        [[], [float("nan")], [1], 0.8],
        [[], [float("inf")], [1], 0.8],
        [[], [0.5], [1], 0.8],
        [[], [[0]], [1], 0.8],
        [[], ["0"], [1], 0.8],
        [[{"image": 3}], [0], [1], 0.8],
        [[{"image": ("x" * 3000, "y" * 3000)}], [0], [1], 0.8],
        [[{"image": ("a", ["b"])}], [0], [1], 0.8],
        [{}, {}, {}, {}],
        {"a": 1},
        None,
    ],
)
def test_documentation_of_other_types_is_refused(tmp_path, content):
    path = tmp_path / "Documentation_data-x.pickle"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="is not a Documentation_data pickle|row"):
        split(config(split_file=path), frames_of({"a": 10}))
