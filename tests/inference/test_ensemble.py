"""An ensemble against the same mean, covariance and disagreement by numpy, and members that do not fit together."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.inference.ensemble import ensemble
from pawjax.inference.opening import scorer_of
from pawjax.inference.predictor import Predictor

PARTS = ("a", "b")
FRAMES = np.zeros((1, 4, 5, 1), np.uint8)


def member(points, likelihood, run="/runs/one", bodyparts=PARTS, channels=3, **more):
    """A network that finds the same points [K, 2] in every frame."""
    found = {"keypoints": points, "likelihood": likelihood} | more

    def predict(images):
        return {
            name: jnp.tile(jnp.array(values, jnp.float32), (len(images),) + (1,) * np.ndim(values))
            for name, values in found.items()
        }

    origin = {"run": run, "checkpoint": "7", "checkpoint_sha256": run[-3:] * 3, "decode": "votes"}
    return Predictor(predict, bodyparts, channels, origin)


def doubts(seed):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(2, 2, 2))
    return {"covariance": roots @ roots.transpose(0, 2, 1), "second": rng.uniform(0, 1, (2, 3))}


def test_points_covariance_and_disagreement_are_those_by_hand():
    points = np.array([[[10, 20], [30, 5]], [[13, 16], [33, 9]], [[10, 20], [300, 5]]])  # the last b is far off
    likelihood = np.array([[0.9, 0.8], [0.3, 0.4], [0.6, 0.1]])
    more = [doubts(seed) for seed in range(3)]
    members = [member(*one, run=f"/runs/r{i}", **more[i]) for i, one in enumerate(zip(points, likelihood, strict=True))]
    found = ensemble(members).predict(np.repeat(FRAMES, 2, 0))
    for k, agreeing in enumerate(([0, 1, 2], [0, 1])):
        shares = likelihood[agreeing, k] / likelihood[agreeing, k].sum()
        mean = shares @ points[agreeing, k]
        apart = points[:, k] - mean
        within = np.einsum("v,vij->ij", shares, np.stack([more[v]["covariance"][k] for v in agreeing]))
        between = np.einsum("v,vi,vj->ij", shares, apart[agreeing], apart[agreeing])
        for row in range(2):
            np.testing.assert_allclose(found["keypoints"][row, k], mean, rtol=1e-5)
            np.testing.assert_allclose(found["likelihood"][row, k], likelihood[agreeing, k].sum() / 3, rtol=1e-5)
            np.testing.assert_allclose(found["covariance"][row, k], within + between, rtol=1e-4)
            np.testing.assert_allclose(found["second"][row, k], more[0]["second"][k], rtol=1e-5)
            np.testing.assert_allclose(found["disagreement"][row, k], np.sqrt((apart**2).sum(-1).mean()), rtol=1e-5)


def test_bodyparts_are_matched_by_name():
    one = member([[1, 2], [3, 4]], [0.5, 0.25])
    other = member([[3, 4], [1, 2]], [0.25, 0.5], run="/runs/two", bodyparts=("b", "a"))
    found = ensemble([one, other])
    assert found.bodyparts == PARTS
    points = found.predict(FRAMES)
    np.testing.assert_allclose(points["keypoints"], [[[1, 2], [3, 4]]])
    np.testing.assert_allclose(points["likelihood"], [[0.5, 0.25]])
    np.testing.assert_allclose(points["disagreement"], [[0, 0]], atol=1e-6)
    third = dataclasses.replace(other, bodyparts=("b", "c"))
    with pytest.raises(InputError, match="only /runs/one has 'a', not /runs/two: leave one out"):
        ensemble([one, third])


def test_what_not_all_members_have_is_left_out():
    some = member([[1, 2], [3, 4]], [0.5, 0.5], run="/runs/two", covariance=np.ones((2, 2, 2)))
    found = ensemble([some, member([[1, 2], [3, 4]], [0.5, 0.5])]).predict(FRAMES)
    assert found.keys() == {"keypoints", "likelihood", "disagreement"}


def test_member_of_gray_frames_sees_gray():
    def brightness(images):
        assert images.shape[-1] == 1
        light = jnp.asarray(images, jnp.float32).mean((1, 2, 3))
        return {"keypoints": jnp.tile(light[:, None, None], (1, 2, 2)), "likelihood": jnp.full((len(images), 2), 0.5)}

    gray = Predictor(brightness, PARTS, 1, {"run": "/runs/gray", "checkpoint": "1"})
    both = ensemble([gray, member([[150, 150], [150, 150]], [1e-9, 1e-9])])
    assert both.channels == 3
    frames = np.zeros((1, 4, 5, 3), np.uint8)
    frames[..., 1] = 250
    np.testing.assert_allclose(both.predict(frames)["keypoints"], 0.587 * 250, atol=0.5)
    np.testing.assert_allclose(both.predict(FRAMES)["keypoints"], 0, atol=1e-3)
    assert ensemble([gray, dataclasses.replace(gray, origin={"run": "x"})]).channels == 1


def test_origin_names_every_member_and_one_alone_is_itself():
    one, other = member([[1, 2], [3, 4]], [1, 1]), member([[1, 2], [3, 4]], [1, 1], run="/runs/two")
    assert ensemble([one]) is one
    both = ensemble([one, other])
    assert scorer_of(both) == "pawjax_one+two_7+7"
    assert both.origin["member1 checkpoint_sha256"] == "oneoneone" and both.origin["member2 run"] == "/runs/two"
    with pytest.raises(InputError, match="an ensemble of /runs/one with itself"):
        ensemble([one, other, one])
    copy = dataclasses.replace(one, origin=one.origin | {"run": "/copies/one"})
    with pytest.raises(InputError, match="an ensemble of /copies/one with itself, or a copy of it"):
        ensemble([one, other, copy])
