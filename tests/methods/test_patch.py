"""The patch classifier: where patches are drawn and how they are labelled, and patches against the convolution."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.methods.patch import Settings, draw_centers, patch_labels
from pawjax.ops import logistic
from pawjax.ops.patches import cut_patches
from tests.methods.test_deeplabcut import make_batch as batch_without_keys

SIZE = (40, 56)  # height, width
SETTINGS = Settings()
COUNTS = (SETTINGS.positives, SETTINGS.hard_negatives, SETTINGS.negatives)


def method_of(**fields):
    config = default_config()
    config.method = "patch"
    config.update_from_flattened_dict(fields)
    return make_method(config, ("left", "right"))


METHOD = method_of(**{"patch.size": 5})


def make_batch(seed=0):
    return batch_without_keys(seed) | {"key": jax.random.split(jax.random.key(seed), 3)}


def variables_of(method, seed=0):
    rng, size = np.random.default_rng(seed), method.settings.size
    layer = {"kernel": rng.normal(0, 0.1, (size, size, 1, 2)), "bias": rng.normal(size=2)}
    return {"params": {"scoremap": jax.tree.map(jnp.float32, layer)}, "batch_stats": {}}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 55), st.floats(0, 39))
def test_patches_lie_where_their_kind_says(seed, x, y):
    keypoints = jnp.array([[x, y], [30.0, 20.0]])
    centers = draw_centers(jax.random.key(seed), keypoints, SIZE, SETTINGS)
    near, ring, anywhere = np.split(np.asarray(centers), np.cumsum(COUNTS)[:2], axis=1)
    rounding = 2**-0.5 + 1e-4
    distance = [np.linalg.norm(some - np.asarray(keypoints)[:, None], axis=-1) for some in (near, ring)]
    assert (distance[0] <= 1.5 + rounding).all()
    assert (distance[1] >= 4 - rounding).all() and (distance[1] <= 16 + rounding).all()
    assert (anywhere >= 0).all() and (anywhere < [56, 40]).all()
    known = jnp.array([True, False]), jnp.array([False, True])  # the second is absent
    labels, counted = map(np.asarray, patch_labels(centers, keypoints, *known, SIZE, SETTINGS))
    assert (labels == np.repeat([1, 0], (COUNTS[0], sum(COUNTS[1:])))).all()
    inside = ((centers >= 0) & (centers < jnp.array([56, 40]))).all(-1)
    far = np.linalg.norm(np.asarray(centers) - np.asarray(keypoints)[:, None], axis=-1) >= 4
    assert (counted[0] == inside[0] * ((labels[0] == 1) | far[0])).all()
    assert (counted[1] == np.repeat([0, 0, 1], COUNTS)).all()


def test_every_place_of_the_frame_is_drawn():
    many = dataclasses.replace(SETTINGS, negatives=1000)
    centers = draw_centers(jax.random.key(0), jnp.zeros((1, 2)), (2, 3), many)[0, -1000:]
    places, counts = np.unique(np.asarray(centers), axis=0, return_counts=True)
    assert len(places) == 6 and counts.min() > 120


def test_patches_are_cut_around_their_middles():
    image, centers = jnp.arange(12.0).reshape(3, 4), jnp.array([[1, 1], [3, 0]])
    found = cut_patches(image, centers, 3)
    np.testing.assert_array_equal(found, [[0, 1, 2, 4, 5, 6, 8, 9, 10], [0, 0, 0, 2, 3, 0, 6, 7, 0]])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_convolution_equals_the_logits_of_patches(channels):
    method = method_of()
    variables = variables_of(method)
    images = np.random.default_rng(1).integers(0, 256, (2, *SIZE, channels), np.uint8)
    dense = jax.jit(lambda v, x: method.net.apply(v, x, train=False))(variables, images)
    layer = variables["params"]["scoremap"]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    centers = jnp.asarray(np.stack([x, y], -1))
    for image, found in zip(method.net.features(images), dense, strict=True):
        patches = cut_patches(image, centers, 17)
        expected = patches @ layer["kernel"].reshape(289, 2) + layer["bias"]
        assert float(jnp.abs(found - expected).max()) < 1e-5 and float(jnp.ptp(expected)) > 1


def test_the_loss_is_that_of_a_logistic_regression_of_each_bodypart():
    """With one bodypart its terms, weighted, are `ops.logistic.loss` of the patches drawn."""
    config = default_config()
    config.method, config.patch.size, config.patch.l2 = "patch", 5, 0.3
    method, batch = make_method(config, ("paw",)), make_batch()
    batch |= {name: batch[name][:, :, :1] for name in ("keypoints", "labelled", "absent")}
    variables = jax.tree.map(lambda leaf: leaf[..., :1], variables_of(method))
    terms, _ = jax.jit(method.loss)(variables, batch)
    found = sum(method.loss_weights[name] * total / count for name, (total, count) in terms.items())

    rows, labels = [], []
    for i, image in enumerate(method.net.features(batch["image"])):
        known = (batch[name][i, 0] for name in ("keypoints", "labelled", "absent"))
        centers = draw_centers(batch["key"][i], batch["keypoints"][i, 0], SIZE, method.settings)
        label, counted = patch_labels(centers, *known, SIZE, method.settings)
        rows.append(cut_patches(image, centers, 5)[counted == 1])
        labels.append(label[counted == 1])
    x, y = jnp.concatenate(rows), jnp.concatenate(labels)
    layer = variables["params"]["scoremap"]
    w = jnp.append(layer["kernel"].ravel(), layer["bias"])
    l2 = jnp.append(jnp.full(25, 0.3), 0.0)
    x = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=1)
    assert terms["patches"][1] == len(y) > 90
    assert float(found) == pytest.approx(float(logistic.loss(w, x, y, l2)), rel=1e-5)
    gradient = jax.jit(
        jax.grad(
            lambda v: sum(method.loss_weights[n] * t / c for n, (t, c) in method.loss(v, batch)[0].items()),
        )
    )(variables)["params"]["scoremap"]
    expected = logistic.gradient(w, x, y, l2)
    np.testing.assert_allclose(jnp.append(gradient["kernel"].ravel(), gradient["bias"]), expected, rtol=1e-4, atol=1e-6)


def test_padding_and_missing_labels_change_nothing():
    variables, batch, loss = variables_of(METHOD), make_batch(), jax.jit(METHOD.loss)
    terms = jax.device_get(loss(variables, batch)[0])
    moved = batch | {"keypoints": batch["keypoints"].at[1, 0, 1].set(20.0)}
    assert jax.device_get(loss(variables, moved)[0]) == terms
    padded = jax.device_get(loss(variables, batch | {"weight": jnp.array([1.0, 1.0, 0.0])})[0])
    shorter = jax.device_get(loss(variables, jax.tree.map(lambda x: x[:2], batch))[0])
    for name in terms:
        np.testing.assert_allclose(padded[name], shorter[name], rtol=1e-5)
    absent = jax.device_get(loss(variables, batch | {"absent": ~batch["labelled"]})[0])
    assert absent["patches"][1] > terms["patches"][1]


def test_the_best_pixel_is_the_keypoint():
    """A classifier of bright pixels finds the brightest one."""
    method = method_of(**{"patch.size": 3})
    kernel = jnp.zeros((3, 3, 1, 2)).at[1, 1].set(1.0)
    image = np.zeros((1, *SIZE, 1), np.uint8)
    image[0, 31, 12] = 255
    variables = {"params": {"scoremap": {"kernel": kernel, "bias": jnp.zeros(2)}}, "batch_stats": {}}
    found = jax.jit(method.predict)(variables, image)
    np.testing.assert_allclose(found["keypoints"], [[[12, 31]] * 2], rtol=1e-5)
    np.testing.assert_allclose(found["likelihood"], jax.nn.sigmoid(2.0), rtol=1e-5)


@pytest.mark.parametrize(
    "field, value, wanted",
    [
        ("size", 16, "odd, so that a patch has a middle"),
        ("ring", (9.0, 4.0), "two distances, the smaller first"),
        ("positives", 0, "at least 1"),
        ("l2", -1.0, "at least 0"),
    ],
)
def test_invalid_value_is_named(field, value, wanted):
    with pytest.raises(InputError, match=rf"config\.patch\.{field} = .* must be {wanted}"):
        method_of(**{f"patch.{field}": value})
