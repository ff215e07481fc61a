"""VGG-16 and the dense box head: the published parameter counts, shapes and types, and dropout."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.models.box_heads import DenseHead, dropout_by_image
from pawjax.models.vgg import VGG16

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "torchvision_vgg.npz"
CLASSIFIER = 4096 * 1000 + 1000  # of torchvision's 138,357,544, which Faster R-CNN leaves out


def as_it_is(x: jax.Array) -> jax.Array:
    """Uses maps as regions."""
    return x


def count(shapes) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))


def test_parameter_counts():
    backbone = jax.eval_shape(lambda: VGG16().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False))
    head = jax.eval_shape(lambda: DenseHead().init(jax.random.key(0), jnp.zeros((1, 7, 7, 512)), as_it_is, train=False))
    assert count(backbone) == 14_714_688 == np.load(GOLDEN)["n_parameters"]
    assert count(backbone) + count(head) == 138_357_544 - CLASSIFIER


def test_output_stride_16_rounds_down_and_bfloat16_stays():
    network = VGG16(stem_channels=8, dtype=jnp.bfloat16)

    def run(x):
        return network.init_with_output(jax.random.key(0), x, train=False)

    (features, _), variables = jax.eval_shape(run, jnp.zeros((1, 72, 95, 3), jnp.uint8))
    assert [network.cell_center(stride) for stride in (1, 16)] == [0, 7.5]
    assert features[16].shape == (1, 4, 5, 64) and features[1].shape == (1, 72, 95, 8)
    assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_dropout_applies_in_training_only():
    head, x = DenseHead(512, dropout=0.5), jnp.ones((1, 7, 7, 4))
    variables, keys = head.init(jax.random.key(0), x, as_it_is, True), jax.random.split(jax.random.key(1), 2)
    y = head.apply(variables, x, as_it_is, False)
    np.testing.assert_array_equal(y, DenseHead(512).apply(variables, x, as_it_is, True, keys[:1]))
    dropped = head.apply(variables, x, as_it_is, True, keys[:1])
    assert 0.4 < float((y == 0).mean()) < 0.6 and 0.65 < float((dropped == 0).mean()) < 0.85
    half, _ = DenseHead(8).init_with_output(jax.random.key(0), x.astype(jnp.bfloat16), as_it_is, False)
    assert half.dtype == jnp.bfloat16


def test_dropout_of_an_image_does_not_depend_on_its_batch():
    head, x = DenseHead(256, dropout=0.5), jax.random.normal(jax.random.key(2), (6, 7, 7, 4))
    variables, keys = head.init(jax.random.key(0), x, as_it_is, True), jax.random.split(jax.random.key(1), 2)
    both = head.apply(variables, x, as_it_is, True, keys)
    alone = [head.apply(variables, rows, as_it_is, True, keys[i : i + 1]) for i, rows in enumerate((x[:3], x[3:]))]
    np.testing.assert_allclose(both, np.concatenate(alone), rtol=1e-5, atol=1e-6)
    assert ((both == 0) != (head.apply(variables, x, as_it_is, True, keys[::-1]) == 0)).any()
    kept = dropout_by_image(jnp.ones((6, 1000)), keys, 0.2)
    assert set(np.unique(kept)) == {0, np.float32(1.25)} and 0.97 < float(kept.mean()) < 1.03
