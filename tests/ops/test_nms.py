"""Suppression against torchvision and ONNX Runtime (tests/golden), and against the greedy algorithm in plain numpy."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from pawjax.ops import nms as module
from pawjax.ops.boxes import box_iou
from pawjax.ops.nms import SINGLE_TILE, nms
from tests.ops.oracles import greedy_nms

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TILES = [None, 1, 37]


def with_tiles_of(size, function=nms):
    """`function`, compiled with tiles of `size` boxes; None: the default size."""

    @partial(jax.jit, static_argnames="k")
    def compiled(boxes, scores, **options):
        with pytest.MonkeyPatch.context() as patch:  # during tracing
            if size:
                patch.setattr(module, "SINGLE_TILE", 0)
                patch.setattr(module, "TILE", size)
            return function(boxes, scores, **options)

    return compiled


PROGRAMS = {size: with_tiles_of(size) for size in TILES}


def kept(boxes, scores, tile=None, valid=None, classes=None, **options):
    """Indices of the kept boxes, highest score first. Compiled once per input size."""
    valid = np.ones(len(boxes), bool) if valid is None else valid
    classes = np.zeros(len(boxes), np.int32) if classes is None else np.asarray(classes, np.int32)
    index, found = jax.tree.map(np.asarray, PROGRAMS[tile](boxes, scores, valid=valid, classes=classes, **options))
    assert (found[:-1] >= found[1:]).all() and (index[~found] == 0).all()
    return index[found]


def greedy(boxes, *rest):
    return greedy_nms(np.asarray(box_iou(boxes, boxes)), *rest)


def random_case(seed, count=150, spread=25):
    rng = np.random.default_rng(seed)
    centre, side = rng.normal((100, 80), spread, (count, 2)), rng.uniform(15, 80, (count, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    scores = rng.normal(size=count).astype(np.float32)
    if seed % 2:
        scores, boxes[::5] = np.round(scores, 1), boxes[0]  # ties, and the same box many times
    return boxes, scores, rng


@pytest.mark.parametrize("crowd", ["crowded", "sparse"])
@pytest.mark.parametrize("tile", TILES)
def test_nms_equals_torchvision(crowd, tile):
    golden = np.load(GOLDEN / "detection_nms.npz")
    boxes, scores, classes = (golden[f"{what}_{crowd}"] for what in ("boxes", "scores", "classes"))
    for name, of_class in (("kept", np.zeros(256, np.int8)), ("kept_by_class", classes)):
        for threshold, expected in zip(golden["thresholds"], golden[f"{name}_{crowd}"], strict=True):
            found = kept(boxes, scores, tile, classes=of_class, iou_threshold=threshold, k=256)
            np.testing.assert_array_equal(found, expected[expected >= 0])


@pytest.mark.parametrize("tile", TILES)
def test_nms_equals_onnxruntime(tile):
    golden = np.load(GOLDEN / "detection_onnxruntime.npz")
    for threshold, expected in zip(golden["thresholds"], golden["kept"], strict=True):
        found = kept(golden["boxes"], golden["scores"], tile, iou_threshold=threshold, k=200)
        np.testing.assert_array_equal(found, expected[expected >= 0])


@pytest.mark.parametrize("seed", range(12))
def test_nms_is_greedy(seed):
    boxes, scores, rng = random_case(seed)
    valid, classes = rng.uniform(size=150) < 0.8, rng.integers(0, 1 + seed % 4, 150)
    for threshold in (0.0, 0.1, 0.3, 0.45, 0.5, 0.7, 0.95):
        expected = greedy(boxes, scores, threshold, valid, classes)
        for tile in TILES[::2]:
            found = kept(boxes, scores, tile, valid, classes, iou_threshold=threshold, k=150)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("k", [1, 40, 200])
@pytest.mark.parametrize("tile", TILES)
def test_first_k_are_a_prefix_of_all(k, tile):
    for seed in range(4):
        boxes, scores, _ = random_case(seed)
        expected = greedy(boxes, scores, 0.4)
        np.testing.assert_array_equal(kept(boxes, scores, iou_threshold=0.4, k=k, tile=tile), expected[:k])


def test_more_boxes_than_the_default_tile():
    boxes, scores, _ = random_case(0, SINGLE_TILE + 300, spread=400)
    found = kept(boxes, scores, iou_threshold=0.3, k=SINGLE_TILE)
    np.testing.assert_array_equal(found, greedy(boxes, scores, 0.3))


def test_chain_of_overlaps_keeps_every_second_box():
    # Each box overlaps only its neighbours: every second one is kept, and each decision depends on the one before.
    left = 10.0 * np.arange(100, dtype=np.float32)
    boxes = np.stack([left, 0 * left, left + 15, 0 * left + 15], axis=1)
    for tile in TILES:
        found = kept(boxes, -left, iou_threshold=0.19, k=100, tile=tile)
        np.testing.assert_array_equal(found, np.arange(0, 100, 2))


def test_box_exactly_at_the_threshold_is_kept():
    boxes = np.array([[0, 0, 20, 10], [0, 0, 10, 10], [0, 0, 9.9, 10]], np.float32)
    np.testing.assert_array_equal(kept(boxes, np.array([3.0, 2, 1]), iou_threshold=0.5, k=3), [0, 1])
    np.testing.assert_array_equal(kept(boxes[[0, 2, 1]], np.array([3.0, 2, 1]), iou_threshold=0.5, k=3), [0, 1])


def test_padding_is_dropped_and_suppresses_nothing():
    boxes, scores, _ = random_case(2)
    junk = np.concatenate([boxes[:20], np.zeros((20, 4), np.float32)])
    padded, high = np.concatenate([junk, boxes]), np.concatenate([np.full(40, 99, np.float32), scores])
    valid = np.arange(190) >= 40
    for k in (20, 150):
        found = kept(padded, high, iou_threshold=0.3, k=k, valid=valid) - 40
        np.testing.assert_array_equal(found, kept(boxes, scores, iou_threshold=0.3, k=k))
    assert not len(kept(boxes, scores, iou_threshold=0.3, k=5, valid=np.zeros(150, bool)))


def test_empty_boxes_are_all_kept():
    for tile in (None, 37):  # the second is truncated to the four boxes
        found = kept(np.full((4, 4), 5, np.float32), np.arange(4.0), iou_threshold=0.5, k=6, tile=tile)
        np.testing.assert_array_equal(found, [3, 2, 1, 0])


@pytest.mark.parametrize("seed", range(4))
def test_kept_boxes_are_apart_and_dropped_boxes_overlap_a_kept_one(seed):
    boxes, scores, rng = random_case(2 * seed)
    found, iou = kept(boxes, scores, iou_threshold=0.35, k=150), np.asarray(box_iou(boxes, boxes))
    assert np.triu(iou[np.ix_(found, found)], 1).max() <= 0.35
    for gone in set(range(150)) - set(found.tolist()):
        assert (scores[found[iou[found, gone] > 0.35]] >= scores[gone]).any()
    np.testing.assert_array_equal(kept(boxes[found], scores[found], iou_threshold=0.35, k=150), np.arange(len(found)))
    order = rng.permutation(150)
    np.testing.assert_array_equal(order[kept(boxes[order], scores[order], iou_threshold=0.35, k=150)], found)


def test_batch_equals_single_images():
    cases = [random_case(seed, spread=15 + 20 * seed)[:2] for seed in range(4)]
    program = with_tiles_of(32, jax.vmap(partial(nms, iou_threshold=0.3, k=60)))
    alone = [with_tiles_of(32)(*case, iou_threshold=0.3, k=60) for case in cases]
    batched = program(*(np.stack(part) for part in zip(*cases, strict=True)))
    jax.tree.map(lambda many, *one: np.testing.assert_array_equal(many, np.stack(one)), batched, *alone)
