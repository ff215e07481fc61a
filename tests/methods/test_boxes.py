"""Boxes of a detector: average precision by hand, anchor and proposal recall, and the command end to end."""

import dataclasses
import json
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pawjax
from configs.frcnn_r50_fast import get_config
from pawjax import cli, data, evaluate
from pawjax.config import default_config
from pawjax.data.batches import FrameStore
from pawjax.engine.checkpoints import Checkpoints
from pawjax.engine.runlog import describe_run, write_config
from pawjax.engine.state import create_state
from pawjax.errors import InputError
from pawjax.files import write_json
from pawjax.inference.evaluation import evaluate_run
from pawjax.inference.run import Run, read_run_files
from pawjax.inference.tracker import Tracker
from pawjax.methods import make_method
from pawjax.methods.faster_rcnn import Settings, boxes
from pawjax.methods.faster_rcnn.targets import boxes_around
from pawjax.ops.warp import resize
from pawjax.optim import Optimizer, make_optimizer
from pawjax.report.frames import EvaluatedFrames
from pawjax.report.gallery import worst_frames
from tests.tiny import TINY

SIDE = 20.0
RIGHT = np.array([1.0, 0, 1, 0])


def square(x, y, side=SIDE):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def detections(found, scores, classes=None, valid=None):
    found, scores = np.asarray(found, np.float32), np.asarray(scores, np.float32)
    classes = np.zeros(scores.shape, np.int32) if classes is None else np.asarray(classes)
    valid = np.ones(scores.shape, bool) if valid is None else np.asarray(valid)
    return {"boxes": found, "scores": scores, "classes": classes, "valid": valid}


TRUTH = np.array([[square(30, 30)], [square(50, 40)], [square(20, 60)], [square(70, 20)]], np.float32)
ALL = np.ones((4, 1), bool)


def precision_of(found, scores, labelled=ALL, **fields):
    return boxes.average_precision(TRUTH, labelled, detections(found, scores, **fields), ("paw",))


@pytest.mark.parametrize("shift", [0, 1, 2, 4, 6, 10])
def test_average_precision_follows_from_the_shift(shift):
    iou = (SIDE - shift) / (SIDE + shift)
    thresholds = np.linspace(0.5, 0.95, 10)
    found = precision_of(TRUTH + shift * RIGHT, np.full((4, 1), 0.9))
    assert found["AP"] == pytest.approx((iou >= thresholds).mean())
    assert (found["AP50"], found["AP75"]) == (iou >= 0.5, iou >= 0.75)
    assert found["per_bodypart"] == {"paw": {name: found[name] for name in ("AP", "AP50", "AP75")}}


def test_wrong_box_ranked_first_halves_precision():
    labelled = np.array([[True], [True], [False], [False]])
    found = TRUTH + np.array([500.0, 0, 0, 0])[:, None, None] * RIGHT  # the first one, of the highest score, misses
    numbers = precision_of(found, [[0.9], [0.8], [0.7], [0.7]], labelled)
    assert numbers["AP50"] == pytest.approx(0.5 * 51 / 101)  # up to a recall of a half: 51 of COCO's 101 points
    numbers = precision_of(found, [[0.1], [0.8], [0.7], [0.7]], labelled)
    assert numbers["AP50"] == pytest.approx(51 / 101)


def test_unlabelled_boxes_are_not_scored():
    labelled = np.array([[True], [False], [True], [True]])
    found = TRUTH + np.array([0.0, 500, 0, 0])[:, None, None] * RIGHT
    scores = [[0.8], [0.9], [0.8], [0.8]]
    assert precision_of(found, scores, labelled)["AP"] == pytest.approx(1)
    assert precision_of(found, scores)["AP"] < 0.8, "the same box is wrong where it is labelled"
    nothing = precision_of(found, scores, np.zeros((4, 1), bool))
    assert nothing["AP"] is None and nothing["per_bodypart"]["paw"]["AP50"] is None
    assert precision_of(found, scores, valid=np.zeros((4, 1), bool))["AP"] == 0


