"""The hourglass method: its terms, what they count, its predictions, and the variants of other tools."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from tests.methods.test_deeplabcut import make_batch

SMALL = {"model.stem_channels": 2, "hourglass.levels": 1}


def method_of(**fields):
    config = default_config()
    config.method = "hourglass"
    config.update_from_flattened_dict(SMALL | fields)
    return make_method(config, ("left", "right"))


METHOD = method_of()


@pytest.fixture(scope="module")
def variables():
    return jax.jit(METHOD.init)(jax.random.key(0), make_batch())


@cache
def loss_of(method):
    return jax.jit(lambda variables, batch: method.loss(variables, batch)[0])


def terms_of(method, variables, batch):
    return jax.device_get(loss_of(method)(variables, batch))


def test_every_hourglass_has_a_term_that_counts_known_cells(variables):
    batch, cells = make_batch(), 10 * 14  # 40 x 56 px, which are multiples of 8
    terms = terms_of(METHOD, variables, batch)
    assert METHOD.loss_weights == {"scoremap1": 1.0, "scoremap2": 1.0} and terms.keys() == METHOD.loss_weights.keys()
    assert all(count == 5 * cells for _, count in terms.values())
    absent = terms_of(METHOD, variables, batch | {"absent": ~batch["labelled"]})
    assert all(count == 6 * cells for _, count in absent.values())
    moved = batch | {"keypoints": batch["keypoints"].at[1, 0, 1].set(20.0)}
    assert terms_of(METHOD, variables, moved) == terms


def test_padding_changes_nothing(variables):
    frozen, batch = method_of(**{"model.norm": "frozen"}), make_batch()
    padded = terms_of(frozen, variables, batch | {"weight": jnp.array([1.0, 1.0, 0.0])})
    shorter = terms_of(frozen, variables, jax.tree.map(lambda x: x[:2], batch))
    for name in padded:
        np.testing.assert_allclose(padded[name], shorter[name], rtol=1e-5)


def test_the_loss_of_silent_maps_is_that_of_the_targets(variables):
    """By hand: maps of zero are wrong by the Gaussians around the labels, at cells 4 px apart from pixel 1 on."""
    silent = dict(variables["params"])
    silent |= {name: jax.tree.map(jnp.zeros_like, silent[name]) for name in ("scoremap1", "scoremap2")}
    batch, expected = make_batch(), 0.0
    y, x = np.meshgrid(4 * np.arange(10) + 1, 4 * np.arange(14) + 1, indexing="ij")
    for px, py in np.asarray(batch["keypoints"])[np.asarray(batch["labelled"])]:
        expected += (np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 4.0**2)) ** 2).sum()
    terms = terms_of(METHOD, variables | {"params": silent}, batch)
    assert [total for total, _ in terms.values()] == pytest.approx([expected] * 2, rel=1e-4)


@pytest.mark.parametrize("score_loss", ["squared_error", "cross_entropy"])
def test_a_perfect_map_decodes_to_the_label(score_loss, monkeypatch):
    """Sub-pixel: a Gaussian on a grid of 4 px is found where it was drawn."""
    method = method_of(**{"hourglass.score_loss": score_loss, "predict.decode": "taylor"})
    points, (height, width) = np.array([[[13.3, 22.1], [30.7, 9.4]]]), (12, 16)
    y, x = np.mgrid[:height, :width] * 4 + method.net.center
    apart = (x[..., None] - points[0, :, 0]) ** 2 + (y[..., None] - points[0, :, 1]) ** 2
    target = np.exp(-apart / (2 * 6.0**2))[None]
    raw = target if score_loss == "squared_error" else np.log(target / (1 - target + 1e-9))
    maps = {"scoremap1": jnp.zeros(raw.shape), "scoremap2": jnp.asarray(raw, jnp.float32)}
    monkeypatch.setattr(type(method.net), "apply", lambda *_, **__: maps)
    found = method.predict({}, jnp.zeros((1, 48, 64, 1), jnp.uint8))
    np.testing.assert_allclose(found["keypoints"], points, atol=0.02)
    assert (found["likelihood"] > 0.8).all() and found["covariance"].shape == (1, 2, 2, 2)


def test_predictions_follow_the_contract_folded_too(variables):
    images = make_batch()["image"]
    found = jax.jit(METHOD.predict)(variables, images)
    assert found["keypoints"].shape == (3, 2, 2) and ((found["likelihood"] >= 0) & (found["likelihood"] <= 1)).all()
    folded, less = METHOD.fold(variables)
    again = jax.jit(folded.score_maps)(less, images).log_likelihood
    expected = jax.jit(METHOD.score_maps)(variables, images).log_likelihood
    assert expected.shape == (3, 10, 14, 2) and less["params"]["stem1"]["norm"].keys() == {"scale", "bias"}
    np.testing.assert_allclose(again, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_bfloat16_is_close_and_gradients_reach_every_stack(variables):
    half, batch = method_of(dtype="bfloat16", **{"model.remat": True}), make_batch()
    whole, found = (terms_of(method, variables, batch) for method in (METHOD, half))
    for name, (total, count) in whole.items():
        assert found[name][1] == count and found[name][0] == pytest.approx(total, rel=0.02)

    def total(params):
        terms, _ = METHOD.loss(variables | {"params": params}, batch)
        return weighted_total(terms, METHOD.loss_weights)

    gradients = jax.jit(jax.grad(total))(variables["params"])
    assert all(float(jnp.abs(leaf).max()) > 0 for name in METHOD.loss_weights for leaf in gradients[name].values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_heads_of_other_bodyparts_may_be_replaced(variables):
    fresh = {name for name in variables["params"] if name.startswith(("scoremap", "reinject"))}
    assert fresh <= set(METHOD.bodypart_heads) and fresh == {"scoremap1", "reinject1", "scoremap2"}


@pytest.mark.parametrize(
    "field, value",
    [
        ("hourglass.stacks", 0),
        ("hourglass.stride", 8),
        ("hourglass.block", "inception"),
        ("hourglass.sigma", 0.0),
        ("hourglass.score_loss", "mse"),
    ],
)
def test_invalid_value_is_named(field, value):
    with pytest.raises(InputError, match=f"config.{field} = {value!r} must be"):
        method_of(**{field: value})


LEAP = {"hourglass.stride": 1, "hourglass.reinject": False, "hourglass.sigma": 5.0}
SLEAP = {"hourglass.stacks": 3, "hourglass.block": "plain", "hourglass.growth": 0.5, "hourglass.sigma": 10.0}


@pytest.mark.parametrize("fields", [LEAP, SLEAP], ids=["LEAP", "SLEAP"])
def test_variants_of_other_tools_have_losses_and_maps(fields):
    method, batch = method_of(**fields), make_batch()
    shapes = jax.eval_shape(lambda: method.loss(method.init(jax.random.key(0), batch), batch)[0])
    assert shapes.keys() == method.loss_weights.keys() and len(shapes) == method.net.stacks
    found = jax.eval_shape(lambda: method.score_maps(method.init(jax.random.key(0), batch), batch["image"]))
    stride = method.net.stride
    assert found.log_likelihood.shape == (3, 40 // stride, 56 // stride, 2)


def test_weights_of_a_backbone_are_refused():
    with pytest.raises(InputError, match="config.init_from = 'imagenet' .* config.method = 'hourglass' has none"):
        method_of(init_from="imagenet")
