"""The plain convolutional network: strides, sizes, types and the size of what a place sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.models.convnet import ConvNet


def shapes_of(network, size=(64, 96)):
    return jax.eval_shape(
        lambda: network.init_with_output(jax.random.key(0), jnp.zeros((1, *size, 1), jnp.uint8), train=False)
    )


@pytest.mark.parametrize("output_stride", [16, 32])
def test_every_map_has_the_stride_of_its_key(output_stride):
    (features, taps), variables = shapes_of(ConvNet(4, output_stride=output_stride, dtype=jnp.bfloat16))
    assert list(features) == [2, 4, 8, 16, 32][: 4 + (output_stride == 32)] and taps == {}
    for stride, leaf in features.items():
        assert leaf.shape == (1, 64 // stride, 96 // stride, min(2 * stride, 32)) and leaf.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_parameters_by_hand():
    _, variables = shapes_of(ConvNet(16))
    widths = [3, 16, 16, 32, 32, 64, 64, 128, 128]
    expected = sum(9 * a * b + 2 * b for a, b in zip(widths[:-1], widths[1:], strict=True))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == expected == 294_000


def test_a_place_sees_91_pixels():
    """As configs/convnet.py says; its middle is where `cell_center` has it."""
    network = ConvNet(2, norm="frozen")
    row = jnp.zeros((1, 16, 256, 1))
    variables = jax.jit(lambda: network.init(jax.random.key(0), row, train=False))()
    variables["params"] = jax.tree.map(jnp.abs, variables["params"])  # nothing is cut off by a ReLU

    def light(x):
        return network.apply(variables, x + 255, train=False)[0][16][0, 0, 8].sum()

    seen = np.flatnonzero(np.asarray(jax.jit(jax.grad(light))(row)).any((0, 1, 3)))
    middle = 8 * 16 + network.cell_center(16)
    assert seen.min() == middle - 45 and seen.max() == middle + 45
