"""Boxes against torchvision and pycocotools (tests/golden), and their invariants."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import boxes
from tests.ops.oracles import box_xywh_to_xyxy

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TORCHVISION = np.load(GOLDEN / "detection_boxes.npz")
WEIGHTS = {"ones": (1.0, 1.0, 1.0, 1.0), "head": (10.0, 10.0, 5.0, 5.0)}


def random_boxes(seed, count, smallest=1.0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(smallest, 80, (count, 2))], axis=1).astype(np.float32)


def test_iou_equals_torchvision():
    found = boxes.box_iou(TORCHVISION["first"], TORCHVISION["second"])
    np.testing.assert_allclose(found, TORCHVISION["iou"], atol=1e-6)


def test_iou_equals_pycocotools():
    golden = np.load(GOLDEN / "detection_pycocotools.npz")
    first, second = box_xywh_to_xyxy(golden["first"]), box_xywh_to_xyxy(golden["second"])
    np.testing.assert_allclose(boxes.box_iou(first, second), golden["iou"], atol=2e-6)


def test_iou_of_empty_and_inverted_boxes_is_zero():
    odd = np.array([[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 4, 4], [9, 0, 4, 8]], np.float32)
    found = boxes.box_iou(odd, np.concatenate([odd, [[0, 0, 20, 20]]]).astype(np.float32))
    np.testing.assert_array_equal(found, np.zeros((4, 5)))
    np.testing.assert_array_equal(boxes.box_area(odd), np.zeros(4))


@pytest.mark.parametrize("seed", range(5))
def test_iou_does_not_depend_on_order_place_or_unit(seed):
    first, second = random_boxes(seed, 20), random_boxes(seed + 100, 30)
    iou = boxes.box_iou(first, second)
    np.testing.assert_array_equal(iou, boxes.box_iou(second, first).T)
    np.testing.assert_allclose(iou, boxes.box_iou(first * 4, second * 4), atol=1e-6)
    np.testing.assert_allclose(iou, boxes.box_iou(first + 64, second + 64), atol=1e-4)
    np.testing.assert_allclose(np.diagonal(boxes.box_iou(first, first)), 1, atol=1e-6)
    assert (np.asarray(iou) >= 0).all() and (np.asarray(iou) <= 1).all()


@pytest.mark.parametrize("name", WEIGHTS)
def test_coder_equals_torchvision(name):
    anchors = TORCHVISION["first"][:30]
    found = boxes.encode_boxes(TORCHVISION["second"], anchors, WEIGHTS[name])
    np.testing.assert_allclose(found, TORCHVISION[f"encoded_{name}"], atol=2e-5)
    found = boxes.decode_boxes(TORCHVISION["deltas"], anchors, WEIGHTS[name])
    np.testing.assert_allclose(found, TORCHVISION[f"decoded_{name}"], rtol=1e-5, atol=1e-4)


def test_decoded_sides_are_bounded():
    anchor = jnp.array([[0.0, 0, 16, 16]])
    huge = boxes.decode_boxes(jnp.array([[0.0, 0, 1000, 2]]), anchor)
    assert boxes.box_xyxy_to_xywh(huge)[0, 2] == pytest.approx(1000, rel=1e-5)
    free = boxes.decode_boxes(jnp.array([[0.0, 0, 5, 2]]), anchor, max_log_ratio=float("inf"))
    assert boxes.box_xyxy_to_xywh(free)[0, 2] == pytest.approx(16 * np.exp(5), rel=1e-5)


@pytest.mark.parametrize("weights", WEIGHTS.values())
def test_decoding_inverts_encoding(weights):
    labelled, anchors = random_boxes(0, 50), random_boxes(1, 50)
    found = boxes.decode_boxes(boxes.encode_boxes(labelled, anchors, weights), anchors, weights)
    np.testing.assert_allclose(found, labelled, atol=1e-4)


def test_padded_boxes_have_finite_deltas_and_gradients():
    empty, anchors = jnp.zeros((3, 4)), jnp.asarray(random_boxes(0, 3)).at[1].set(0)
    value, gradients = jax.value_and_grad(lambda a, b: boxes.encode_boxes(a, b).sum(), argnums=(0, 1))(empty, anchors)
    assert np.isfinite(value) and all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.isfinite(jax.grad(lambda d: boxes.decode_boxes(d, anchors).sum())(jnp.full((3, 4), 200.0))).all()


def test_clipping_and_smallest_side_equal_torchvision():
    first = TORCHVISION["first"]
    np.testing.assert_array_equal(boxes.clip_boxes(first, 90, 120), TORCHVISION["clipped"])
    np.testing.assert_array_equal(boxes.large_enough(first, 20.0), TORCHVISION["large_enough"])


def test_formats_by_hand_and_back():
    xyxy = np.array([[1.0, 2, 4, 8]], np.float32)
    np.testing.assert_array_equal(boxes.box_xyxy_to_xywh(xyxy), [[1, 2, 3, 6]])
    np.testing.assert_array_equal(boxes.box_cxcywh_to_xyxy(np.array([[2.5, 5, 3, 6]])), xyxy)
    np.testing.assert_array_equal(box_xywh_to_xyxy(boxes.box_xyxy_to_xywh(xyxy)), xyxy)
