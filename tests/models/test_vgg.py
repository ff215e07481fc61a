"""VGG-16: the published parameter counts, shapes and types, and dropout in the box head."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.models.vgg import VGG16, BoxHead, drop

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "torchvision_vgg.npz"
CLASSIFIER = 4096 * 1000 + 1000  # of torchvision's 138,357,544, which Faster R-CNN leaves out


def count(shapes) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))


def test_parameter_counts():
    backbone = jax.eval_shape(lambda: VGG16().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    head = jax.eval_shape(lambda: BoxHead().init(jax.random.key(0), jnp.zeros((1, 7, 7, 512))))
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
    variables, keys = head.init(jax.random.key(0), x), jax.random.split(jax.random.key(1), 2)
    y = head.apply(variables, x)
    np.testing.assert_array_equal(y, BoxHead(512).apply(variables, x, keys[:1]))
    dropped = head.apply(variables, x, keys[:1])
    assert 0.4 < float((y == 0).mean()) < 0.6 and 0.65 < float((dropped == 0).mean()) < 0.85
    assert BoxHead(8).init_with_output(jax.random.key(0), x.astype(jnp.bfloat16))[0].dtype == jnp.bfloat16


def test_an_images_dropout_is_its_own_whatever_stands_beside_it():
    head, x = BoxHead(256, dropout=0.5), jax.random.normal(jax.random.key(2), (6, 7, 7, 4))
    variables, keys = head.init(jax.random.key(0), x), jax.random.split(jax.random.key(1), 2)
    both = head.apply(variables, x, keys)
    alone = [head.apply(variables, part, keys[i : i + 1]) for i, part in enumerate((x[:3], x[3:]))]
    np.testing.assert_allclose(both, np.concatenate(alone), rtol=1e-5, atol=1e-6)
    assert ((both == 0) != (head.apply(variables, x, keys[::-1]) == 0)).any()
    kept = drop(jnp.ones((6, 1000)), keys, 0.2)
    assert set(np.unique(kept)) == {0, np.float32(1.25)} and 0.97 < float(kept.mean()) < 1.03
