"""EfficientNet-Lite: the published networks' logits and features, parameter counts, and the geometry of its maps."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.engine.published import imagenet_file
from pawjax.errors import InputError
from pawjax.models.backbones import Model
from pawjax.models.efficientnet import SIZES, EfficientNetLite
from pawjax.models.fold import fold, with_fields
from pawjax.weights import merge, read_tensors, read_weights
from tests.tiny import TINY_SIZE

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "efficientnet_lite.npz")
STRIDES = (2, 4, 8, 16, 32)
PUBLISHED = {0: 4.7, 1: 5.4, 2: 6.1, 3: 8.2, 4: 13.0}  # million parameters, with the classifier


IMAGE = np.zeros((1, 64, 64, 3), np.uint8)


def shapes_of(network, images=IMAGE):
    return jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), images, train=False))


@cache
def tensors_of(size):
    try:
        return read_tensors(imagenet_file(Model(backbone=f"efficientnet_lite{size}")))
    except InputError as error:
        pytest.skip(str(error))


def variables_of(size, **options):
    """The network, and the published weights in it."""
    network = EfficientNetLite(size, **options)
    fresh = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes_of(network)[1])
    leaves, unknown = read_weights(tensors_of(size))
    inner = {kind: {"backbone": tree} for kind, tree in fresh.items()}
    merged = merge(inner, leaves, source="file", heads=(), unknown=unknown)
    assert {name.split(".")[0] for name in merged.skipped if "num_batches" not in name} == {"_conv_head", "_bn1", "_fc"}
    return network, {kind: tree["backbone"] for kind, tree in merged.variables.items()}


def run(network, variables, images):
    return jax.jit(lambda v, x: network.apply(v, x, train=False)[0])(variables, images)


def logits_of(size, features):
    """What the rest of the published network computes from its last features."""
    tensors = {name: value.astype(np.float64) for name, value in tensors_of(size).items()}
    x = np.asarray(features, np.float64) @ tensors["_conv_head.weight"][:, :, 0, 0].T
    deviation = np.sqrt(tensors["_bn1.running_var"] + 1e-3)
    x = (x - tensors["_bn1.running_mean"]) / deviation * tensors["_bn1.weight"] + tensors["_bn1.bias"]
    return x.clip(0, 6).mean((1, 2)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]


def assert_close(found, expected):
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"relative error {error:.1e}"


def sample(x):
    """As in third_party/efficientnet_lite/make_golden.py."""
    rows, columns = (np.unique(np.linspace(0, n - 1, 6).astype(int)) for n in x.shape[1:3])
    return np.asarray(x)[:, rows[:, None], columns, ::4]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_published_weights_give_the_published_features_and_classes(size):
    network, variables = variables_of(size, norm="frozen", output_stride=32)
    images, (height, width) = GOLDEN["images"], GOLDEN["odd"]
    features = run(network, variables, images)
    assert tuple(features) == STRIDES
    for stride in STRIDES:
        assert_close(sample(features[stride]), GOLDEN[f"lite{size}/stride{stride}"])
    logits = logits_of(size, features[32])
    assert_close(logits[:, ::4], GOLDEN[f"lite{size}/logits"])
    np.testing.assert_array_equal(logits.argmax(1), GOLDEN[f"lite{size}/classes"])
    if size == 0:  # other paddings
        odd = run(network, variables, images[:, :height, :width])
        assert_close(logits_of(size, odd[32])[:, ::4], GOLDEN["lite0/odd_logits"])


def test_folded_and_dilated_published_weights_agree_with_plain_ones():
    network, variables = variables_of(0, norm="frozen", output_stride=32)
    images = GOLDEN["images"][:1, :64, :64]
    plain = run(network, variables, images)
    folded = run(with_fields(network, norm="none"), fold(network, variables), images)
    for stride in STRIDES:
        assert_close(folded[stride], np.asarray(plain[stride]))
    dense = run(EfficientNetLite(0, norm="frozen"), variables, images)
    assert tuple(dense) == STRIDES[:-1]
    assert_close(np.asarray(dense[16])[:, 1::2, 1::2], np.asarray(plain[32]))  # cells at 32 i + 31 = 16 (2 i + 1) + 15


@pytest.mark.parametrize("size", PUBLISHED)
def test_parameters_are_as_many_as_published(size):
    (features, _), variables = shapes_of(EfficientNetLite(size, output_stride=32))
    head = 1280 * (features[32].shape[-1] + 2) + 1281 * 1000  # convolution and norm; classifier
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) + head
    assert count == GOLDEN[f"lite{size}/n_parameters"]
    assert round(count / 1e6, 1) == PUBLISHED[size]


def test_every_size_has_its_published_count():
    assert PUBLISHED.keys() == SIZES.keys() - {TINY_SIZE}


@pytest.mark.parametrize("norm", ["batch", "frozen", "group"])
def test_bfloat16_stays_and_parameters_are_float32(norm):
    network = EfficientNetLite(TINY_SIZE, stem_channels=8, norm=norm, dtype=jnp.bfloat16)
    (features, _), variables = shapes_of(network, np.zeros((2, 32, 48, 1), np.uint8))
    assert features[16].shape == (2, 2, 3, 40) and {x.dtype for x in features.values()} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_rematerialised_blocks_store_less():
    def kept(remat):
        network = EfficientNetLite(TINY_SIZE, stem_channels=8, norm="frozen", remat=remat)
        _, variables = shapes_of(network)

        def total(params, rest):
            return network.apply(rest | {"params": params}, IMAGE, train=True)[0][16].sum()

        params, rest = variables["params"], {"batch_stats": variables["batch_stats"]}
        kept = jax.eval_shape(lambda params, rest: jax.vjp(total, params, rest)[1], params, rest)
        return sum(leaf.size for leaf in jax.tree.leaves(kept)) - sum(leaf.size for leaf in jax.tree.leaves(params))

    assert kept(True) < 0.6 * kept(False)


@pytest.mark.parametrize("norm, moves", [("batch", True), ("frozen", False)])
def test_live_statistics_move_by_a_hundredth(norm, moves):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    network = EfficientNetLite(TINY_SIZE, stem_channels=8, norm=norm)
    variables = jax.jit(lambda: network.init(jax.random.key(0), images, train=False))()
    run = jax.jit(lambda v: network.apply(v, images, train=True, mutable=["batch_stats"])[1])
    moved = np.asarray(run(variables)["batch_stats"]["stem"]["var"]) - 1
    assert (np.abs(moved) < 0.02).all() and bool(np.abs(moved).max() > 0) is moves
