"""Detectors with torchvision's weights reproduce torchvision, from features to losses, for C4 and VGG-16."""

import json
import zlib
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from pawjax.config import default_config
from pawjax.engine.state import TrainState
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from pawjax.methods.faster_rcnn import FasterRCNN, targets
from pawjax.methods.faster_rcnn.targets import anchor_grid
from pawjax.models.backbones import Model
from pawjax.ops.sampling import sample
from pawjax.weights import merge, read_weights, variant_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
HEIGHT, WIDTH, CHANNELS, SIDE = 96, 128, 8, 44.0
KEYPOINTS = np.array([[[40.3, 37.6], [93.1, 58.4]], [[10.7, 71.2], [66.2, 30.9]]], np.float32)
SIZES, RATIOS = (24.0, 48.0), (0.25, 1.0, 4.0)
LOSSES = {
    "rpn_score": "loss_objectness",
    "rpn_box": "loss_rpn_box_reg",
    "head_score": "loss_classifier",
    "head_box": "loss_box_reg",
}
KINDS = ("c4", "vgg")


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of third_party/torchvision/make_detector_golden.py."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return np.float32(np.exp(0.1 * noise))
    if name.endswith("weight") and len(shape) == 1:
        return np.float32((0.3 if "bn3" in name else 1.0) * (1 + 0.1 * noise))
    if name.endswith("weight"):
        small = {"rpn.head.bbox_pred.weight": 0.15, "roi_heads.box_predictor.cls_score.weight": 0.5}
        return np.float32(small.get(name, 1.0) * noise * np.sqrt(2 / np.prod(shape[1:])))
    return np.float32(0.1 * noise)


def images_and_rois() -> tuple[np.ndarray, np.ndarray]:
    """The inputs of third_party/torchvision/make_detector_golden.py."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, HEIGHT // 8, WIDTH // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    images = (coarse + rng.integers(0, 256, coarse.shape)) // 2
    centre, side = rng.uniform((0, 0), (WIDTH, HEIGHT), (2, 12, 2)), rng.uniform(6, 70, (2, 12, 2))
    rois = np.concatenate([centre - side / 2, centre + side / 2], axis=-1)
    return images.astype(np.uint8), rois.astype(np.float32)


@cache
def golden(kind: str) -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / f"detector_{kind}.npz"))


@cache
def torchvision_state(kind: str) -> dict[str, np.ndarray]:
    names, shapes = golden(kind)["names"], golden(kind)["shapes"]
    return {str(n): recipe(str(n), tuple(json.loads(str(s)))) for n, s in zip(names, shapes, strict=True)}


def config_of(kind: str) -> ConfigDict:
    """The SETTINGS of third_party/torchvision/make_detector_golden.py."""
    config = default_config()
    config.method = "faster_rcnn"
    config.model.backbone = {"c4": "resnet26", "vgg": "vgg16"}[kind]
    config.model.stem_channels, config.model.norm = CHANNELS, "frozen"
    config.faster_rcnn.box = (SIDE, SIDE)
    config.faster_rcnn.anchor_sizes, config.faster_rcnn.anchor_ratios = SIZES, RATIOS
    config.faster_rcnn.proposals_before, config.faster_rcnn.proposals_after = (160, 100), (80, 40)
    config.faster_rcnn.proposals_min_side = 1e-3
    config.faster_rcnn.rpn_sampled, config.faster_rcnn.head_sampled = 64, 32
    config.faster_rcnn.head_beta = 1 / 9
    return config


@cache
def method_of(kind: str):
    return make_method(config_of(kind), ("left", "right"))


def fresh(method) -> dict:
    batch = {"image": jax.ShapeDtypeStruct((1, 32, 32, 3), np.uint8)}
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


@cache
def variables_of(kind: str) -> dict:
    """The variables with all of torchvision's tensors."""
    leaves, unknown = read_weights(torchvision_state(kind), (len(SIZES), len(RATIOS)))
    merged = merge(fresh(method_of(kind)), leaves, source="detector.pth", heads=FasterRCNN.heads, unknown=unknown)
    assert not merged.missing and not merged.skipped
    return merged.variables


@cache
def maps_of(kind: str) -> tuple:
    """Features, RPN maps, and outputs of the head."""
    images, rois = map(jnp.asarray, images_and_rois())
    net = method_of(kind).net

    def look(variables):
        features = net.apply(variables, images, train=False, method="features")
        outer = net.apply(variables, features, method="proposals")
        return features, *outer, *net.apply(variables, features, rois, train=False, method="regions")

    return jax.device_get(jax.jit(look)(variables_of(kind)))


def assert_close(found: np.ndarray, expected: np.ndarray, what: str, limit: float = 1e-4) -> None:
    """Tolerance: `limit` times the largest number."""
    assert found.shape == expected.shape, what
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < limit, f"{what}: {error:.1e}"


