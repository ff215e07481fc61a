"""Faster R-CNN: what its loss counts and ignores, its predictions, and that it learns."""

import dataclasses
import re
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pawjax.config import default_config
from pawjax.data.augment import Augment
from pawjax.data.batches import FrameStore
from pawjax.engine.step import batch_of_step
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from pawjax.methods.faster_rcnn import Settings
from pawjax.methods.faster_rcnn.decoding import best_box, class_boxes, detections
from pawjax.methods.faster_rcnn.targets import anchor_fit, anchor_grid, boxes_around, keypoints_of, propose
from pawjax.ops import region_chunks
from pawjax.ops.boxes import encode_boxes
from tests.tiny import TINY, TINY_LITE

BODYPARTS = ("left", "right")
SIDE = 24.0


def config_of(**fields):
    config = default_config()
    config.method = "faster_rcnn"
    config.model.backbone, config.model.stem_channels = TINY, 8
    settings = config.faster_rcnn
    settings.box = (SIDE, SIDE)
    settings.anchor_sizes, settings.anchor_ratios = (SIDE,), (1.0,)
    settings.proposals_before, settings.proposals_after = (100, 100), (50, 20)
    settings.head_sampled = 16
    config.update_from_flattened_dict(fields)
    return config


def method_of(**fields):
    return make_method(config_of(**fields), BODYPARTS)


METHOD = method_of(**{"model.backbone": "vgg16"})  # compiles fastest, and no batch statistics couple its images
STRIDE8 = {"faster_rcnn.feature_map": "stride8"}


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (4, 60, 90, 1), np.uint8)),
        "keypoints": jnp.asarray(rng.uniform(5, 55, (4, 1, 2, 2)), jnp.float32),
        "labelled": jnp.array([[True, True], [True, False], [False, False], [True, True]])[:, None],
        "absent": jnp.zeros((4, 1, 2), bool),
        "weight": jnp.ones(4),
        "key": jax.random.split(jax.random.key(3), 4),
    }


@pytest.fixture(scope="module")
def variables():
    return jax.jit(METHOD.init)(jax.random.key(0), make_batch())


@cache
def loss_of(method):
    """Cached: `jax.jit(method.loss)` would be a new function, and compile, each time."""
    return jax.jit(lambda variables, batch: method.loss(variables, batch)[0])


def terms_of(method, variables, batch):
    return jax.device_get(loss_of(method)(variables, batch))


def with_settings(**fields):
    return dataclasses.replace(METHOD, settings=dataclasses.replace(METHOD.settings, **fields))


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, term in expected.items():
        np.testing.assert_allclose(found[name], term, rtol=1e-5, atol=1e-6, err_msg=name)


def take(batch, index):
    return jax.tree.map(lambda x: x[index], batch)


def silenced(variables):
    """Makes all outputs zero: scores are undecided, and boxes stay in place."""
    outer = {
        name: jax.tree.map(jnp.zeros_like, variables["params"][name]) for name in ("rpn", "class_score", "class_box")
    }
    return variables | {"params": variables["params"] | outer}


