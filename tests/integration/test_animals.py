"""Two animals in a frame, by a run that was trained on frames of one: in images, in videos, and what is refused."""

import dataclasses
import json
import pickle
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

import pawjax
from launch import two_animals
from pawjax import cli, predict
from pawjax.data import LabelledFrames
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference.opening import open_predictor
from pawjax.inference.run import open_run
from pawjax.inference.tracker import Tracker
from pawjax.tracks.file import read_tracks
from tests.data.conftest import write_label_csv
from tests.integration.test_structure import (  # noqa: F401 - fixtures
    NAMES,
    Coloured,
    config_of,
    paint,
    project,
    registered,
    run,
)
from tests.integration.test_toy_method import Toy
from tests.structure.test_points import animals

N = 4


def truth(n=N):
    """Points [n, 2, 3, 2] of two animals."""
    both = animals(2 * n).reshape(n, 2, 3, 2)
    return both - both[:, :, :1] + np.array([[150, 50], [170, 150]], np.float32)[:, None]


def frames(n=N):
    """Frames of two animals: uint8 [n, H, W, 3]."""
    return np.stack([np.maximum(*map(paint, points)) for points in truth(n)])


def error(keypoints):
    """The largest distance of skeletons [n, 2, K, 2] from the animals, in the better order in each frame, px."""
    away = [
        np.linalg.norm(keypoints[:, order] - truth(len(keypoints)), axis=-1).max((1, 2)) for order in ([0, 1], [1, 0])
    ]
    return np.minimum(*away).max()


