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
from pawjax.methods.patch import Settings, draw_patches
from pawjax.ops import logistic
from pawjax.ops.patches import cut_patches
from tests.methods.test_deeplabcut import make_batch as batch_without_keys

SIZE = (40, 56)  # height, width
SETTINGS = Settings()
COUNTS = (SETTINGS.positives, SETTINGS.near, SETTINGS.anywhere, SETTINGS.hard)


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


FLAT = jnp.zeros((2, *SIZE))
KNOWN = jnp.array([True, False]), jnp.array([False, True])  # the second bodypart is absent


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 55), st.floats(0, 39))
def test_patches_lie_where_their_kind_says(seed, x, y):
    keypoints = jnp.array([[x, y], [30.0, 20.0]])
    drawn = draw_patches(jax.random.key(seed), keypoints, *KNOWN, FLAT, SETTINGS)
    centers, labels, counted = map(np.asarray, drawn)
    near, ring, *of_frame = np.split(centers, np.cumsum(COUNTS)[:3], axis=1)
    rounding = 2**-0.5 + 1e-4
    distance = [np.linalg.norm(some - np.asarray(keypoints)[:, None], axis=-1) for some in (near, ring)]
    assert (distance[0] <= 1.5 + rounding).all()
    assert (distance[1] >= 4 - rounding).all() and (distance[1] <= 16 + rounding).all()
    assert all((some >= 0).all() and (some < [56, 40]).all() for some in of_frame)
    assert (labels == np.repeat([1, 0, 0, 0], COUNTS)).all()
    inside = ((centers >= 0) & (centers < [56, 40])).all(-1)
    far = np.linalg.norm(centers - np.asarray(keypoints)[:, None], axis=-1) >= 4
    assert (counted[0] == inside[0] * ((labels[0] == 1) | far[0])).all()
    assert (counted[1] == np.repeat([0, 0, 1, 1], COUNTS)).all()


def test_every_place_of_the_frame_is_drawn():
    many = dataclasses.replace(SETTINGS, anywhere=1000, hard=1)
    unknown = jnp.zeros(1, bool)
    drawn, *_ = draw_patches(jax.random.key(0), jnp.zeros((1, 2)), unknown, unknown, jnp.zeros((1, 2, 3)), many)
    places, counts = np.unique(np.asarray(drawn[0, -1001:-1]), axis=0, return_counts=True)
    assert len(places) == 6 and counts.min() > 120


def test_hard_patches_are_drawn_by_their_odds_but_not_on_the_label():
    """Odds of 1, 2 and 4 on three pixels, and far greater ones on the label itself."""
    logits = jnp.full((1, *SIZE), -30.0).at[0, 30, 8].set(0.0).at[0, 30, 18].set(jnp.log(2.0))
    logits = logits.at[0, 30, 28].set(jnp.log(4.0)).at[0, 5, 5].set(30.0)
    one, known = dataclasses.replace(SETTINGS, hard=1), (jnp.array([True]), jnp.array([False]))
    draw = jax.vmap(lambda key: draw_patches(key, jnp.array([[6.0, 5.0]]), *known, logits, one)[0][0, -1])
    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), 700)))
    assert (drawn[:, 1] == 30).all()
    places, counts = np.unique(drawn[:, 0], return_counts=True)
    np.testing.assert_array_equal(places, [8, 18, 28])
    np.testing.assert_allclose(counts, [100, 200, 400], atol=50)


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
        dense = method.net.apply(variables, batch["image"][i : i + 1], train=False)[0]
        drawing = (batch["key"][i], *known, jnp.moveaxis(dense, -1, 0))
        centers, label, counted = draw_patches(*drawing, method.settings)
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


def test_the_penalty_is_that_of_one_bodypart():
    """A bodypart is penalised alike, however many there are: |w|^2 / 2, the mean over the bodyparts."""
    variables = variables_of(METHOD)
    total, count = jax.jit(METHOD.loss)(variables, make_batch())[0]["l2"]
    kernel = np.asarray(variables["params"]["scoremap"]["kernel"])
    assert float(total / count) == pytest.approx((kernel**2).sum((0, 1, 2)).mean() / 2, rel=1e-5)


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


def test_weights_of_a_backbone_are_refused():
    with pytest.raises(InputError, match="config.init_from = 'imagenet' .* config.method = 'patch' has none"):
        method_of(init_from="imagenet")