def test_terms_by_hand(variables):
    """With outputs of zero and all anchors sampled, the loss follows from the overlaps."""
    method = with_settings(rpn_sampled=512)
    batch = make_batch()
    terms = terms_of(method, silenced(variables), batch)
    anchors = np.asarray(anchor_grid((64, 96), 16, 7.5, method.settings), np.float64)
    count, total = 0, 0.0
    for keypoints, labelled in zip(batch["keypoints"][:, 0], batch["labelled"][:, 0], strict=True):
        if not labelled.any():
            continue
        boxes = np.array([[x - 12, y - 12, x + 12, y + 12] for x, y in np.asarray(keypoints)[labelled]])
        sides = np.minimum(anchors[:, None, 2:], boxes[:, 2:]) - np.maximum(anchors[:, None, :2], boxes[:, :2])
        shared = np.maximum(sides, 0).prod(-1)
        iou = shared / (2 * 24**2 - shared)
        positive = (iou.max(1) >= 0.7) | np.isclose(iou, iou.max(0), atol=1e-6).any(1)
        count += (positive | (iou.max(1) < 0.3)).sum()
        shift = (boxes[iou.argmax(1), :2] - anchors[:, :2]) / 24
        size = np.abs(shift)
        total += (np.where(size < 1 / 9, 4.5 * size**2, size - 1 / 18).sum(1) * positive).sum()
    assert terms["rpn_score"][1] == terms["rpn_box"][1] == count
    np.testing.assert_allclose(terms["rpn_score"][0], count * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(terms["rpn_box"][0], total, rtol=1e-4)
    assert terms["head_score"][1] == terms["head_box"][1] == 3 * 16
    # The second image lacks a label: its background loss has two classes, background and the labelled bodypart.
    of_two = (3 * 16 * np.log(3) - terms["head_score"][0]) / np.log(3 / 2)
    assert round(float(of_two), 3) in (12, 13, 14, 15)  # the remaining regions are that bodypart, with three classes
    assert terms["head_box"][0] > 0


@pytest.mark.parametrize("absent, counts", [(False, range(1, 5)), (True, [16])])
def test_background_loss_leaves_out_unknown_classes(absent, counts, variables):
    """At zero logits each region of another class adds 1/3 to a bias gradient; background counts if it is absent."""
    batch, variables = take(make_batch(), jnp.array([1])), silenced(variables)
    batch["absent"] = ~batch["labelled"] & absent

    def head_score(params):
        terms, _ = METHOD.loss(variables | {"params": params}, batch)
        return terms["head_score"][0]

    _, _, right = jax.jit(jax.grad(head_score))(variables["params"])["class_score"]["bias"]
    assert round(3 * float(right), 3) in counts


def test_missing_label_changes_nothing(variables):
    batch = make_batch()
    expected = terms_of(METHOD, variables, batch)
    moved = batch | {"keypoints": batch["keypoints"].at[1, 0, 1].set(1e9).at[2].set(jnp.nan)}
    assert_same(terms_of(METHOD, variables, moved), expected)
    seen = batch | {"labelled": batch["labelled"].at[1, 0, 1].set(True)}
    assert terms_of(METHOD, variables, seen)["rpn_box"][0] != expected["rpn_box"][0]


def test_padding_and_unlabelled_images_do_not_count(variables):
    batch = make_batch()
    expected = terms_of(METHOD, variables, take(batch, jnp.array([0, 1])))
    padded = batch | {"weight": jnp.array([1.0, 1.0, 1.0, 0.0])}
    assert_same(terms_of(METHOD, variables, padded), expected)
    counts = terms_of(METHOD, variables, padded | {"absent": ~batch["labelled"]})
    assert counts["head_score"][1] == expected["head_score"][1] + 16


def test_terms_of_batch_halves_add_up(variables):
    batch = make_batch()
    whole = terms_of(METHOD, variables, batch)
    halves = [terms_of(METHOD, variables, take(batch, half)) for half in (slice(0, 2), slice(2, 4))]
    assert_same({name: np.add(halves[0][name], halves[1][name]) for name in whole}, whole)
    other = terms_of(METHOD, variables, batch | {"key": batch["key"][::-1]})
    assert other["head_score"][0] != whole["head_score"][0], "samples depend on the keys"


def test_every_frame_of_a_batch_has_its_own_key():
    n = 6
    to_original = jnp.tile(jnp.eye(2, 3), (n, 1, 1))
    size = jnp.tile(jnp.array([16, 16]), (n, 1))
    store = FrameStore(
        jnp.zeros((n, 16, 16, 1), jnp.uint8),
        jnp.ones((n, 1, 1, 2)),
        jnp.ones((n, 1, 1), bool),
        jnp.zeros((n, 1, 1), bool),
        size,
        to_original,
    )
    still = Augment(contrast_p=0, brightness_p=0, gamma_p=0, blur_p=0, noise_p=0, occlusion_p=0)
    make = partial(batch_of_step, jax.random.key(0), 5, store, still, 4)
    keys = jax.jit(lambda: jax.random.key_data(make()["key"]))()
    assert len(np.unique(keys, axis=0)) == 4
    last = jax.jit(lambda: jax.random.key_data(make(shard=lambda x: x[2:])["key"]))()
    np.testing.assert_array_equal(last, keys[2:])


def test_gradients_are_finite_for_any_labels(variables):
    @jax.jit
    def gradient(params, batch):
        def total(params):
            terms, _ = METHOD.loss(variables | {"params": params}, batch)
            return weighted_total(terms, METHOD.loss_weights)

        return jax.grad(total)(params)

    batch = make_batch()
    for change in (
        {"labelled": jnp.zeros((4, 1, 2), bool)},
        {"weight": jnp.zeros(4)},
        {"keypoints": jnp.zeros((4, 1, 2, 2))},  # both at one corner
        {"keypoints": batch["keypoints"] + 1000},  # outside the image
    ):
        leaves = jax.tree.leaves(gradient(variables["params"], batch | change))
        assert all(np.isfinite(leaf).all() for leaf in leaves), change.keys()
    assert np.abs(gradient(variables["params"], batch)["class_box"]["kernel"]).max() > 0


def test_boxes_and_keypoints_convert_both_ways():
    settings = Settings(box=(30.0, 20.0), box_shift=(4.0, -7.0))
    keypoints = jnp.array([[1.5, 2.0], [50.0, 33.25]])
    boxes = boxes_around(keypoints, settings)
    np.testing.assert_allclose(boxes[0], [1.5 + 4 - 15, 2 - 7 - 10, 1.5 + 4 + 15, 2 - 7 + 10])
    np.testing.assert_allclose(keypoints_of(boxes, settings), keypoints)


def test_best_box_averages_agreeing_boxes():
    regions = jnp.array([[0.0, 0, 24, 24], [2, 0, 26, 24], [60, 60, 84, 84], [0, 0, 24, 24]])
    truth = jnp.array([-6.0, -8.0, 18.0, 16.0])  # partly outside the image, to the left and above
    weights = (10.0, 10.0, 5.0, 5.0)
    deltas = encode_boxes(jnp.tile(truth, (4, 1)), regions, weights)
    deltas = jnp.stack([jnp.zeros((4, 4)), deltas, -deltas], axis=1).at[2].set(0)
    logits = jnp.array([[0.0, 3, 0], [0.0, 2, 0], [0.0, 1, 5], [0.0, 9, 9]])
    probabilities, boxes = class_boxes(logits, deltas, regions, weights)
    valid = jnp.array([True, True, True, False])
    box, likelihood = best_box(probabilities[:, 0], boxes[:, 0], valid, 0.6)
    np.testing.assert_allclose(box, truth, atol=1e-5)
    np.testing.assert_allclose(likelihood, np.exp(3) / (2 + np.exp(3)), rtol=1e-5)
    box, _ = best_box(probabilities[:, 1], boxes[:, 1], valid, 0.6)
    np.testing.assert_allclose(box, regions[2])
    box, _ = best_box(jnp.array([0.6, 0.2]), jnp.array([[0.0, 0, 24, 24], [4, 0, 28, 24]]), valid[:2], 0.6)
    np.testing.assert_allclose(box, [1, 0, 25, 24], atol=1e-5)  # mean weighted by probability
    assert np.isfinite(best_box(probabilities[:, 0], boxes[:, 0], jnp.zeros(4, bool), 0.6)[0]).all()

    found = detections(probabilities, boxes, valid, (96, 96), max_detections=5, score_threshold=0.5, nms_threshold=0.5)
    assert found["valid"].tolist() == [True, True, False, False, False]
    assert found["classes"][:2].tolist() == [1, 0]
    np.testing.assert_allclose(found["boxes"][1], [0, 0, 18, 16], atol=1e-5)


def test_proposals_are_not_clipped_but_must_overlap_the_image():
    anchors = jnp.array([[-12.0, -12, 12, 12], [-40, 0, -16, 24], [30, 30, 54, 54], [31, 30, 55, 54]])
    logits = jnp.array([1.0, 9, 2, 3])
    boxes, found, scores = propose(logits, jnp.zeros((4, 4)), anchors, (64, 64), 4, 3, Settings())
    np.testing.assert_allclose(boxes[:2], anchors[jnp.array([3, 0])])
    assert found.tolist() == [True, True, False] and scores[:2].tolist() == [3, 1]
    assert propose(logits, jnp.zeros((4, 4)), anchors, (64, 64), 3, 2, Settings())[1].tolist() == [True, False]


def test_no_gradient_flows_through_proposals():
    anchors = jnp.array([[0.0, 0, 24, 24], [30, 30, 54, 54]])

    def places(logits, deltas):
        return propose(logits, deltas, anchors, (64, 64), 2, 2, Settings())[0].sum()

    for gradient in jax.jit(jax.grad(places, argnums=(0, 1)))(jnp.array([1.0, 2]), jnp.full((2, 4), 0.1)):
        np.testing.assert_array_equal(gradient, jnp.zeros_like(gradient))


@pytest.mark.parametrize(
    "fields",
    [
        {"model.backbone": "vgg16", "faster_rcnn.pool": "max", "faster_rcnn.proposals_min_side": 1e4},
        {},
        {"faster_rcnn.pool": "max", "model.norm": "frozen"},
        {"model.backbone": TINY_LITE} | STRIDE8,
    ],
)
def test_prediction_is_always_finite(fields, monkeypatch):
    method, images = method_of(**fields, **{"faster_rcnn.second_looks": 1}), make_batch()["image"].at[0].set(0)
    variables = jax.jit(method.init)(jax.random.key(0), make_batch())
    predict = jax.jit(method.predict)
    found = predict(variables, images)
    assert found["keypoints"].shape == (4, 2, 2) and np.isfinite(found["keypoints"]).all()
    assert ((found["likelihood"] > 0) & (found["likelihood"] <= 1)).all()
    folded, less = method.fold(variables)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3), jax.jit(folded.predict)(less, images), found)
    # The same with the 80 regions in three chunks.
    monkeypatch.setattr(region_chunks, "CPU_BYTES", 27 * method.net.box_head.bytes_per_region)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3), jax.jit(method.predict)(variables, images), found)


