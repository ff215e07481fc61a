"""TF-slim's weights reproduce its features and DeepLabCut's maps, and load only into their own variant."""

import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pawjax.engine.state import create_state
from pawjax.engine.transfer import initialise
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.methods.deeplabcut import DeepLabCut
from pawjax.models.backbones import Model
from pawjax.models.pose_net import PoseNet
from pawjax.models.resnet import UNITS, VARIANTS, ResNet, unit_names
from pawjax.weights import merge, read_tensors, read_weights, variant_of
from tests.tiny import tiny_config

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tf_slim.npz"
MAPS = {"scoremap": "part_pred", "locref": "locref_pred", "intermediate_scoremap": "intermediate_supervision"}
METHOD = make_method(tiny_config(), ("paw",))
NETS = {50: "block3_unit4", 101: "block3_unit12"}


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of third_party/tf_slim/make_golden.py."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    layer, kind = name.rsplit("/", 1)
    if kind == "weights":
        return np.float32(noise * np.sqrt(2 / (9 * shape[3] if layer.startswith("pose/") else np.prod(shape[:-1]))))
    if kind == "gamma":
        return np.float32((0.3 if "/conv3/" in name else 1.0) * (1 + 0.1 * noise))
    if kind == "moving_variance":
        return np.float32((1e4 if layer.count("/") == 2 else 1.0) * np.exp(0.1 * noise))
    return np.float32(0.1 * noise)


def checkpoint(depth: int) -> dict[str, np.ndarray]:
    golden = np.load(GOLDEN)
    pairs = zip(golden[f"resnet{depth}/names"], golden[f"resnet{depth}/shapes"], strict=True)
    return {str(name): recipe(str(name), tuple(json.loads(str(shape)))) for name, shape in pairs}


def fresh(network: PoseNet) -> dict:
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3), jnp.uint8), train=False))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def relative_error(found, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(found).reshape(expected.shape) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("depth", NETS)
def test_tensorflow_snapshot_reproduces_its_features_and_maps(depth, tmp_path):
    path = tmp_path / "snapshot.npz"
    np.savez(path, **checkpoint(depth))
    backbone = ResNet(depth, norm="frozen", variant="slim", taps=tuple(unit_names(depth)))
    network = PoseNet(backbone, 3, intermediate=NETS[depth])
    leaves, unknown = read_weights(read_tensors(path))
    merged = merge(fresh(network), leaves, source="snapshot.npz", heads=DeepLabCut.heads, unknown=unknown)
    assert not merged.missing and not merged.skipped
    golden = np.load(GOLDEN)

    @jax.jit  # the weights are arguments: as constants, they are folded while the program compiles
    def apply(variables, x):
        inner = {kind: tree["backbone"] for kind, tree in variables.items()}
        return network.apply(variables, x, train=False), backbone.apply(inner, x, train=False)

    for size in ("even", "odd"):
        maps, (_, outputs) = apply(merged.variables, jnp.asarray(golden[f"images/{size}"]))
        errors = {
            f"block{b}": relative_error(
                outputs[f"block{b}_unit{n}"][..., ::16], golden[f"resnet{depth}/{size}/block{b}"]
            )
            for b, n in enumerate(UNITS[depth], start=1)
        }
        errors |= {ours: relative_error(maps[ours], golden[f"resnet{depth}/{size}/{MAPS[ours]}"]) for ours in MAPS}
        assert max(errors.values()) < 1e-4, errors


@pytest.fixture(scope="module")
def state():
    method, batch = METHOD, {"image": np.zeros((1, 32, 32, 3), np.uint8)}
    return jax.jit(lambda: create_state(method, optax.identity(), 0, batch, average=False))()


@pytest.mark.parametrize(
    "tensors, theirs, ours",
    [
        ({"resnet_v1_50/conv1/weights": np.zeros((7, 7, 3, 8))}, "slim", "torchvision"),
        ({"conv1.weight": np.zeros((8, 3, 7, 7))}, "torchvision", "slim"),
        ({"backbone.model.conv1.weight": np.zeros((8, 3, 7, 7))}, "torchvision", "slim"),
    ],
)
def test_weights_of_the_other_variant_are_refused(tensors, theirs, ours, state, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **tensors)
    assert variant_of(tensors) == theirs and theirs in VARIANTS
    with pytest.raises(
        InputError, match=rf"weights\.npz'.*set config\.model\.variant = '{theirs}', which is '{ours}'$"
    ):
        initialise(state, METHOD, str(path), Model(variant=ours), ("paw",))
    with pytest.raises(InputError, match="weights of another network"):  # the variant fits, the rest is missing
        initialise(state, METHOD, str(path), Model(variant=theirs), ("paw",))