def test_bodyparts_are_classes():
    truth = np.concatenate([TRUTH, TRUTH + 3 * RIGHT], axis=1)
    labelled = np.ones((4, 2), bool)
    found = detections(truth, np.full((4, 2), 0.9), classes=np.tile([0, 1], (4, 1)))
    names = ("left", "right")
    assert boxes.average_precision(truth, labelled, found, names)["AP"] == pytest.approx(1)
    exchanged = found | {"classes": found["classes"][:, ::-1]}
    numbers = boxes.average_precision(truth, labelled, exchanged, names)
    assert numbers["per_bodypart"]["left"]["AP"] == pytest.approx(0.5)  # IoU 17 / 23: five of ten thresholds
    labelled[:, 1] = False
    numbers = boxes.average_precision(truth, labelled, found, names)
    assert numbers["AP"] == pytest.approx(1) and numbers["per_bodypart"]["right"]["AP"] is None


SETTINGS = Settings(box=(SIDE, SIDE), anchor_sizes=(SIDE,), anchor_ratios=(1.0,))


def method_with(settings=SETTINGS, **fields):
    """The detector attributes that the numbers need; stride 16, the first cell at pixel 0."""
    return SimpleNamespace(settings=settings, stride=16, net=SimpleNamespace(stride=16, center=0.0), **fields)


def test_best_anchors_by_hand():
    method = method_with()
    truth = np.array([square(16, 16), square(18, 16), square(40, 40)], np.float32)
    worst = 12**2 / (2 * 20**2 - 12**2)  # 8 px off on both axes
    fit = boxes.anchor_fit_of_labels(method, truth, (60, 90))
    assert fit["mean_iou"] == pytest.approx((1 + 18 / 22 + worst) / 3)
    assert fit["min_iou"] == pytest.approx(worst)
    assert fit["share_from_high"] == pytest.approx(2 / 3) and fit["share_under_low"] == pytest.approx(1 / 3)
    tiny = boxes.anchor_fit_of_labels(method, np.array([square(18, 18, 5)], np.float32), (60, 90))
    assert tiny["mean_iou"] == pytest.approx(25 / 400) and tiny["share_under_low"] == 1
    assert boxes.anchor_fit_of_labels(method, truth[:0], (60, 90))["mean_iou"] is None


def test_untrained_anchors_do_not_count():
    method = method_with(dataclasses.replace(SETTINGS, anchors_inside=True))
    corner = np.array([square(0, 16)], np.float32)
    assert boxes.anchor_fit_of_labels(method, corner, (60, 90))["min_iou"] == pytest.approx(4 / 36)


def test_recall_counts_proposals_that_cover_a_box():
    proposals = np.stack([TRUTH[:, 0] + 5 * RIGHT, TRUTH[:, 0] + 8 * RIGHT], axis=1)  # IoU 0.6 and 12 / 28
    valid = np.array([[True, True], [False, True], [True, True], [False, False]])
    found = boxes.proposal_recall(TRUTH, ALL, {"boxes": proposals, "valid": valid})
    assert (found["n"], found["iou"], found["recall"]) == (2, 0.5, 0.5)
    assert found["mean_best_iou"] == pytest.approx((0.6 + 12 / 28 + 0.6 + 0) / 4)
    labelled = np.array([[True], [False], [False], [False]])
    assert boxes.proposal_recall(TRUTH, labelled, {"boxes": proposals, "valid": valid})["recall"] == 1


def test_best_detection_of_a_bodypart_is_chosen():
    found = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    detected = detections(found, [[0.9, 0.8, 0.7]], classes=[[2, 0, 2]], valid=[[False, True, True]])
    chosen = boxes.chosen_boxes(detected, 3)
    np.testing.assert_array_equal(chosen[0, [0, 2]], found[0, [1, 2]])
    assert np.isnan(chosen[0, 1]).all()