def test_training_finds_two_points():
    """End to end: two kinds of spots on four frames, one 2 px from the border, located to within 1.5 px."""
    fields = {"faster_rcnn.class_agnostic": True, "faster_rcnn.head_beta": 1 / 9, "faster_rcnn.head_sampled": 32}
    method = method_of(**STRIDE8, **fields)
    rng = np.random.default_rng(1)
    keypoints = rng.uniform((28, 16), (86, 38), (4, 2, 2)).astype(np.float32)
    keypoints[:, 1] = keypoints[:, 0] + np.array([[-26, 20], [-24, -8], [-25, 6], [-22, 16]])
    keypoints[0, 0] = 88, 30
    y, x = np.mgrid[:60, :90]
    distance = np.hypot(x - keypoints[..., :1, None], y - keypoints[..., 1:, None])
    spots = np.exp(-((distance / 4) ** 2)) * np.array([110, -110])[:, None, None]
    image = 128 + spots.sum(1)[..., None] + rng.normal(0, 8, (4, 60, 90, 1))
    labelled = np.ones((4, 2), bool)
    labelled[3, 1] = False
    batch = make_batch() | {
        "image": jnp.asarray(image.clip(0, 255), jnp.uint8),
        "keypoints": jnp.asarray(keypoints)[:, None],
    }
    batch["labelled"] = jnp.asarray(labelled)[:, None]
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, 100))

    @jax.jit
    def step(carry, key):
        variables, state = carry

        def total(params):
            own = batch | {"key": jax.random.split(key, 4)}
            terms, rest = method.loss(variables | {"params": params}, own)
            return weighted_total(terms, method.loss_weights), rest

        gradients, rest = jax.grad(total, has_aux=True)(variables["params"])
        updates, state = optimizer.update(gradients, state)
        return ({"params": optax.apply_updates(variables["params"], updates), **rest}, state), None

    variables = jax.jit(method.init)(jax.random.key(0), batch)
    carry = (variables, optimizer.init(variables["params"]))
    (variables, _), _ = jax.jit(partial(jax.lax.scan, step))(carry, jax.random.split(jax.random.key(1), 100))
    found = jax.jit(method.predict)(variables, batch["image"])
    error = np.linalg.norm(found["keypoints"] - keypoints, axis=-1)
    assert error[labelled].max() < 1.5, error
    assert found["likelihood"][labelled].min() > 0.5

    detected = jax.jit(partial(method.detect, max_detections=4, score_threshold=0.5))(variables, batch["image"])
    assert (detected["valid"][:3].sum(1) == 2).all() and (detected["boxes"][0] <= jnp.array([90, 60, 90, 60])).all()
    proposed = jax.jit(method.propose)(variables, batch["image"])
    nearest = jnp.linalg.norm(
        keypoints_of(proposed["boxes"][:, :4], method.settings)[:, :, None] - keypoints[:, None], axis=-1
    )
    assert nearest.min(axis=1)[labelled].max() < 6


