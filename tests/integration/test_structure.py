"""A run whose points know of each other: its tree is learned, kept, used by every door, and refused where it cannot be.

Its method needs no network: the score map of a bodypart is one colour of the frame.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pawjax
from launch import structure as launch
from pawjax import benchmark, cli, evaluate, export, predict
from pawjax.config import default_config
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference.evaluation import evaluate_run
from pawjax.inference.opening import predictor_of_run
from pawjax.inference.run import open_run, read_run_files
from pawjax.methods import METHODS, MethodEntry
from pawjax.methods.method import OF_SCORE_MAPS
from pawjax.ops.decoding import decode, doubt
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure import read_tree
from tests.data.conftest import write_label_csv
from tests.integration.test_toy_method import Settings, Toy
from tests.structure.test_points import SIZE, STRIDE, animals

NAMES = ("red", "green", "blue")
N = 30
HIDDEN = 25  # the first frame whose green point is darker than another green, far from the animal
FAR = (20, 220)  # px


@dataclasses.dataclass(frozen=True)
class Coloured(Toy):
    """Finds each bodypart by its colour."""

    predict_fields = OF_SCORE_MAPS

    def score_maps(self, variables, images):
        del variables
        n, height, width, _ = images.shape
        light = images.reshape(n, height // STRIDE, STRIDE, width // STRIDE, STRIDE, 3).mean((2, 4)) / 255
        offsets = jnp.zeros((*light.shape, 2))
        return ScoreMaps(jnp.log(jnp.maximum(light, 1e-9)), offsets, STRIDE, STRIDE / 2 - 0.5)

    def predict(self, variables, images):
        maps = self.score_maps(variables, images)
        keypoints, likelihood = decode(maps, "taylor")
        covariance, second = doubt(maps, "taylor")
        return {"keypoints": keypoints, "likelihood": likelihood, "covariance": covariance, "second": second}


@pytest.fixture(autouse=True, scope="module")
def registered():
    def make(config, bodyparts):
        return Coloured(len(bodyparts), Settings.of(config))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "toy", MethodEntry(Settings, make))
        yield


def paint(points, brightness=200):
    """A frame with a blob of each colour: uint8 [H, W, 3]."""
    y, x = np.mgrid[: SIZE[0] * STRIDE, : SIZE[1] * STRIDE]
    blobs = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 9**2)) for px, py in points]
    return (brightness * np.stack(blobs, -1)).astype(np.uint8)


def hidden_frames():
    """Four frames in which a brighter green, far from the animal, hides the green point: uint8 [4, H, W, 3]."""
    images = np.stack([paint(points) for points in animals(4)])
    images[..., 1] = images[..., 1] // 2 + paint([FAR] * 3, 250)[..., 1]
    return images


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    points = animals(N).astype(np.float64)
    ids = [f"labeled-data/m1/img{i:02d}.png" for i in range(N)]
    write_label_csv(folder / "labeled-data/m1/CollectedData_Ann.csv", ids, points, NAMES)
    (folder / "config.yaml").write_text(f"Task: reach\nscorer: Ann\nbodyparts: [{', '.join(NAMES)}]\n")
    for i, name in enumerate(ids):
        pixels = paint(points[i])
        if i >= HIDDEN:
            pixels[..., 1] = paint([FAR] * 3, 250)[..., 1] + pixels[..., 1] // 2
        Image.fromarray(pixels).save(folder / name)
    lists = {"train": ids[:20], "dev": ids[20:HIDDEN], "test": ids[HIDDEN:]}
    (folder / "split.json").write_text(json.dumps(lists))
    return folder


def config_of(project, **predict):
    config = default_config()
    config.method = "toy"
    config.update(steps=2, batch_size=4, log_every=2, eval_every=2, checkpoint_every=2)
    config.data.update(source="deeplabcut", path=str(project), split_file=str(project / "split.json"))
    config.predict.update(decode="taylor", **predict)
    return config


@pytest.fixture(scope="module")
def run(project, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "plain"
    train_and_evaluate(config_of(project), workdir)
    return workdir


def test_training_keeps_the_tree_of_its_labels(run, project):
    tree = read_tree(run / "tree.json", NAMES)
    assert {frozenset(edge) for edge in zip(tree.parents.tolist(), tree.children.tolist(), strict=True)} == {
        frozenset((0, 1)),
        frozenset((0, 2)),
    }
    assert tree.n_frames.tolist() == [20, 20]  # of train, not of all
    points = animals(N)[:20].astype(np.float64)
    np.testing.assert_allclose(tree.offset[0], (points[:, tree.children[0]] - points[:, 0]).mean(0), atol=1e-3)


def test_evaluation_finds_hidden_points(run):
    plain, found = evaluate_run(run, "test", "best"), evaluate_run(run, "test", "best", structure="tree")
    assert plain["n_over_50px"] == 5 and found["n_over_50px"] == 0 and found["max_px"] < 6
    assert found["predict"]["structure"] == "tree" and (run / "eval/test-structure=tree/metrics.json").exists()
    assert found["calibration_from"] == "none was fitted on dev at step 2 for structure 'tree'"
    whole, same = evaluate_run(run, "dev", "best"), evaluate_run(run, "dev", "best", structure="tree")
    assert same["rmse_px"] == whole["rmse_px"]  # single peaks


def test_every_door_takes_the_flag(run, project, tmp_path, capsys):
    assert cli.call(evaluate.ENTRY_POINT, [f"--workdir={run}", "--split=test", "--structure=tree"]) == 0
    assert "0 over 50 px" in capsys.readouterr().out
    video = tmp_path / "video"
    video.mkdir()
    for path in sorted((project / "labeled-data/m1").glob("*.png"))[HIDDEN:]:
        shutil.copy(path, video)
    assert cli.call(predict.ENTRY_POINT, [f"--workdir={run}", "--structure=tree", f"--out={tmp_path}", str(video)]) == 0
    tracks = pawjax.load(run, structure="tree").predict_video(video, tmp_path)  # done: the same tracks
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(video.glob("*.png"))])
    keypoints, likelihood = pawjax.load(run, structure="tree")(images)
    np.testing.assert_allclose(tracks.keypoints[:, 0], keypoints, atol=1e-3)
    assert np.linalg.norm(keypoints - animals(N)[HIDDEN:], axis=-1).max() < 6 and likelihood.min() > 0.5


def test_views_have_their_own_trees(run):
    """In smaller and in mirrored frames the tree is scaled and mirrored."""
    images = hidden_frames()
    for views in ({"scales": (0.5,)}, {"flip": True}, {"flip": True, "scales": (1.0, 0.5)}):
        keypoints, _ = pawjax.load(run, structure="tree", **views)(images)
        assert np.linalg.norm(keypoints - animals(4), axis=-1).max() < 9, views


def test_export_holds_the_tree(run, tmp_path):
    pytest.importorskip("flatbuffers")
    words = [f"--workdir={run}", "--structure=tree", f"--out={tmp_path / 'network.jax'}", "--format=jax"]
    assert cli.call(export.ENTRY_POINT, words) == 0
    network = jax.export.deserialize(bytearray((tmp_path / "network.jax").read_bytes()))
    images = hidden_frames()
    np.testing.assert_allclose(
        network.call(images)["keypoints"], pawjax.load(run, structure="tree")(images)[0], atol=0.01
    )


def test_origin_of_tracks_names_the_structure_only_if_there_is_one(run):
    assert "structure" not in predictor_of_run(open_run(run)).origin  # as in tracks of older versions
    assert predictor_of_run(open_run(run, structure="tree")).origin["structure"] == "tree"


def test_run_trained_with_a_tree_is_judged_and_calibrated_with_it(project, tmp_path, monkeypatch):
    monkeypatch.setattr("pawjax.metrics.fit_calibration", lambda p, right: (0.5, 0.25))
    train_and_evaluate(config_of(project, structure="tree"), tmp_path / "run")
    opened = open_run(tmp_path / "run")
    assert opened.tree is not None and opened.config.predict.temperature == 0.5
    assert open_run(tmp_path / "run", structure="").config.predict.temperature == 1.0
    assert open_run(tmp_path / "run", structure="").tree is None


def test_run_of_an_older_version_learns_it_from_its_data(run, project, tmp_path):
    old = shutil.copytree(run, tmp_path / "old")
    (old / "tree.json").unlink()
    learned, kept = (read_run_files(folder, structure="tree").find_tree() for folder in (old, run))
    for field in dataclasses.fields(kept):
        np.testing.assert_allclose(getattr(learned, field.name), getattr(kept, field.name))
    config = json.loads((old / "config.json").read_text())
    config["data"]["path"] = str(tmp_path / "gone")
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="tree.json is missing, and the labels that it is learned from: the data"):
        open_run(old, structure="tree")
    shutil.copy(run / "tree.json", old)
    open_run(old, structure="tree")  # needs no data


def test_resumed_run_writes_a_missing_tree(run, project, tmp_path):
    old = shutil.copytree(run, tmp_path / "old")
    expected = (old / "tree.json").read_text()
    (old / "tree.json").unlink()
    train_and_evaluate(config_of(project), old)
    assert (old / "tree.json").read_text() == expected


def test_damaged_tree_is_named(run, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    (workdir / "tree.json").write_text("{")
    open_run(workdir)  # does not need it
    with pytest.raises(InputError, match="tree.json is damaged .*: restore it from a copy, or remove it, and"):
        open_run(workdir, structure="tree")


def test_what_has_no_tree_is_refused_in_one_sentence(project, run, tmp_path):
    config = config_of(project, structure="tree")
    config.data.bodyparts = ("green",)
    with pytest.raises(InputError, match="there is only green"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="config.predict.structure = 'trees' must be 'tree', or '' for none"):
        open_run(run, structure="trees")
    config = config_of(project, structure="tree")
    config.method, config.predict.decode = "faster_rcnn", "locref"
    with pytest.raises(InputError, match="structure = 'tree' is not read by config.method = 'faster_rcnn'"):
        train_and_evaluate(config, tmp_path / "run")
    words = ["--config=configs/dlc_r50.py:smoke", "--mode=predict", "--config.predict.structure=tree"]
    assert cli.call(benchmark.ENTRY_POINT, words) == 2


def test_single_bodypart_trains_without_a_tree(project, tmp_path):
    config = config_of(project)
    config.data.bodyparts = ("green",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "toy", MethodEntry(Settings, lambda config, names: Toy(len(names), Settings.of(config))))
        config.predict.decode = "locref"
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run" / "tree.json").exists()


def test_occlusions_hide_labelled_points_only(run):
    opened = open_run(run)
    frames = opened.frames()
    whole = launch.chosen(frames, np.arange(3), copies=2)
    assert whole.ids == tuple(np.repeat(frames.ids[:3], 2)) and len(whole) == 6
    whole.labelled[:, 0, 0] = False
    copies, hidden = launch.occlude(whole, n_hidden=1, side=9, seed=0)
    assert hidden.sum(1).tolist() == [1] * 6 and not hidden[:, 0].any()
    for before, after, points in zip(whole.images, copies.images, whole.keypoints[:, 0][hidden], strict=True):
        changed = np.argwhere((before != after).any(-1))
        assert np.abs(changed - points[::-1]).max() <= 5 and len(changed) > 60


def test_swapped_points_lie_on_their_partners(run):
    frames = launch.chosen(open_run(run).frames(), np.arange(2))
    keypoints = frames.keypoints[:, 0, [0, 2, 1]]
    keypoints[1, 1] = frames.keypoints[1, 0, 1]
    assert launch.swapped(keypoints, frames, ((1, 2),)).tolist() == [[False, True, True], [False, False, True]]
    frames.labelled[0, 0, 1] = False
    assert launch.swapped(keypoints, frames, ((1, 2),)).sum() == 1


def test_launch_script_compares_before_and_after(run, tmp_path, monkeypatch, capsys):
    words = ["structure", str(run), f"--out={tmp_path}", "--pairs=green:blue", "--copies=2", "--hidden=1"]
    monkeypatch.setattr("sys.argv", words)
    launch.main()
    lines = capsys.readouterr().out.splitlines()
    before, after = ([float(x) for x in line.split("|")[3:9]] for line in lines if "frames as they are" in line)
    assert before[4] == 5 and after[4] == 0 and before[0] == after[0] == 15
    assert lines[-1].startswith("tree moves 0 of 10 points of maps with one peak")
    assert (tmp_path / "occluded.png").stat().st_size > 1000
