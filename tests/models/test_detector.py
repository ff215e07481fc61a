"""The detector network: published parameter counts, shapes, types, names, and cell positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.methods import make_method
from pawjax.methods.faster_rcnn.targets import anchor_grid

IMAGES = jnp.zeros((2, 32, 48, 1), jnp.uint8)
ROIS = jnp.tile(jnp.array([[4.0, 4.0, 28.0, 28.0]]), (2, 3, 1))
RESNET50 = 23_508_032  # torchvision's 25,557,032 minus its classifier
VGG16 = 14_714_688 + 25_088 * 4096 + 4096 * 4096 + 2 * 4096


def method_of(n_classes=2, **fields):
    config = default_config()
    config.method = "faster_rcnn"
    config.update_from_flattened_dict(fields)
    return make_method(config, tuple(map(str, range(n_classes))))


def shapes_of(**fields):
    net = method_of(**fields).net
    return jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), IMAGES, ROIS, train=False))


def count(tree) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def outer_layers(features: int, head: int, anchors: int = 9, boxes: int = 3) -> int:
    """Parameters of the RPN and the two last layers, for two classes."""
    rpn = 9 * features**2 + features + 5 * anchors * (features + 1)
    return rpn + (3 + 4 * boxes) * (head + 1)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"model.backbone": "vgg16"}, VGG16 + outer_layers(512, 4096)),
        ({}, RESNET50 + outer_layers(1024, 2048)),
        ({"faster_rcnn.class_agnostic": True}, RESNET50 + outer_layers(1024, 2048, boxes=1)),
    ],
)
def test_parameter_counts(options, expected):
    assert count(shapes_of(**options)[1]["params"]) == expected


SLIM, STRIDE8 = {"model.variant": "slim"}, {"faster_rcnn.feature_map": "stride8"}
LITE = {"model.backbone": "efficientnet_lite0"}
NARROW = {"model.backbone": "resnet26", "model.stem_channels": 8}


@pytest.mark.parametrize(
    "fields, stride",
    [
        *(({"model.backbone": "vgg16"}, 16), ({}, 16), (STRIDE8, 8), (SLIM, 16), (SLIM | STRIDE8, 8)),
        *((LITE, 16), (LITE | STRIDE8, 8)),
    ],
)
def test_shapes_types_and_names(fields, stride):
    outputs, variables = shapes_of(**NARROW | {"dtype": "bfloat16"} | fields)
    cells = 32 * 48 // stride**2
    assert [x.shape for x in outputs] == [(2, 9 * cells), (2, 9 * cells, 4), (2, 3, 3), (2, 3, 3, 4)]
    assert {leaf.dtype for leaf in jax.tree.leaves((outputs, variables))} == {jnp.dtype("float32")}
    expected = {"backbone", "rpn", "box_head", "class_score", "class_box"}
    assert variables["params"].keys() == expected | (
        {"lateral8", "lateral16", "lateral32", "smooth"} if stride == 8 else set()
    )
    assert variables["params"]["rpn"].keys() == {"conv", "score", "box"}


@pytest.mark.parametrize("fields", [{"model.backbone": "vgg16"}, {}, STRIDE8, SLIM, LITE | STRIDE8])
def test_regions_and_anchors_align_with_cells(fields):
    fields |= {"faster_rcnn.anchor_sizes": (20.0,), "faster_rcnn.anchor_ratios": (1.0,)}
    method = method_of(1, **fields)
    net = method.net
    height, width = 12, 15
    y, x = (net.center + net.stride * np.arange(size, dtype=np.float32) for size in (height, width))
    ramps = jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y)), axis=-1)  # each cell holds its own position
    rois = jnp.array([[30.0, 40.0, 86.0, 75.0], [41.3, 20.2, 97.0, 84.6]])
    cells = net.apply({}, ramps, rois, 1, method="_pool")
    np.testing.assert_allclose(cells.mean(axis=(1, 2)), (rois[:, :2] + rois[:, 2:]) / 2, rtol=1e-5)

    size = (height * net.stride, width * net.stride)
    anchors = anchor_grid(size, net.stride, net.center, method.settings)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_allclose(centres.reshape(height, width, 2), ramps, atol=1e-4)


@pytest.mark.parametrize("fields", [STRIDE8, SLIM])
def test_first_cell_is_centred_as_declared(fields):
    """A cell's receptive field is centred on it: the mean position of its input gradient over many random networks."""
    net = method_of(1, **NARROW | {"model.stem_channels": 4, "model.norm": "frozen"} | fields).net
    size = (1, 96, 96, 1)
    images = np.random.default_rng(0).integers(0, 256, size).astype(np.float32)
    cell = 48 // net.stride

    def place(key):
        variables = net.init(key, jnp.zeros(size), ROIS[:1], train=False)
        # Residual units start with scales of zero, which would disable their convolutions.
        variables = jax.tree.map(lambda x: jnp.where((x == 0).all(), 0.5 if x.ndim == 1 else x, x), variables)
        moved = jax.grad(lambda x: net.apply(variables, x, False, method="features")[0, cell, cell].sum())(images)
        moved = jnp.abs(moved)[0, :, :, 0]
        along = jnp.arange(96)
        return jnp.stack([moved.sum(1) @ along, moved.sum(0) @ along]) / moved.sum()

    places = jax.jit(lambda keys: jax.lax.map(place, keys))(jax.random.split(jax.random.key(0), 16))
    np.testing.assert_allclose(places.mean(0), net.center + net.stride * cell, atol=1.5)