def in_our_order(by_ratio: np.ndarray, axis: int) -> np.ndarray:
    """Reorders the anchors of a cell from torchvision's (ratio, size) to (size, ratio)."""
    order = np.arange(len(SIZES) * len(RATIOS)).reshape(len(RATIOS), len(SIZES)).T.ravel()
    return np.take(by_ratio, order, axis)


@pytest.mark.parametrize("kind", KINDS)
def test_features_and_rpn_maps_equal_torchvision(kind):
    features, logits, deltas, *_ = maps_of(kind)
    expected = golden(kind)
    assert_close(features, expected["features"], "features")
    assert_close(logits, in_our_order(expected["rpn_logits"], 3).reshape(2, -1), "logits")
    assert_close(deltas, in_our_order(expected["rpn_deltas"], 3).reshape(2, -1, 4), "deltas")
    method = method_of(kind)
    anchors = anchor_grid((HEIGHT, WIDTH), method.net.stride, method.net.center, method.settings)
    theirs = in_our_order(expected["anchors"].reshape(-1, len(SIZES) * len(RATIOS), 4), 1).reshape(-1, 4)
    np.testing.assert_array_equal(anchors, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_head_at_given_regions_equals_torchvision(kind):
    *_, logits, deltas = maps_of(kind)
    assert_close(logits, golden(kind)["head_logits"], "logits")
    assert_close(deltas.reshape(2, 12, -1), golden(kind)["head_deltas"], "deltas")


@pytest.mark.parametrize("kind", KINDS)
def test_proposals_and_detections_equal_torchvision(kind):
    expected, method = golden(kind), method_of(kind)
    images = jnp.asarray(images_and_rois()[0])

    def find(variables):
        return method.propose(variables, images), method.detect(variables, images, max_detections=80)

    proposals, detections = jax.device_get(jax.jit(find)(variables_of(kind)))
    for i in (0, 1):
        boxes = proposals["boxes"][i][proposals["valid"][i]]
        np.testing.assert_allclose(boxes, expected[f"proposals{i}"], atol=1e-2)
        boxes = detections["boxes"][i]
        valid = detections["valid"][i]
        np.testing.assert_array_equal(detections["classes"][i][valid] + 1, expected[f"labels{i}"])
        np.testing.assert_allclose(detections["scores"][i][valid], expected[f"scores{i}"], atol=1e-4)
        np.testing.assert_allclose(boxes[valid], expected[f"boxes{i}"], atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_equal_torchvision(kind, monkeypatch):
    """Both systems take the first candidates in place of random samples."""
    monkeypatch.setattr(targets, "sample", lambda key, *args: sample(None, *args))
    method, expected = method_of(kind), golden(kind)
    batch = {
        "image": jnp.asarray(images_and_rois()[0]),
        "keypoints": jnp.asarray(KEYPOINTS)[:, None],
        "labelled": jnp.ones((2, 1, 2), bool),
        "absent": jnp.zeros((2, 1, 2), bool),
        "weight": jnp.ones(2),
        "key": jax.random.split(jax.random.key(0), 2),
    }

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def loss(params, rest):
        terms, _ = method.loss(rest | {"params": params}, batch)
        return weighted_total(terms, method.loss_weights), terms

    variables = variables_of(kind)
    params = variables["params"]
    (_, terms), gradients = jax.device_get(loss(params, {"batch_stats": variables["batch_stats"]}))
    for ours, theirs in LOSSES.items():
        np.testing.assert_allclose(terms[ours][0] / terms[ours][1], expected[theirs], rtol=1e-4, err_msg=ours)

    names = [name for name in expected if name.startswith("gradient/")]
    leaves, unknown = read_weights({name.removeprefix("gradient/"): expected[name] for name in names})
    assert len(leaves) == len(names) == 3 and not unknown
    for name, gradient in leaves.items():
        found = gradients
        for key in name.replace("backbone/block4_", "box_head/block4_").split("/")[1:]:
            found = found[key]
        assert_close(found, gradient, name)


def plain_file(kind: str) -> dict[str, np.ndarray]:
    """The detector's network as a classifier file, as torchvision publishes it."""
    state = torchvision_state(kind)
    if kind == "c4":
        prefixes = {"backbone.body.": "", "roi_heads.box_head.": ""}
        rest = {"fc.weight": np.zeros((5, 32 * CHANNELS)), "fc.bias": np.zeros(5)}
        rest |= {"bn1.num_batches_tracked": np.array(7)}
    else:
        prefixes = {"backbone.": "features.", "roi_heads.box_head.fc6": "classifier.0"}
        prefixes |= {"roi_heads.box_head.fc7": "classifier.3"}
        rest = {"classifier.6.weight": np.zeros((5, 64 * CHANNELS)), "classifier.6.bias": np.zeros(5)}
    plain = {}
    for name, value in state.items():
        for prefix, other in prefixes.items():
            if name.startswith(prefix):
                plain[other + name.removeprefix(prefix)] = value
    return plain | rest


def leaf_names(variables) -> dict[str, np.ndarray]:
    flat, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {"/".join(entry.key for entry in path): np.asarray(leaf) for path, leaf in flat}


@pytest.mark.parametrize("kind, n_used", [("c4", 5 + 8 * 15 + 4 * 5), ("vgg", 26 + 4)])
def test_classifier_file_fills_backbone_and_head(kind, n_used, tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, **plain_file(kind))
    variables = jax.tree.map(jnp.asarray, fresh(method_of(kind)))
    key = jax.random.key(0)
    params = variables.pop("params")
    state = TrainState(step=jnp.zeros(()), params=params, extra=variables, opt_state=(), average={}, key=key)
    state, merged = initialise(state, method_of(kind), str(path), Model(), ("left", "right"))
    found, expected = leaf_names(state.variables), variables_of(kind)
    assert len(merged.used) == n_used and len(merged.skipped) == len(plain_file(kind)) - n_used
    assert {name.split("/")[1] for name in merged.used} == {"backbone", "box_head"}
    assert {name.split("/")[1] for name in merged.missing} == {"rpn", "class_score", "class_box"}
    for name in merged.used:
        np.testing.assert_array_equal(found[name], leaf_names(expected)[name], err_msg=name)


@pytest.mark.parametrize(
    "kind, renamed",
    [
        ("c4", {"backbone.body.": "module.backbone.", "box_head.layer4.": "box_head.0.", "conv.0.0.": "conv."}),
        ("vgg", {"backbone.": "backbone.body.features.", "box_head.fc6": "box_head.1", "box_head.fc7": "box_head.4"}),
    ],
)
def test_other_spellings_give_the_same_leaves(kind, renamed):
    """Backbones split differently, heads as plain Sequential, and torchvision's older RPN."""
    state = {}
    for name, value in torchvision_state(kind).items():
        for old, new in renamed.items():
            name = name.replace(old, new)
        state[name] = value
    (found, unknown), (expected, _) = read_weights(state), read_weights(torchvision_state(kind))
    assert not unknown and found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


HEADS = {"rpn", "class_score", "class_box"}
FINE_HEADS = {*HEADS, "box_head", "lateral8", "lateral16", "lateral32", "smooth"}


@pytest.mark.parametrize("feature_map, heads", [("stride16", HEADS), ("stride8", FINE_HEADS)])
def test_fpn_file_fills_the_backbone(feature_map, heads):
    """The published fasterrcnn_resnet50_fpn in a ResNet-50: layer4 fills C4's head; the stride 8 layers are new."""
    names, shapes = golden("c4")["fpn_names"], golden("c4")["fpn_shapes"]
    state = {str(n): np.ones(json.loads(str(s)), np.float16) for n, s in zip(names, shapes, strict=True)}
    assert variant_of(state) == "torchvision"
    config = default_config()
    config.method, config.model.norm, config.faster_rcnn.feature_map = "faster_rcnn", "frozen", feature_map
    leaves, unknown = read_weights(state, (3, 3))
    merged = merge(
        fresh(make_method(config, ("left", "right"))), leaves, source="fpn.pth", heads=FasterRCNN.heads, unknown=unknown
    )
    body = [name for name in state if name.startswith("backbone.body.")]
    assert len(merged.used) == len(body) == 265
    assert merged.skipped == [name for name in state if name not in body]
    assert {name.split("/")[1] for name in merged.missing} == heads


def test_mismatched_weights_are_named():
    into = {kind: fresh(method_of(kind)) for kind in KINDS}
    resnet, vgg = (read_weights(torchvision_state(kind))[0] for kind in KINDS)
    with pytest.raises(
        InputError, match=r"r26.pth: .*, which fits config.model.backbone = 'resnet26' and .*conv1_1/bias is"
    ):
        merge(into["vgg"], resnet, source="r26.pth", heads=FasterRCNN.heads)
    with pytest.raises(InputError, match=r"backbone = 'vgg16': .*backbone/block1_unit1/conv1/.* is missing"):
        merge(into["c4"], vgg, source="vgg.pth", heads=FasterRCNN.heads)
    heads = {name: value for name, value in resnet.items() if "/backbone/" not in name}
    with pytest.raises(InputError, match=r"heads.pth: .*backbone/block1_unit1/conv1/.* is missing"):
        merge(into["c4"], heads, source="heads.pth", heads=FasterRCNN.heads)

    config = config_of("c4")
    config.faster_rcnn.anchor_sizes, config.faster_rcnn.anchor_ratios = SIZES[:1], (*RATIOS, 2.0, 3.0)
    other = make_method(config, ("left", "right", "nose", "tail"))  # other classes and anchors
    merged = merge(fresh(other), resnet, source="detector.pth", heads=FasterRCNN.heads)
    outer = ("class_box", "class_score", "rpn/box", "rpn/score")
    expected = [f"params/{layer}/{leaf}" for layer in outer for leaf in ("bias", "kernel")]
    assert sorted(merged.missing) == sorted(merged.skipped) == expected
