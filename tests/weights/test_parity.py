"""Imported weights reproduce torchvision's features and DeepLabCut's maps."""

import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.methods.deeplabcut import DeepLabCut
from pawjax.models.pose_net import PoseNet
from pawjax.models.resnet import UNITS, VARIANTS, ResNet
from pawjax.weights import merge, read_weights, variant_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
HEADS = DeepLabCut.heads


def deeplabcut_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of third_party/deeplabcut/make_golden.py."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("num_batches_tracked"):
        return np.array(0)
    if name.endswith("running_var"):
        return np.float32(np.exp(0.1 * noise))
    if len(shape) == 4:
        return np.float32(noise * np.sqrt(2 / (shape[0] * 9 if "deconv" in name else np.prod(shape[1:]))))
    if name.endswith("weight"):
        return np.float32((0.3 if "bn3" in name else 1.0) * (1 + 0.1 * noise))
    return np.float32(0.1 * noise)


def deeplabcut_snapshot(net: str) -> dict[str, np.ndarray]:
    golden = np.load(GOLDEN / "deeplabcut_nets.npz")
    pairs = zip(golden[f"{net}/names"], golden[f"{net}/shapes"], strict=True)
    return {str(name): deeplabcut_tensor(str(name), tuple(json.loads(str(shape)))) for name, shape in pairs}


def pose_net(n_keypoints: int, depth: int, **options) -> PoseNet:
    return PoseNet(ResNet(depth, **options), n_keypoints)


def fresh(network) -> dict:
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3), jnp.uint8), train=False))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