def test_boxes_are_in_pixels_of_the_original_frames(tmp_path, monkeypatch):
    """Frames of two sizes at half scale, some labels at the border, and a detector that returns the truth."""
    original = np.array([[60, 3], [90, 40], [30, 30]], np.float32)[:, None]
    size = np.array([[32, 64], [32, 64], [32, 32]], np.int32)
    half = np.tile(np.array([[2, 0, 0.5], [0, 2, 0.5]], np.float32), (3, 1, 1))
    keypoints = (original - 0.5) / 2
    image = np.zeros((3, 32, 64, 1), np.uint8)
    truth = jnp.asarray(boxes_around(jnp.asarray(keypoints), SETTINGS))

    def answer(found):
        ones = jnp.ones(found.shape[:2])
        return {"boxes": found, "scores": ones, "classes": ones.astype(jnp.int32) - 1, "valid": ones > 0}

    def detect(variables, images, **_):
        return answer(jnp.clip(truth, 0, jnp.array([64.0, 32, 64, 32])))

    def propose(variables, images):
        return answer(truth + 2 * jnp.asarray(RIGHT))

    drawn = {}

    def draw(*arguments, boxes):
        drawn["boxes"] = boxes
        worst_frames(*arguments, boxes=boxes)

    monkeypatch.setattr(boxes, "worst_frames", draw)
    store = FrameStore(image, keypoints[:, None], np.ones((3, 1, 1), bool), np.zeros((3, 1, 1), bool), size, half)
    frames = EvaluatedFrames(
        images=np.zeros((3, 64, 128, 1), np.uint8),
        sizes=2 * size,
        truth=original[:, None],
        labelled=np.ones((3, 1, 1), bool),
        absent=np.zeros((3, 1, 1), bool),
        predicted=original[:, None] + 4,
        likelihood=np.ones((3, 1, 1)),
        ids=("a", "b", "c"),
        bodyparts=("paw",),
    )
    method = method_with(detect=detect, propose=propose)
    outputs = jax.device_get(boxes.predict_boxes(method, {}, image))
    numbers = boxes.write_boxes(tmp_path, method, outputs, store, frames, {"split": "dev"})
    assert numbers["AP"] == pytest.approx(1), "also at the border, where detections are clipped"
    assert numbers["box_px"] == [2 * SIDE, 2 * SIDE] and numbers["n_boxes"] == numbers["n_images"] == 3
    assert numbers["proposals"]["mean_best_iou"] == pytest.approx(18 / 22)
    assert json.loads((tmp_path / "boxes.json").read_text()) == numbers
    expected = np.array([square(*point, 2 * SIDE) for point in original[:, 0]])
    np.testing.assert_allclose(drawn["boxes"].truth[:, 0, 0], expected, atol=1e-4)
    np.testing.assert_allclose(drawn["boxes"].proposals[:, 0], expected + 4 * RIGHT, atol=1e-4)
    np.testing.assert_allclose(drawn["boxes"].chosen[1, 0, 0], expected[1].clip(-0.5, 127.5), atol=1e-4)
    with Image.open(tmp_path / "proposals.png") as picture:
        assert min(picture.size) > 200


def begin_run(workdir, **fields):
    """The run folder at the start of training, with a checkpoint of random weights."""
    config = get_config("smoke")
    config.model.backbone, config.model.stem_channels = TINY, 8
    config.data.paw_on_ball.update(height=64, width=96)
    config.update(fields)
    write_config(workdir, config)
    source = data.DataConfig.of(config)
    frames = data.load(source)
    split = data.split(source, frames)
    data.write_split(workdir / "split.json", frames, split)
    write_json(workdir / "run.json", describe_run(config, frames, split))
    (workdir / "metrics.jsonl").touch()
    method, optimizer = make_method(config, frames.bodyparts), make_optimizer(Optimizer.of(config))
    image = np.zeros((1, 64, 96, 1), np.uint8)
    checkpoints = Checkpoints(workdir)
    checkpoints.save(jax.jit(lambda: create_state(method, optimizer, 0, {"image": image}, False))())
    checkpoints.close()
    return config


