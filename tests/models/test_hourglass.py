"""The stacked hourglass: published parameter counts, the geometry of its maps, what is read again, folding, remat."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.models.fold import fold, with_fields
from pawjax.models.hourglass import StackedHourglass

PUBLISHED = {1: 3_426_448, 2: 6_570_400, 4: 12_858_304, 8: 25_434_112}  # of Newell's networks with 16 joints
LEAP = dict(stride=1, reinject=False, stem_channels=16)
SLEAP = dict(stacks=3, block="plain", growth=0.5)
SMALL = dict(stem_channels=2, levels=1)


def shapes_of(network, size=(64, 128)):
    return jax.eval_shape(
        lambda: network.init_with_output(jax.random.key(0), jnp.zeros((1, *size, 3), jnp.uint8), train=False)
    )


def biases_before_norms(params):
    """How many parameters the biases would have that a normalisation after the convolution cancels."""
    if "kernel" in params:
        return params["scale"].size if "scale" in params else 0
    return sum(biases_before_norms(inner) for inner in params.values() if isinstance(inner, dict))


@pytest.mark.parametrize("stacks", PUBLISHED)
def test_parameters_are_as_many_as_published(stacks):
    _, variables = shapes_of(StackedHourglass(16, stacks=stacks))
    params = variables["params"]
    count = sum(leaf.size for leaf in jax.tree.leaves(params)) + biases_before_norms(params)
    assert count == PUBLISHED[stacks]
    assert round(count / 1e6, 2) == {1: 3.43, 2: 6.57, 4: 12.86, 8: 25.43}[stacks]


@pytest.mark.parametrize("options", [{}, LEAP, SLEAP, {"stride": 2, "levels": 3}])
def test_every_stack_has_maps_of_the_stride(options):
    network = StackedHourglass(3, **options)
    assert (network.image_multiple, network.center) == {
        4: (64, 1.0),
        2: (16, 0.0),
        1: (16, 0.0),
    }[network.stride]
    maps, variables = shapes_of(network)
    assert list(maps) == [f"scoremap{stack}" for stack in range(1, network.stacks + 1)]
    shape = (1, 64 // network.stride, 128 // network.stride, 3)
    assert {(leaf.shape, leaf.dtype) for leaf in maps.values()} == {(shape, jnp.dtype("float32"))}
    assert ("reinject1" in variables["params"]) == network.reinject


def test_levels_of_sleap_grow():
    _, variables = shapes_of(StackedHourglass(3, **SLEAP))
    levels = [variables["params"]["hourglass1"][f"level{level}_down"]["kernel"].shape for level in (1, 2, 3, 4)]
    assert levels == [(3, 3, inputs, inputs + 128) for inputs in (256, 384, 512, 640)]


@cache
def program(network):
    return jax.jit(lambda v, x: network.apply(v, x, train=False))


def run(network, variables, images):
    return program(network)(variables, images)


def shaken(network, images, seed=0):
    """Variables of which none is zero or one."""
    rng = np.random.default_rng(seed)
    variables = jax.jit(lambda: network.init(jax.random.key(0), images, train=False))()
    return jax.tree.map(lambda x: x + rng.uniform(0, 0.1, x.shape).astype(np.float32), variables)


IMAGES = jnp.asarray(np.random.default_rng(1).integers(0, 256, (2, 32, 48, 1), np.uint8))


def test_folded_variables_give_the_same_maps():
    network = StackedHourglass(3, **SMALL)
    variables = shaken(network, IMAGES)
    expected = run(network, variables, IMAGES)
    found = run(with_fields(network, norm="none"), fold(network, variables), IMAGES)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)


def test_group_norm_has_no_statistics():
    assert "batch_stats" not in shapes_of(StackedHourglass(3, **SMALL, norm="group"))[1]


def test_the_second_hourglass_reads_the_maps_of_the_first():
    network = StackedHourglass(3, **SMALL)
    variables = shaken(network, IMAGES)
    first = run(network, variables, IMAGES)
    variables["params"]["scoremap1"]["bias"] += 1
    again = run(network, variables, IMAGES)
    np.testing.assert_allclose(again["scoremap1"], first["scoremap1"] + 1, rtol=1e-5)
    assert (again["scoremap2"] != first["scoremap2"]).all()


@pytest.mark.parametrize("stride", [4, 2, 1])
def test_cells_lie_where_the_network_says(stride):
    """With mirrored kernels, a frame mirrored at the right place has mirrored maps.

    Cell i of n is then cell n - 1 - i, and the pixels under their centres, center + stride i, have the same values.
    """
    network = StackedHourglass(1, stacks=1, stride=stride, stem_channels=2, levels=1)
    images = np.random.default_rng(2).integers(0, 256, (1, 16, 128, 1), np.uint8)
    variables = shaken(network, images)
    mirrored = jax.tree_util.tree_map_with_path(
        lambda path, x: x[:, ::-1] if path[-1].key == "kernel" else x, variables
    )
    left_over = int(stride - 1 - 2 * network.center)  # pixels after the last centre, more than before the first
    other = np.roll(images[:, :, ::-1], -left_over, axis=2)
    expected = run(network, variables, images)["scoremap1"][:, :, ::-1]
    found = run(network, mirrored, other)["scoremap1"]
    inner = slice(13, -13)  # cells that no pixel beside the frame reaches
    np.testing.assert_allclose(found[:, :, inner], expected[:, :, inner], rtol=1e-4, atol=1e-5)
    assert np.ptp(expected[:, :, inner]) > 0.01 * np.abs(expected).max()


def test_rematerialised_blocks_store_less_and_keep_the_gradients():
    def of(remat):
        network = StackedHourglass(2, stacks=1, **SMALL, remat=remat)
        variables = jax.jit(lambda key: network.init(key, IMAGES, train=True))(jax.random.key(0))

        def total(params):
            maps, _ = network.apply(variables | {"params": params}, IMAGES, train=True, mutable=["batch_stats"])
            return (maps["scoremap1"] ** 2).sum()

        kept = jax.eval_shape(lambda params: jax.vjp(total, params)[1], variables["params"])
        n_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
        return n_bytes, jax.jit(jax.grad(total))(variables["params"])

    (all_bytes, plain), (few_bytes, again) = of(False), of(True)
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * largest), plain, again)
    params = sum(leaf.nbytes for leaf in jax.tree.leaves(plain))
    assert few_bytes - params < 0.6 * (all_bytes - params)