@pytest.mark.parametrize("net, depth, norm", [("resnet_50", 50, "group"), ("resnet_101", 101, "batch")])
def test_deeplabcut_snapshot_reproduces_its_maps(net, depth, norm):
    golden, network = np.load(GOLDEN / "deeplabcut_nets.npz"), pose_net(3, depth, norm=norm)
    leaves, unknown = read_weights(deeplabcut_snapshot(net))
    merged = merge({"batch_stats": {}} | fresh(network), leaves, source="snapshot", heads=HEADS, unknown=unknown)
    assert not merged.missing
    assert all(name.endswith("num_batches_tracked") for name in merged.skipped)
    images = jnp.asarray(golden["images"])
    maps = jax.jit(lambda v, x: network.apply(v, x, train=False))(merged.variables, images)
    for ours, theirs in (("scoremap", "heatmap"), ("locref", "locref")):
        expected = golden[f"{net}/{theirs}"][:, :-1, :-1]  # DeepLabCut's has an extra row and column
        found = np.asarray(maps[ours]).reshape(expected.shape)
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def torchvision_state(depth: int) -> dict[str, np.ndarray]:
    """The weights of third_party/torchvision/make_golden.py, in torchvision's names and layout."""

    def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        kind = name.rsplit("/", 1)[1]
        if kind == "kernel":
            return np.float32(noise * np.sqrt(2 / np.prod(shape[:-1])))
        small = 0.3 if "/conv3/" in name else 1.0
        values = {"scale": small * (1 + 0.1 * noise), "bias": 0.1 * noise, "mean": 0.1 * noise}
        return np.float32(values.get(kind, np.exp(0.1 * noise)))

    golden = np.load(GOLDEN / "torchvision_resnet.npz")
    pairs = zip(golden[f"resnet{depth}/names"], golden[f"resnet{depth}/shapes"], strict=True)
    shapes = {str(name): tuple(json.loads(str(shape))) for name, shape in pairs}
    modules = {"stem": ("conv1", "bn1")}
    for block, units in enumerate(UNITS[depth], start=1):
        for unit in range(units):
            ours, theirs = f"block{block}_unit{unit + 1}", f"layer{block}.{unit}"
            modules |= {f"{ours}/conv{i}": (f"{theirs}.conv{i}", f"{theirs}.bn{i}") for i in (1, 2, 3)}
            if not unit:
                modules[f"{ours}/shortcut"] = (f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    kinds = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    for ours, (conv, norm) in modules.items():
        o, i, h, w = shapes[f"{conv}.weight"]
        state[f"{conv}.weight"] = recipe(f"{ours}/kernel", (h, w, i, o)).transpose(3, 2, 0, 1)
        for kind, theirs in kinds.items():
            state[f"{norm}.{theirs}"] = recipe(f"{ours}/{kind}", (o,))
    return state


def test_torchvision_state_dict_reproduces_its_features():
    golden, network = np.load(GOLDEN / "torchvision_resnet.npz"), pose_net(4, 50, norm="frozen")
    leaves, unknown = read_weights(torchvision_state(50))
    merged = merge(fresh(network), leaves, source="resnet50.pth", heads=HEADS, unknown=unknown)
    assert {name.split("/")[1] for name in merged.missing} == {"scoremap", "locref"}
    assert {name for name in merged.skipped if "num_batches" not in name} == {"fc.weight", "fc.bias"}
    backbone = {kind: tree["backbone"] for kind, tree in merged.variables.items()}
    variant = VARIANTS["torchvision"]
    images = jnp.asarray((golden["images"] * np.float32(variant.std) + np.float32(variant.mean)) * 255)
    features, _ = jax.jit(lambda v, x: ResNet(norm="frozen").apply(v, x, train=False))(backbone, images)
    expected = golden["resnet50/block4"]
    found = np.asarray(features[16])[..., ::16]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_another_architecture_is_refused_by_name():
    leaves, unknown = read_weights(deeplabcut_snapshot("resnet_50"))
    fits = "which fits config.model.backbone = 'resnet50': tensors of the backbone: 153 missing: "
    with pytest.raises(InputError, match=rf"snapshot: .*{fits}.*block3_unit10/conv1/kernel is missing.* more$"):
        merge(fresh(pose_net(3, 101, norm="group")), leaves, source="snapshot", heads=HEADS)
    with pytest.raises(InputError, match=r"block1_unit3/.* is unexpected"):
        merge(fresh(pose_net(3, 26, norm="group")), leaves, source="snapshot", heads=HEADS)
    with pytest.raises(InputError, match="which fits config.model.norm = 'group': tensors of"):
        merge(fresh(pose_net(3, 50, norm="batch")), leaves, source="snapshot", heads=HEADS)
    with pytest.raises(
        InputError, match=r"stem_channels = 64: .*shape: .*conv1/kernel has shape \[1, 1, 64, 64\], not"
    ):
        merge(fresh(pose_net(3, 50, norm="group", stem_channels=32)), leaves, source="snapshot", heads=HEADS)


def test_heads_of_other_bodyparts_are_not_loaded():
    leaves, unknown = read_weights(deeplabcut_snapshot("resnet_50"))
    variables = fresh(pose_net(5, 50, norm="group"))
    merged = merge(variables, leaves, source="snapshot", heads=HEADS, unknown=unknown)
    assert sorted(merged.missing) == [
        f"params/{head}/{leaf}" for head in ("locref", "scoremap") for leaf in ("bias", "kernel")
    ]
    assert merged.variables["params"]["scoremap"]["kernel"] is variables["params"]["scoremap"]["kernel"]
    assert "4 left unchanged, of locref, scoremap" in str(merged)


def test_layers_of_another_method_are_left_out():
    leaf = np.zeros(2, np.float32)
    leaves = {"params/backbone/a": leaf, "params/box_head/fc6/bias": leaf}
    merged = merge({"params": {"backbone": {"a": leaf}}}, leaves, source="vgg16.pth", heads=HEADS)
    assert merged.used == ["params/backbone/a"] and merged.skipped == ["params/box_head/fc6/bias"]


def test_numbers_that_are_not_finite_are_refused():
    variables = {"params": {"backbone": {"a": np.zeros(2, np.float32)}}}
    for value in (np.nan, np.inf):
        with pytest.raises(InputError, match="w.pth: params/backbone/a holds numbers that are not finite"):
            merge(variables, {"params/backbone/a": np.array([0, value], np.float32)}, source="w.pth", heads=HEADS)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (4, 0, 1, 1), (2, 2, 2), (1, 1, 1, 1, 1)])
def test_known_names_of_odd_shapes_are_no_traceback(shape):
    names = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "features.0.weight", "features.0.bias"]
    names += ["classifier.0.weight", "classifier.3.weight", "rpn.head.conv.weight", "rpn.head.cls_logits.bias"]
    names += ["rpn.head.bbox_pred.weight", "roi_heads.box_predictor.cls_score.weight", "pre_logits.fc1.weight"]
    names += [f"heads.bodypart.{head}_head.deconv_layers.0.weight" for head in ("heatmap", "locref")]
    names += ["resnet_v1_50/conv1/weights", "pose/part_pred/block4/weights"]
    for name in names:
        known, unknown = read_weights({name: np.zeros(shape, np.float32)}, anchors=(1, 3))
        assert len(known) + len(unknown) == 1
        variant_of({name: np.zeros(shape, np.float32)})