def test_evaluate_command_writes_boxes_and_proposals(tmp_path, capsys):
    begin_run(tmp_path)
    assert cli.call(evaluate.ENTRY_POINT, [f"--workdir={tmp_path}", "--boxes"]) == 0
    folder = tmp_path / "eval" / "dev"
    numbers = json.loads((folder / "boxes.json").read_text())
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("dev: 4 frames") and second.startswith(f"dev: {numbers['n_boxes']} boxes, AP 0.")
    assert str(folder / "boxes.json") in second and (folder / "proposals.png").stat().st_size > 10_000
    assert (numbers["step"], numbers["proposals"]["n"]) == (0, 50) and 0 <= numbers["AP"] <= 1
    assert 0.7 < numbers["anchors"]["min_iou"] <= numbers["anchors"]["mean_iou"] <= 1  # of 64 px, stride 8
    assert (folder / "metrics.json").is_file() and (folder / "worst_frames.png").is_file()


def test_tracker_detects_every_instance_in_image_pixels(tmp_path):
    config = begin_run(tmp_path, scale=0.5)
    images = np.random.default_rng(0).integers(0, 256, (2, 170, 250, 1), np.uint8)
    options = dict(max_detections=7, score_threshold=0.0, nms_threshold=0.9)
    tracker = pawjax.load(tmp_path, "last")
    found = tracker.detect(images, **options)
    method, variables = (
        make_method(config, tracker.bodyparts),
        read_run_files(tmp_path).restore("last", False).variables,
    )
    expected = jax.jit(partial(method.detect, **options))(variables, resize(jnp.asarray(images), 85, 125))
    assert (found["valid"].sum(axis=1) > 1).all() and (np.diff(found["scores"]) <= 0).all()
    np.testing.assert_array_equal(found["valid"], expected["valid"])
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-4)
    np.testing.assert_allclose(found["boxes"], 2 * np.asarray(expected["boxes"]) + 0.5, atol=1e-2)
    assert not tracker.detect(images, score_threshold=1.0)["valid"].any()
    assert (found["valid"].sum(axis=1) > 2).all(), "otherwise fewer proposals make no difference"
    assert (pawjax.load(tmp_path, "last", proposals=2).detect(images, **options)["valid"].sum(axis=1) <= 2).all()


def test_score_maps_have_no_instances_and_detectors_no_score_maps(tmp_path):
    begin_run(tmp_path)
    with pytest.raises(InputError, match=r"decode='votes' is not read by .* 'faster_rcnn': it reads proposals"):
        pawjax.load(tmp_path, "last", decode="votes")
    with pytest.raises(InputError, match=r"decode='locref' is not read by this run's method"):
        evaluate_run(tmp_path, "dev", "last", decode="locref")
    assert not (tmp_path / "eval").exists()
    config = default_config()
    tracker = Tracker(
        Run(tmp_path, config, {"data": {}}, ("paw",), make_method(config, ("paw",)), variables={}, step=0)
    )
    with pytest.raises(InputError, match="this run's method finds no instances"):
        tracker.detect(np.zeros((1, 8, 8, 1), np.uint8))


def test_boxes_need_a_detector_and_pycocotools(tmp_path, monkeypatch):
    config = default_config()
    write_config(tmp_path, config)
    about = {"source": "paw_on_ball", "fingerprint": "", "bodyparts": ["paw"], "n_train": 1, "n_dev": 1, "n_test": 1}
    write_json(tmp_path / "run.json", {"command": ["train.py"], "device": "cpu", "n_devices": 1, "data": about})
    with pytest.raises(InputError, match="config.method = 'deeplabcut', has no evaluation of boxes: leave --boxes out"):
        evaluate_run(tmp_path, "dev", "best", ("boxes",))
    config.predict.flip = True
    with pytest.raises(InputError, match="--boxes cannot be combined with --flip or --scales"):
        boxes.evaluate_boxes(config)
    config.predict.flip = False
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'pawjax\[coco\]'"):
        boxes.evaluate_boxes(config)
    assert not (tmp_path / "eval").exists()