@pytest.fixture
def video(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    for number, image in enumerate(frames()):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def test_tracker_has_an_axis_for_the_animals(run):  # noqa: F811
    tracker = pawjax.load(run, animals=2)
    keypoints, likelihood = tracker(frames())
    assert keypoints.shape == (N, 2, 3, 2) and likelihood.shape == (N, 2, 3) and likelihood.min() > 0.5
    assert error(keypoints) < 6
    copy = pickle.loads(pickle.dumps(tracker))
    np.testing.assert_array_equal(copy(frames())[0], keypoints)
    assert tracker(frames()[:0])[0].shape == (0, 2, 3, 2)


def test_scaled_frames_have_a_scaled_tree(run):  # noqa: F811
    opened = open_run(run)
    opened.config.scale = 0.5
    assert error(Tracker(opened, 2)(frames())[0]) < 12


def test_single_animal_is_as_without_the_argument(run):  # noqa: F811
    for found, expected in zip(pawjax.load(run, animals=1)(frames()), pawjax.load(run)(frames()), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_video_has_tracks_of_both(run, video, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    words = [f"--workdir={run}", f"--out={out}", "--animals=2", "--formats=dlc,sleap,coco", str(video)]
    assert cli.call(predict.ENTRY_POINT, [*words, "--labelled_video"]) == 0
    assert cli.call(predict.ENTRY_POINT, words) == 0 and "was done before" in capsys.readouterr().out
    tracks = read_tracks(next(out.glob("*.tracks.h5")))
    assert tracks.keypoints.shape == (N, 2, 3, 2) and error(tracks.keypoints) < 6 and tracks.origin["animals"] == "2"
    lines = next(out.glob("*DLC*.csv")).read_text().splitlines()
    assert [line.split(",")[0] for line in lines[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    assert lines[1].split(",")[1:] == ["animal0"] * 9 + ["animal1"] * 9
    assert lines[2].split(",")[1:] == [name for _ in range(2) for name in NAMES for _ in range(3)]
    values = np.array([line.split(",")[1:] for line in lines[4:]], float).reshape(N, 2, 3, 3)
    np.testing.assert_allclose(values[..., :2], tracks.keypoints, rtol=1e-6)
    with h5py.File(next(out.glob("*.analysis.h5"))) as file:
        assert file["tracks"].shape == (2, 2, 3, N)
    capsys.readouterr()
    for other in (["--animals=1"], ["--animals=3"]):
        with pytest.raises(SystemExit) as ended:
            cli.call(predict.ENTRY_POINT, [words[0], words[1], *other, str(video)])
        assert ended.value.code == 2
        assert "holds other tracks (" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--animals=0"], "animals=0 must be a whole number from 1 to 4"),
        (["--animals=5"], "animals=5 must be a whole number from 1 to 4"),
        (["--animals=2", "--filter=median"], "--filter needs one and the same animal in all frames"),
        (["--animals=2", "--track_window=64"], "--track_window needs one and the same animal"),
        (["--animals=2", "--page"], "--page needs one and the same animal"),
        (["--animals=2", "--formats=dlc,lp"], "lp holds one animal, not 2: choose among dlc, sleap, coco, movement"),
        (["--animals=2", "--flip"], "flip=True is for a single animal, and animals=2 does not read it: set flip=False"),
        (["--animals=2", "--structure=tree"], "structure='tree' is for a single animal"),
        (["--animals=2", "--scales=0.5,1"], "is for a single animal"),
    ],
)
def test_what_several_animals_cannot_have_is_one_sentence(run, video, words, message, capsys):  # noqa: F811
    assert cli.call(predict.ENTRY_POINT, [f"--workdir={run}", *words, str(video)]) == 2
    assert message in capsys.readouterr().err and not list(video.parent.glob("*.tracks.h5"))


@pytest.mark.parametrize("animals", [0, -1, 5, 1.5, True, "2", None])
def test_a_wrong_number_is_named(run, animals):  # noqa: F811
    with pytest.raises(InputError, match=rf"^animals={animals!r} must be a whole number from 1 to 4"):
        pawjax.load(run, animals=animals)


def test_methods_and_ensembles_without_score_maps_are_refused(run):  # noqa: F811
    opened = open_run(run)
    fields = {field.name: getattr(opened.method, field.name) for field in dataclasses.fields(opened.method)}
    with pytest.raises(InputError, match="^animals=2 takes peaks of score maps, which config.method = 'toy' has not"):
        Tracker(dataclasses.replace(opened, method=Toy(**fields)), 2)
    for workdirs, snapshot in (([run, run], ""), ([], "snapshot-best-1.pt")):
        with pytest.raises(InputError, match="^--animals=2 is for a single run: give one --workdir"):
            open_predictor(workdirs, "best", snapshot, animals=2)


def test_run_of_an_older_version_learns_the_distances_from_its_data(run, project, tmp_path):  # noqa: F811
    old = shutil.copytree(run, tmp_path / "old")
    values = json.loads((old / "tree.json").read_text())
    for edge in values["edges"]:
        del edge["distance"], edge["distance_variance"]
    (old / "tree.json").write_text(json.dumps(values))
    assert error(pawjax.load(old, animals=2)(frames())[0]) < 6
    config = json.loads((old / "config.json").read_text())
    config["data"]["path"] = str(tmp_path / "gone")
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        InputError, match="written by an older version, without the distances .* learned from: the data"
    ):
        pawjax.load(old, animals=2)


def test_bodyparts_that_no_tree_connects_are_named(project, tmp_path):  # noqa: F811
    parted = shutil.copytree(project, tmp_path / "project")
    points = animals(30).astype(np.float64)
    points[::2, 1:], points[1::2, 0] = np.nan, np.nan
    ids = [f"labeled-data/m1/img{i:02d}.png" for i in range(30)]
    write_label_csv(parted / "labeled-data/m1/CollectedData_Ann.csv", ids, points, NAMES)
    train_and_evaluate(config_of(parted), tmp_path / "run")
    with pytest.raises(InputError, match="^animals=2: fewer than 3 train frames have labels of one of .* leave it out"):
        pawjax.load(tmp_path / "run", animals=2)


class Green(Coloured):
    """Finds the green bodypart."""

    def score_maps(self, variables, images):
        maps = super().score_maps(variables, images)
        return maps._replace(log_likelihood=maps.log_likelihood[..., 1:2], offsets=maps.offsets[..., 1:2, :])


def test_single_bodypart_needs_no_tree(run):  # noqa: F811
    opened = open_run(run)
    fields = {field.name: getattr(opened.method, field.name) for field in dataclasses.fields(opened.method)}
    keypoints, _ = Tracker(dataclasses.replace(opened, method=Green(**fields), bodyparts=("green",)), 2)(frames())
    away = np.linalg.norm(keypoints[:, :, None, 0] - truth()[:, None, :, 1], axis=-1)
    assert keypoints.shape == (N, 2, 1, 2) and away.min(1).max() < 6


def test_launch_script_composes_and_judges(run, tmp_path, monkeypatch, capsys):  # noqa: F811
    words = ["two_animals", str(run), f"--out={tmp_path}", "--split=train", "--way=beside", "--most=8"]
    monkeypatch.setattr("sys.argv", words)
    two_animals.main()
    lines = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:4] == ["all", "8", "100.0 %", "100.0 %"] and float(cells[4]) < 3
    assert (tmp_path / "two_animals.png").stat().st_size > 10_000


def test_composed_frames_have_both_animals_where_their_labels_are():
    """Three frames with a dark square at the label, of which the first two overlap; one pair has the second turned."""
    points = np.array([[20, 15], [24, 15], [60, 10]], np.float32)
    images = np.full((9, 60, 100, 1), 200, np.uint8)  # six of them empty: the floor
    for image, (x, y) in zip(images, points.astype(int), strict=False):
        image[y - 8 : y + 9, x - 8 : x + 9] = 50
    rows = {"ids": tuple("abcdefghi"), "videos": ("m",) * 9, "bodyparts": ("snout",), "fingerprint": ""}
    keypoints = np.concatenate([points, np.zeros((6, 2), np.float32)])[:, None, None]
    known = np.arange(9)[:, None, None] < 3
    some = LabelledFrames(images, np.full((9, 2), (60, 100)), keypoints, known, ~known, **rows)
    pairs = two_animals.darker(some, np.arange(3))
    assert [pair.points[:, 0].tolist() for pair in pairs] == [[[20, 15], [39, 49]], [[24, 15], [60, 10]]]
    for pair in pairs:
        dark = [pair.image[int(y), int(x), 0] for x, y in pair.points[:, 0]]
        assert dark == [50, 50] and (pair.image == 50).sum() > 17**2
    assert pairs[1].apart == pytest.approx(np.hypot(36, 5))


def test_a_foreign_point_is_a_mixed_skeleton():
    points = truth(1)[0]
    pair = two_animals.Pair(np.zeros((240, 320, 3), np.uint8), points, np.ones((2, 3), bool))
    found = two_animals.judge(pair, points[::-1].copy(), 20)
    assert found.is_pure and not found.errors.any()
    swapped = points.copy()
    swapped[:, 1] = points[::-1, 1]
    found = two_animals.judge(pair, swapped, 20)
    assert not found.is_pure and (found.errors > 20).sum() == 2
    half = pair._replace(known=np.array([[True, True, True], [True, False, True]]))  # the swap shows in one skeleton
    assert not two_animals.judge(half, swapped, 20).is_pure and two_animals.judge(half, points, 20).is_pure
    swapped[0, 1] = np.nan
    assert np.isinf(two_animals.judge(pair, swapped, 20).errors[0, 1])
