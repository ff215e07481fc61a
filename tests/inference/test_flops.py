"""FLOP counts against those that torchvision publishes with its networks."""

import jax
import jax.numpy as jnp
import pytest

from pawjax.inference.flops import count_flops
from pawjax.models.layers import Deconvolution
from pawjax.models.resnet import ResNet
from pawjax.models.vgg import VGG16

# torchvision's weights metadata count 10^9 multiply-adds for one image of 224 x 224.
CLASSIFIERS = {"vgg16": 25_088 * 4096 + 4096 * 4096 + 4096 * 1000, "resnet": 2048 * 1000}


@pytest.mark.parametrize(
    "net, expected",
    [
        (ResNet(50, output_stride=32, norm="frozen"), 4.09 - CLASSIFIERS["resnet"] / 1e9),
        (ResNet(101, output_stride=32, norm="frozen"), 7.80 - CLASSIFIERS["resnet"] / 1e9),
        (VGG16(), 15.47 - CLASSIFIERS["vgg16"] / 1e9),
    ],
)
def test_published_counts(net, expected):
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros(images.shape), train=False))
    flops = count_flops(lambda variables, images: net.apply(variables, images, train=False), variables, images)
    assert flops / 2e9 == pytest.approx(expected, abs=0.01)


def test_transposed_convolution_has_nine_taps_per_cell():
    head, features = Deconvolution(3), jnp.zeros((2, 5, 7, 11))
    variables = head.init(jax.random.key(0), features)
    assert count_flops(head.apply, variables, features) == 2 * features.size * 9 * 3


def test_loops_and_branches():
    def program(x, flag):
        x = jax.lax.fori_loop(0, 3, lambda _, x: x @ x, x)
        x = jax.jit(lambda x: jax.lax.cond(flag, lambda x: x @ x @ x, lambda x: x @ x, x))(x)
        return jax.lax.map(lambda row: row @ x, x)

    assert count_flops(program, jnp.ones((5, 5)), True) == (3 + 2 + 1) * 2 * 5**3
