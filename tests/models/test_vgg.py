"""VGG-16: the published parameter counts, shapes and types, and dropout in the box head."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.models.vgg import VGG16, BoxHead

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "torchvision_vgg.npz"
CLASSIFIER = 4096 * 1000 + 1000  # of torchvision's 138,357,544, which Faster R-CNN leaves out


def count(shapes) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))


def test_parameter_counts():
    backbone = jax.eval_shape(lambda: VGG16().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    head = jax.eval_shape(lambda: BoxHead().init(jax.random.key(0), jnp.zeros((1, 7, 7, 512)), train=False))
    assert count(backbone) == 14_714_688 == np.load(GOLDEN)["n_parameters"]
    assert count(backbone) + count(head) == 138_357_544 - CLASSIFIER


def test_output_stride_16_rounds_down_and_bfloat16_stays():
    network = VGG16(width=8)

    def run(x):
        return network.init_with_output(jax.random.key(0), x)

    (features, outputs), variables = jax.eval_shape(run, jnp.zeros((1, 72, 95, 3), jnp.bfloat16))
    assert features.shape == (1, 4, 5, 64) and outputs["conv1_2"].shape == (1, 72, 95, 8)
    assert features.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_dropout_is_of_training_alone():
    head, x = BoxHead(512, dropout=0.5), jnp.ones((1, 7, 7, 4))
    variables = head.init(jax.random.key(0), x, train=False)
    y = head.apply(variables, x, train=False)
    np.testing.assert_array_equal(y, BoxHead(512).apply(variables, x, train=True))
    dropped = head.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    assert 0.4 < float((y == 0).mean()) < 0.6 and 0.65 < float((dropped == 0).mean()) < 0.85
    assert BoxHead(8).init_with_output(jax.random.key(0), x.astype(jnp.bfloat16), train=False)[0].dtype == jnp.bfloat16