@pytest.mark.parametrize(
    "field, value",
    [
        ("model.backbone", "vgg19"),
        ("faster_rcnn.feature_map", "p2"),
        ("faster_rcnn.pool", "crop"),
        ("faster_rcnn.box", (0.0, 30.0)),
        ("faster_rcnn.box", (30.0, -1.0)),
        ("faster_rcnn.box", (30.0, float("nan"))),
        ("faster_rcnn.anchor_sizes", ()),
        ("faster_rcnn.anchor_ratios", (1.0, 0.0)),
        ("faster_rcnn.rpn_low", 0.8),
        ("faster_rcnn.head_positive_fraction", 1.5),
        ("faster_rcnn.head_weights", (10.0, 10.0)),
        ("faster_rcnn.proposals_after", (100, 0)),
        ("predict.proposals", -1),
        ("faster_rcnn.rpn_sampled", 0),
        ("faster_rcnn.dropout", 1.0),
        ("faster_rcnn.head_beta", -1.0),
    ],
)
def test_invalid_value_is_named(field, value):
    with pytest.raises(InputError, match=f"config.{field}"):
        method_of(**{field: value})


def test_vgg_refuses_resnet_variant_and_pyramid():
    with pytest.raises(InputError, match="config.model.variant"):
        method_of(**{"model.backbone": "vgg16", "model.variant": "slim"})
    with pytest.raises(InputError, match="config.faster_rcnn.feature_map"):
        method_of(**{"model.backbone": "vgg16"} | STRIDE8)


