"""Test-time augmentation: a predictor that reads points from pixels gives the same points in every view."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.inference import views
from pawjax.inference.views import make_predict, moved, with_prediction
from pawjax.structure import Tree

SCALED = jnp.array([[-2.0, 0, 7], [0, 2, 1]])  # mirrored, at twice the size


def brightest(variables, images):
    """The centroids of the left and the right blob, as seen in the image, not as sides of the animal."""
    x = jnp.arange(images.shape[2], dtype=jnp.float32)
    y = jnp.arange(images.shape[1], dtype=jnp.float32)
    middle = images.shape[2] / 2 - 0.5
    light = images[..., 0].astype(jnp.float32)

    def centroid(mask):
        mass = light * mask
        return jnp.stack([(mass * x).sum((1, 2)), (mass * y[:, None]).sum((1, 2))], -1) / mass.sum((1, 2))[:, None]

    points = jnp.stack([centroid(x < middle), centroid(x > middle)], axis=1)
    return {"keypoints": points, "likelihood": jnp.full(points.shape[:2], 0.8)}


def blobs(*points, size=(60, 80)):
    y, x = np.mgrid[: size[0], : size[1]]
    light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in points)
    return jnp.asarray((200 * light)[None, ..., None].astype(np.uint8))


def config_with(pair=(), **fields):
    config = default_config()
    config.data.symmetric_pairs = (pair,) if pair else ()
    config.predict.update(fields)
    return config


@pytest.mark.parametrize("fields", [{"flip": True}, {"scales": (0.5, 1.0, 1.5)}, {"flip": True, "scales": (0.7,)}])
def test_every_view_finds_the_same_points(fields):
    points = np.array([[20.0, 30.0], [57.0, 22.0]])
    config = config_with(("left", "right"), **fields)
    predict = make_predict(SimpleNamespace(predict=brightest), config, ("left", "right"))
    found = jax.jit(predict)({}, blobs(*points))
    np.testing.assert_allclose(found["keypoints"][0], points, atol=0.3)
    np.testing.assert_allclose(found["likelihood"], 0.8, rtol=1e-5)


def test_sides_that_no_config_names_are_those_of_the_names(capsys, monkeypatch):
    monkeypatch.setattr("pawjax.errors._said", set())
    points, method = np.array([[20.0, 30.0], [57.0, 22.0]]), SimpleNamespace(predict=brightest)
    found = make_predict(method, config_with(flip=True), ("ear_L", "ear_R"))({}, blobs(*points))
    np.testing.assert_allclose(found["keypoints"][0], points, atol=0.3)
    assert "mirrored frames swap ear_L and ear_R, as the names tell" in capsys.readouterr().err
    with pytest.raises(InputError, match="which of .* are left and right of each other: predict without flip, or"):
        make_predict(method, config_with(flip=True), ("left_ear", "l_ear", "r_ear"))
    config = config_with(flip=True)
    config.data.guess_pairs = False
    found = make_predict(method, config, ("ear_L", "ear_R"))({}, blobs(*points))
    assert (found["likelihood"] < 0.7).all(), "the views disagree"


def test_disagreeing_view_lowers_only_the_likelihood():
    points = np.array([[20.0, 30.0], [57.0, 22.0]])
    predict = make_predict(
        SimpleNamespace(predict=brightest), config_with(flip=True), ()
    )  # without pairs, the views confuse them
    found = predict({}, blobs(*points))
    np.testing.assert_allclose(found["keypoints"][0], points, atol=0.3)
    np.testing.assert_allclose(found["likelihood"], 0.4, rtol=1e-5)
    np.testing.assert_allclose(found["disagreement"], np.hypot(*(points[1] - points[0])) / np.sqrt(2), rtol=0.02)


def test_every_view_has_its_tree(monkeypatch):
    """Points that are put where the tree has them are the same in every view: it is scaled and mirrored with it."""
    offset = np.array([[10.0, 4], [-13, 6]])
    tree = Tree(np.array([0, 0]), np.array([1, 2]), offset, np.ones((2, 2)), np.array([9, 9]))

    def placed(images, tree, decoder, pairwise):
        assert decoder == "votes"
        height, width = images.shape[1:3]
        points = np.tile([(width - 1) / 2, (height - 1) / 2], (1, 3, 1))
        for parent, child, offset in zip(tree.parents, tree.children, tree.offset, strict=True):
            points[:, child] = points[:, parent] + offset
        return {"keypoints": jnp.asarray(points), "likelihood": jnp.full((1, 3), 0.8)}

    monkeypatch.setattr(views, "structured_points", placed)
    method = SimpleNamespace(
        score_maps=lambda variables, images: images, pairwise=lambda variables: None, predict=brightest
    )
    config = config_with(("left", "right"), flip=True, scales=(0.5, 1.0, 2.0), decode="votes")
    config.scale = 0.5
    found = make_predict(method, config, ("nose", "left", "right"), tree)({}, blobs((20, 30)))
    centre = np.array([39.5, 29.5])
    np.testing.assert_allclose(found["keypoints"][0], [centre, *(centre + offset / 2)], atol=1e-4)
    np.testing.assert_allclose(found["disagreement"], 0, atol=1e-4)


def test_disagreement_has_the_scale_of_the_points():
    moved_points = moved({"keypoints": jnp.ones((1, 2, 2)), "disagreement": jnp.array([[3.0, 0]])}, SCALED)
    np.testing.assert_allclose(moved_points["disagreement"], [[6, 0]])


def test_prediction_without_views_is_the_methods():
    method = SimpleNamespace(predict=brightest)
    assert make_predict(method, config_with(), ()) is method.predict  # a temperature of 0 is none yet
    with pytest.raises(InputError, match="scales"):
        make_predict(method, config_with(scales=(1.0, 0.0)), ())
    with pytest.raises(InputError, match="scales"):
        make_predict(method, config_with(scales=(float("nan"),)), ())


def test_method_reads_its_own_and_common_fields():
    method = SimpleNamespace(predict_fields=("decode",))
    config = with_prediction(default_config(), method, decode="votes", flip=True)
    assert config.predict.decode == "votes" and config.predict.flip
    with pytest.raises(InputError, match="no field 'refinement', only bias, decode, flip, proposals"):
        with_prediction(default_config(), method, refinement="votes")
    with pytest.raises(InputError, match="proposals=9 is not read by this run's method.*: it reads decode, flip"):
        with_prediction(default_config(), method, proposals=9)


def test_temperature_softens_only_the_likelihood():
    method, image = SimpleNamespace(predict=brightest), blobs([20.0, 30.0], [57.0, 22.0])
    found, plain = make_predict(method, config_with(temperature=2.0), ())({}, image), brightest({}, image)
    np.testing.assert_array_equal(found["keypoints"], plain["keypoints"])
    np.testing.assert_allclose(found["likelihood"], 2 / 3, rtol=1e-5)  # odds of 4 become odds of 2
    with pytest.raises(InputError, match="temperature"):
        make_predict(method, config_with(temperature=-1.0), ())
    with pytest.raises(InputError, match="temperature"):
        make_predict(method, config_with(temperature=float("nan")), ())
