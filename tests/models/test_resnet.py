"""The backbone against torchvision: features with the same weights, and parameter counts of all depths."""

import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.models.resnet import UNITS, VARIANTS, ResNet, unit_names
from tests.tiny import DEPTH

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "torchvision_resnet.npz"
# torchvision's totals minus the classifier (third_party/torchvision); resnet26: timm's 15,995,176 minus its own.
PARAMETERS = {26: 13_946_176, 50: 23_508_032, 101: 42_500_160, 152: 58_143_808}


def as_pictures(normalised: np.ndarray) -> jnp.ndarray:
    """Images of 0..255 that the network normalises to these inputs."""
    variant = VARIANTS["torchvision"]
    return jnp.asarray((normalised * np.float32(variant.std) + np.float32(variant.mean)) * 255)


def variables_by_recipe(network: ResNet, images: jnp.ndarray) -> dict:
    """Every leaf derived from its name, as in third_party/torchvision/make_golden.py."""

    def recipe(path, leaf):
        name = "/".join(entry.key for entry in path[1:])
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(leaf.shape)
        kind = path[-1].key
        if kind == "kernel":
            return jnp.float32(noise * np.sqrt(2 / np.prod(leaf.shape[:-1])))
        small = 0.3 if "/conv3/" in name else 1.0
        values = {"scale": small * (1 + 0.1 * noise), "bias": 0.1 * noise, "mean": 0.1 * noise}
        return jnp.float32(values.get(kind, np.exp(0.1 * noise)))

    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), images, train=False))
    return jax.tree_util.tree_map_with_path(recipe, shapes)


@pytest.mark.parametrize("depth", [50, 101])
def test_features_equal_torchvision(depth):
    golden = np.load(GOLDEN)
    last = {f"block{b}": f"block{b}_unit{n}" for b, n in enumerate(UNITS[depth], start=1)}
    images, network = as_pictures(golden["images"]), ResNet(depth, norm="frozen", taps=tuple(last.values()))
    variables = variables_by_recipe(network, images)
    features, outputs = jax.jit(lambda v, x: network.apply(v, x, train=False))(variables, images)
    np.testing.assert_array_equal(features[16], outputs[last["block4"]])
    for name, ours in last.items():
        expected = golden[f"resnet{depth}/{name}"]
        found = np.asarray(outputs[ours])[..., ::16]
        assert found.shape == expected.shape
        error = np.abs(found - expected).max() / np.abs(expected).max()
        assert error < 1e-4, f"{name}: relative error {error:.1e}"


def test_features_at_output_stride_32_equal_torchvision():
    golden = np.load(GOLDEN)
    images, network = as_pictures(golden["images"]), ResNet(50, norm="frozen", output_stride=32)
    features, _ = network.apply(variables_by_recipe(network, images), images, train=False)
    expected = golden["resnet50/block4_stride32"]
    np.testing.assert_allclose(features[32][..., ::16], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("variant", ["torchvision", "slim"])
@pytest.mark.parametrize("output_stride", [16, 32])
def test_every_map_has_the_stride_of_its_key(variant, output_stride):
    network = ResNet(26, stem_channels=8, variant=variant, output_stride=output_stride, taps=tuple(unit_names(26)))
    images = jnp.zeros((1, 80, 96, 3))
    features, outputs = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), images, train=False))[0]
    assert list(features) == [4, 8, 16, 32][: 3 + (output_stride == 32)] and list(outputs) == unit_names(26)
    assert [features[s].shape[1:3] for s in features] == [(-(-80 // s), -(-96 // s)) for s in features]
    assert features[output_stride].shape[-1] == outputs["block4_unit2"].shape[-1] == 256


def test_parameter_counts():
    assert PARAMETERS.keys() == UNITS.keys() - {DEPTH}, "every depth needs its published count"
    golden = np.load(GOLDEN)
    for depth, expected in PARAMETERS.items():
        network = ResNet(depth)
        shapes = jax.eval_shape(lambda n=network: n.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False))
        count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["params"]))
        assert count == expected, depth
        if f"resnet{depth}/n_parameters" in golden:
            assert expected == golden[f"resnet{depth}/n_parameters"]


def test_rematerialised_units_store_less_and_keep_the_gradients():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 64, 64, 3)), jnp.float32)

    def of(remat):
        network = ResNet(DEPTH, stem_channels=8, remat=remat)
        variables = jax.jit(lambda key: network.init(key, images, train=True))(jax.random.key(0))

        def total(params):
            (features, _), _ = network.apply(
                variables | {"params": params}, images, train=True, mutable=["batch_stats"]
            )
            return (features[16] ** 2).sum()

        kept = jax.eval_shape(lambda params: jax.vjp(total, params)[1], variables["params"])
        n_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
        return n_bytes, jax.jit(jax.grad(total))(variables["params"])

    (all_bytes, plain), (few_bytes, again) = of(False), of(True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max()), plain, again)
    params = sum(leaf.nbytes for leaf in jax.tree.leaves(plain))
    assert few_bytes - params < 0.6 * (all_bytes - params)
