"""Matching against torchvision's Matcher (tests/golden), with padding, ties, and boxes without a good candidate."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.boxes import box_iou
from pawjax.ops.matching import best_iou_per_box, match

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "detection_matches.npz")
RULES = {
    "anchors": {"high": 0.7, "low": 0.3, "allow_low_quality": True},
    "proposals": {"high": 0.5, "low": 0.5, "allow_low_quality": False},
}
YES = np.array([True])

compiled = jax.jit(match, static_argnames=("high", "low", "allow_low_quality"))


@pytest.mark.parametrize("rule", RULES)
def test_matches_equal_torchvision(rule):
    iou = jax.vmap(box_iou)(GOLDEN["boxes"], GOLDEN["candidates"])
    found = jax.vmap(lambda iou, valid: match(iou, valid, **RULES[rule]))(iou, GOLDEN["valid"])
    label = GOLDEN[f"label_{rule}"]
    assert (label == 1).sum() > 50 and (label == 0).sum() > 50
    np.testing.assert_array_equal(found.label, label)
    positive = label == 1
    np.testing.assert_array_equal(np.asarray(found.index)[positive], GOLDEN[f"index_{rule}"][positive])
    np.testing.assert_array_equal(found.iou, np.where(GOLDEN["valid"][..., None], iou, 0).max(axis=1))


@pytest.mark.parametrize("rule", RULES)
def test_padding_changes_nothing(rule):
    for boxes, valid, candidates in zip(GOLDEN["boxes"], GOLDEN["valid"], GOLDEN["candidates"], strict=True):
        alone = compiled(box_iou(boxes[valid], candidates), valid[valid], **RULES[rule])
        for junk in (np.zeros(4), candidates[0], [np.inf] * 4):
            padded = jnp.where(valid[:, None], boxes, jnp.asarray(junk))
            jax.tree.map(
                np.testing.assert_array_equal, compiled(box_iou(padded, candidates), valid, **RULES[rule]), alone
            )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("boxes", [0, 3])
def test_everything_is_negative_without_boxes(rule, boxes):
    iou = np.full((boxes, 5), 0.9, np.float32)
    found = match(iou, np.zeros(boxes, bool), **RULES[rule])
    jax.tree.map(np.testing.assert_array_equal, tuple(found), (np.zeros(5), np.zeros(5), np.zeros(5)))


def test_thresholds_are_inclusive():
    iou = np.array([[0.3, 0.29, 0.7, 0.69, 0.9]], np.float32)
    np.testing.assert_array_equal(match(iou, YES, high=0.7, low=0.3).label, [-1, 0, 1, -1, 1])


def test_low_quality_matches_take_ties_but_need_overlap():
    iou = np.array([[0.2, 0.1, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    rule = RULES["anchors"]
    np.testing.assert_array_equal(match(iou, np.array([True, True]), **rule).label, [1, 0, 1, 0])
    np.testing.assert_array_equal(match(iou, YES.repeat(2), high=0.7, low=0.3).label, [0, 0, 0, 0])


def test_low_quality_matches_keep_the_box_of_largest_overlap():
    iou = np.array(
        [[0.8, 0.6], [0.1, 0.4]], np.float32
    )  # candidate 1 is the second box's best, but overlaps the first more
    found = match(iou, YES.repeat(2), **RULES["anchors"])
    np.testing.assert_array_equal(found.label, [1, 1])
    np.testing.assert_array_equal(found.index, [0, 0])


def test_equal_overlaps_go_to_the_first_box():
    found = match(np.array([[0.2, 0.6], [0.6, 0.6]], np.float32), YES.repeat(2), high=0.5, low=0.5)
    np.testing.assert_array_equal(found.index, [1, 0])


def test_unusable_candidates_are_ignored_and_never_best():
    iou, usable = np.array([[0.9, 0.4, 0.1]], np.float32), np.array([False, True, True])
    np.testing.assert_array_equal(match(iou, YES, usable=usable, **RULES["anchors"]).label, [-1, 1, 0])


def test_best_iou_per_box():
    boxes, candidates = GOLDEN["boxes"].reshape(-1, 4), GOLDEN["candidates"][0]
    np.testing.assert_allclose(best_iou_per_box(boxes, candidates), box_iou(boxes, candidates).max(1), atol=1e-7)
    # A square whose centre is 8 px off on both axes has an IoU of 0.7 if its side is 86 px.
    for side, reached in ((84, False), (88, True)):
        square = np.array([[0, 0, side, side]], np.float32)
        assert (best_iou_per_box(square + 8, square)[0] >= 0.7) == reached