def test_box_that_no_anchor_fits_gives_a_warning():
    (warning,) = method_of(**{"faster_rcnn.box": (5.0, 5.0), "faster_rcnn.anchor_sizes": (128.0,)}).warnings
    assert re.search(r"box = \(5, 5\) has an IoU of only 0.0015 .*rpn_low = 0.3", warning)
    (warning,) = method_of(
        **{"faster_rcnn.box": (12.0, 12.0), "faster_rcnn.anchor_sizes": (12.0,), "faster_rcnn.proposals_min_side": 16.0}
    ).warnings
    assert "proposals_min_side = 16" in warning
    assert not METHOD.warnings


def test_anchor_fit_averages_over_positions_in_a_cell():
    """A box of its anchor's size is up to half a cell off on each axis; d px off, the two share (1 - d / side)."""
    off = np.abs(np.arange(16) + 0.5 - 8)
    shared = np.outer(1 - off / 32, 1 - off / 32)
    fit = anchor_fit(Settings(box=(32.0, 32.0), anchor_sizes=(32.0,), anchor_ratios=(1.0,)), 16)
    np.testing.assert_allclose(fit, (shared / (2 - shared)).mean(), rtol=1e-5)


def test_anchors_inside_the_image_only(variables):
    batch = make_batch() | {"keypoints": jnp.full((4, 1, 2, 2), 30.0)}
    inside = with_settings(anchors_inside=True, rpn_sampled=512)
    count = terms_of(inside, variables, batch)["rpn_score"][1]
    assert 0 < count <= 3 * 2 * 4  # of 64 x 96 px, centres at 23.5, 39.5 and, along x, 55.5 and 71.5
