"""A run with the pairwise head: its checkpoints hold what they know of pairs, and every door finds it there."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import pawjax
from pawjax import cli, export
from pawjax.data.batches import make_store
from pawjax.engine.loop import train_and_evaluate
from pawjax.errors import InputError
from pawjax.inference.run import open_run
from pawjax.structure import learn_offsets
from tests.integration.test_structure import NAMES, hidden_frames, project
from tests.tiny import tiny_config

__all__ = ["project"]  # a fixture


def config_of(project, **fields):
    config = tiny_config()
    config.update(scale=0.25, steps=4, batch_size=4, log_every=2, eval_every=4, checkpoint_every=2)
    config.data.update(source="deeplabcut", path=str(project), split_file=str(project / "split.json"))
    config.augment.crop = (48, 64)
    config.deeplabcut.update(pairwise_weight=0.05, radius=8.0)
    config.optimizer.update(schedule="constant", warmup_steps=0)
    config.update_from_flattened_dict(fields)
    return config


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "pairs"
    train_and_evaluate(config_of(project), workdir)
    return workdir


def test_checkpoint_needs_no_data(run, project, tmp_path):
    opened = open_run(run)
    frames = opened.frames()
    store = make_store(frames, opened.split(frames)["train"], 0.25)
    expected = learn_offsets(store.keypoints, store.labelled, 8.0)
    moved = shutil.copytree(run, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    config["data"]["path"] = str(tmp_path / "gone")
    (moved / "config.json").write_text(json.dumps(config))
    other = open_run(moved, structure="tree")
    known = other.method.pairwise(other.variables)
    np.testing.assert_allclose(known.mean, expected.mean, rtol=1e-5)
    np.testing.assert_allclose(known.deviation, expected.deviation, rtol=1e-5)
    assert np.isfinite(known.weights).all() and np.abs(known.weights).max(1).min() > 0
    found = pawjax.load(moved, structure="tree")(hidden_frames())
    assert all(np.isfinite(values).all() for values in found)


def test_tree_reads_the_image_only_with_the_head(run):
    """Without its head the same network has the points of the Gaussian tree."""
    tracker = pawjax.load(run, structure="tree")
    plain = open_run(run, structure="tree")
    assert plain.method.net.pairwise and tracker.bodyparts == NAMES
    net = plain.method.net.clone(pairwise=False)
    without = dataclasses.replace(plain, method=dataclasses.replace(plain.method, net=net))
    images = np.zeros((1, 64, 64, 3), np.uint8)
    shapes = [jax.eval_shape(one.method.score_maps, one.variables, images).pair_offsets for one in (plain, without)]
    assert shapes[0].shape == (1, 8, 8, 3, 2, 2) and shapes[1] is None
    assert without.method.pairwise(without.variables) is None


def test_stopped_run_resumes_bit_for_bit(run, project, tmp_path):
    train_and_evaluate(config_of(project, steps=2), tmp_path)
    train_and_evaluate(config_of(project), tmp_path)
    whole, resumed = (open_run(folder, "last") for folder in (run, tmp_path))
    assert whole.step == resumed.step == 4
    jax.tree.map(np.testing.assert_array_equal, resumed.variables, whole.variables)


def test_head_starts_from_nothing_if_the_other_run_has_none(run, project, tmp_path):
    train_and_evaluate(config_of(project, steps=2, **{"deeplabcut.pairwise_weight": 0.0}), tmp_path / "none")
    with pytest.raises(InputError, match="another network"):
        shutil.copy(run / "config.json", shutil.copytree(tmp_path / "none", tmp_path / "wrong"))
        open_run(tmp_path / "wrong")
    fields = {"predict.structure": "tree", "parallel": "pmap", "init_from": str(tmp_path / "none")}
    train_and_evaluate(config_of(project, steps=2, **fields), tmp_path / "next")  # judged with its pairs
    missing = json.loads((tmp_path / "next/run.json").read_text())["init_from"]["missing"]
    assert {name.split("/")[1] for name in missing} == {"pairwise"}
    known = open_run(tmp_path / "next").variables["pairs"]["pairwise"]
    np.testing.assert_allclose(known["mean"], open_run(run).variables["pairs"]["pairwise"]["mean"], rtol=1e-5)


def test_export_holds_the_pairs(run, tmp_path):
    pytest.importorskip("flatbuffers")
    out = tmp_path / "network.jax"
    assert cli.call(export.ENTRY_POINT, [f"--workdir={run}", "--structure=tree", f"--out={out}", "--format=jax"]) == 0
    network, images = jax.export.deserialize(bytearray(out.read_bytes())), hidden_frames()
    expected = pawjax.load(run, structure="tree")(images)[0]
    np.testing.assert_allclose(network.call(images)["keypoints"], expected, atol=0.01)
