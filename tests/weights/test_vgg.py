"""Imported VGG-16 weights reproduce torchvision's features and, in the box head, its classifier layers."""

import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.methods.faster_rcnn import FasterRCNN
from pawjax.models.box_heads import DenseHead
from pawjax.models.vgg import MEAN, STD, VGG16
from pawjax.weights import merge, read_weights, variant_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "torchvision_vgg.npz"
HIDDEN = 32  # width of the golden's classifier, instead of 4096


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The VGG-16 weights of third_party/torchvision/make_golden.py."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("weight"):
        return np.float32(noise * np.sqrt(2 / np.prod(shape[1:])))
    return np.float32((0.1 if name.endswith("bias") else 1.0) * noise)


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    """torchvision's state dict, with the golden's smaller classifier."""
    golden = np.load(GOLDEN)
    shapes = {str(n): tuple(json.loads(str(s))) for n, s in zip(golden["names"], golden["shapes"], strict=True)}
    shapes |= {"classifier.0.weight": (HIDDEN, 512 * 49), "classifier.0.bias": (HIDDEN,)}
    shapes |= {"classifier.3.weight": (HIDDEN, HIDDEN), "classifier.3.bias": (HIDDEN,)}
    shapes |= {"classifier.6.weight": (2, HIDDEN), "classifier.6.bias": (2,)}
    return {name: recipe(name, shape) for name, shape in shapes.items()}


def as_it_is(x: jax.Array) -> jax.Array:
    """Uses maps as regions."""
    return x


def fresh(hidden: int = HIDDEN) -> dict:
    def init():
        backbone = VGG16().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
        head = DenseHead(hidden).init(jax.random.key(0), jnp.zeros((1, 7, 7, 512)), as_it_is, train=False)
        return {"params": {"backbone": backbone["params"], "box_head": head["params"]}}

    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(init))


def relative_error(found: jax.Array, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def test_torchvision_state_dict_reproduces_its_features(state):
    golden = np.load(GOLDEN)
    leaves, unknown = read_weights(state)
    merged = merge(fresh(), leaves, source="vgg16.pth", heads=FasterRCNN.heads, unknown=unknown)
    assert not merged.missing and merged.skipped == ["classifier.6.weight", "classifier.6.bias"]
    assert variant_of(state) == ""
    params = merged.variables["params"]
    images = (recipe("images", (1, 64, 90, 3)) * np.float32(STD) + np.float32(MEAN)) * 255
    features, _ = jax.jit(VGG16().apply, static_argnums=2)({"params": params["backbone"]}, images, False)
    for block in range(1, 6):
        error = relative_error(features[2 ** (block - 1)][..., ::32], golden[f"block{block}"])
        assert error < 1e-4, f"block {block}: {error:.1e}"
    found = DenseHead(HIDDEN).apply({"params": params["box_head"]}, recipe("regions", (2, 7, 7, 512)), as_it_is, False)
    assert relative_error(found, golden["fc7"]) < 1e-4


def test_timm_names_give_the_same_leaves(state):
    timms = {name: value for name, value in state.items() if name.startswith("features")}
    for ours, theirs, side in (("classifier.0", "pre_logits.fc1", 7), ("classifier.3", "pre_logits.fc2", 1)):
        timms[f"{theirs}.weight"] = state[f"{ours}.weight"].reshape(HIDDEN, -1, side, side)
        timms[f"{theirs}.bias"] = state[f"{ours}.bias"]
    timms |= {"head.fc.weight": state["classifier.6.weight"], "head.fc.bias": state["classifier.6.bias"]}
    (expected, _), (found, unknown) = read_weights(state), read_weights(timms)
    assert unknown == ["head.fc.weight", "head.fc.bias"] and found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_box_head_of_another_size_is_not_loaded(state):
    merged = merge(fresh(hidden=16), read_weights(state)[0], source="vgg16.pth", heads=FasterRCNN.heads)
    assert merged.missing == [
        f"params/box_head/{layer}/{leaf}" for layer in ("fc6", "fc7") for leaf in ("bias", "kernel")
    ]


def test_other_networks_are_refused_by_name(state):
    without = {name: value for name, value in state.items() if not name.startswith("features.28")}
    with pytest.raises(InputError, match="vgg13.pth.*params/backbone/conv5_3/bias is missing"):
        merge(fresh(), read_weights(without)[0], source="vgg13.pth", heads=FasterRCNN.heads)
    narrow = state | {"features.10.weight": state["features.10.weight"][:128]}
    with pytest.raises(InputError, match=r"conv3_1/kernel has shape \[3, 3, 128, 128\], not \[3, 3, 128, 256\]"):
        merge(fresh(), read_weights(narrow)[0], source="vgg.pth", heads=FasterRCNN.heads)
    mobile = {"classifier.0.weight": np.zeros((1280, 960)), "features.0.0.weight": np.zeros((16, 3, 3, 3))}
    assert read_weights(mobile) == ({}, list(mobile))
