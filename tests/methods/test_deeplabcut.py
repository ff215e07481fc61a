"""The method: what counts in its loss, what does not, and the range of its predictions."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from pawjax.methods.deeplabcut import DeepLabCut
from pawjax.models.pose_net import PoseNet
from pawjax.ops import chains, conv
from tests.tiny import TINY

METHOD = DeepLabCut(PoseNet(2, depth=TINY, width=8))


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (3, 40, 56, 1), np.uint8)),
        "keypoints": jnp.asarray(rng.uniform(5, 35, (3, 2, 2)), jnp.float32),
        "labelled": jnp.array([[True, True], [True, False], [True, True]]),
        "weight": jnp.ones(3),
        "to_original": jnp.tile(jnp.eye(2, 3)[None], (3, 1, 1)),
    }


@pytest.fixture(scope="module")
def variables():
    return jax.jit(METHOD.init)(jax.random.key(0), make_batch())


@cache
def loss_of(method, train):
    """Compiled once for all tests: `jax.jit(method.loss)` would be another function each time."""
    return jax.jit(lambda variables, batch: method.loss(variables, batch, jax.random.key(0), train)[0])


def terms_of(method, variables, batch, train=False):
    return jax.device_get(loss_of(method, train)(variables, batch))


def test_an_ignored_label_changes_nothing(variables):
    batch = make_batch()
    moved = batch | {"keypoints": batch["keypoints"].at[1, 1].set(20.0)}
    assert terms_of(METHOD, variables, batch) == terms_of(METHOD, variables, moved)
    seen = moved | {"labelled": jnp.ones((3, 2), bool)}
    assert terms_of(METHOD, variables, seen) != terms_of(METHOD, variables, batch)


def test_padding_changes_nothing(variables):
    batch = make_batch()
    whole = terms_of(METHOD, variables, batch | {"weight": jnp.array([1.0, 1.0, 0.0])})
    part = terms_of(METHOD, variables, jax.tree.map(lambda x: x[:2], batch))
    for name in whole:
        np.testing.assert_allclose(whole[name], part[name], rtol=1e-5)


def test_counts_by_hand(variables):
    batch = make_batch()
    cells = 6 * 8  # 40 x 56 is padded to 48 x 64
    assert terms_of(METHOD, variables, batch)["scoremap"][1] == 5 * cells
    negative = dataclasses.replace(METHOD, unlabelled="negative")
    assert terms_of(negative, variables, batch)["scoremap"][1] == 6 * cells
    y, x = 8 * np.arange(6) + 4, 8 * np.arange(8) + 4
    near = [
        ((x[None] - px) ** 2 + (y[:, None] - py) ** 2 <= 17**2).sum()
        for (px, py), seen in zip(
            np.asarray(batch["keypoints"]).reshape(-1, 2), np.asarray(batch["labelled"]).ravel(), strict=True
        )
        if seen
    ]
    assert terms_of(METHOD, variables, batch)["locref"][1] == 2 * sum(near)


def test_offsets_are_learnt_in_units_of_their_deviation(variables):
    """Where the net says nothing, the loss is that of the offsets alone, here by hand."""
    silent = variables["params"] | {"locref": jax.tree.map(jnp.zeros_like, variables["params"]["locref"])}
    batch, expected = make_batch(), 0.0
    y, x = np.meshgrid(8 * np.arange(6) + 4, 8 * np.arange(8) + 4, indexing="ij")
    for points, labelled in zip(np.asarray(batch["keypoints"]), np.asarray(batch["labelled"]), strict=True):
        for px, py in points[labelled]:
            near = np.hypot(x - px, y - py) <= 17
            size = np.abs(np.stack([px - x, py - y])[:, near]) / 7.2801
            expected += np.where(size <= 1, size**2 / 2, size - 0.5).sum()
    found = terms_of(METHOD, variables | {"params": silent}, batch)["locref"][0]
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("target, score_loss", [("disc", "cross_entropy"), ("gaussian", "squared_error")])
def test_gradients_are_finite_even_without_labels(variables, target, score_loss):
    method = dataclasses.replace(METHOD, target=target, score_loss=score_loss)
    batch = make_batch() | {"labelled": jnp.zeros((3, 2), bool), "weight": jnp.zeros(3)}

    def total(params):
        terms, _ = method.loss(variables | {"params": params}, batch, jax.random.key(0), True)
        return weighted_total(terms, method.loss_weights)

    gradients = jax.jit(jax.grad(total))(variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_predictions_have_the_contracts_shapes(variables):
    found = jax.jit(METHOD.predict)(variables, make_batch()["image"])
    assert found["keypoints"].shape == (3, 2, 2) and found["likelihood"].shape == (3, 2)
    assert ((found["likelihood"] >= 0) & (found["likelihood"] <= 1)).all()


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_prepared_variables_predict_the_same(monkeypatch, norm):
    monkeypatch.setattr(conv, "WINOGRAD_CHANNELS", 32)
    method = dataclasses.replace(METHOD, net=METHOD.net.copy(norm=norm, width=32))
    images = make_batch()["image"]
    variables = jax.jit(method.init)(jax.random.key(1), make_batch())
    shake = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: x + shake.uniform(0, 0.1, x.shape).astype(np.float32), variables)
    prepared = jax.jit(method.prepare)(variables)
    assert any(leaf.shape[:1] == (6,) for leaf in jax.tree.leaves(prepared["prepared"]))  # Winograd's
    predict = jax.jit(method.predict)
    expected, found = predict(variables, images), predict(prepared, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)
    if norm == "batch":  # then the backbone's own kernels are no longer read
        bare = jax.tree.map(jnp.zeros_like, variables["params"]["backbone"])
        blank = prepared | {"params": variables["params"] | {"backbone": bare}}
        jax.tree.map(np.testing.assert_array_equal, predict(blank, images), found)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_chains_of_a_batch_learn_as_the_whole(monkeypatch, norm):
    method = dataclasses.replace(METHOD, net=METHOD.net.copy(norm=norm, width=32, intermediate="block3_unit1"))
    batch = make_batch() | {"weight": jnp.array([1.0, 0.0, 1.0])}
    batch = jax.tree.map(lambda x: jnp.concatenate([x, x[::-1]]), batch)
    variables = jax.jit(method.init)(jax.random.key(1), batch)

    def total(params):
        terms, stats = method.loss(variables | {"params": params}, batch, jax.random.key(0), True)
        return weighted_total(terms, method.loss_weights), stats

    whole = jax.jit(jax.grad(total, has_aux=True))(variables["params"])
    monkeypatch.setattr(chains, "PIXELS", 0)
    cut = jax.jit(jax.grad(total, has_aux=True))(variables["params"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6 + 1e-4 * np.abs(a).max()), whole, cut)


def test_bfloat16_is_close_to_float32(variables):
    half = dataclasses.replace(METHOD, net=METHOD.net.copy(dtype=jnp.bfloat16))
    batch = make_batch()
    whole, found = (terms_of(method, variables, batch, train=True) for method in (METHOD, half))
    for name, (total, count) in whole.items():
        assert found[name][1] == count and found[name][0] == pytest.approx(total, rel=0.02)

    def scoremap(params):
        return half.loss(variables | {"params": params}, batch, jax.random.key(0), True)[0]["scoremap"][0]

    gradients = jax.eval_shape(jax.grad(scoremap), variables["params"])
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}


def test_live_statistics_move_and_frozen_ones_do_not(variables):
    for norm, moves in (("batch", True), ("frozen", False)):
        method = dataclasses.replace(METHOD, net=METHOD.net.copy(norm=norm))
        _, stats = method.loss(variables, make_batch(), jax.random.key(0), True)
        same = jax.tree.map(lambda a, b: bool((a == b).all()), stats, variables["batch_stats"])
        assert all(jax.tree.leaves(same)) is not moves


@pytest.mark.parametrize(
    "field, value", [("model.depth", 51), ("model.norm", "layer"), ("target.target", "box"), ("target.unlabelled", "x")]
)
def test_a_wrong_choice_is_named(field, value):
    config = default_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=f"config.{field}"):
        make_method(config, ("a",))


def test_an_unknown_method_is_named():
    config = default_config()
    config.method = "deeplabcat"
    with pytest.raises(InputError, match="deeplabcut"):
        make_method(config, ("a",))


SUPERVISED = dataclasses.replace(METHOD, net=METHOD.net.copy(intermediate="block3_unit1", intermediate_locref=True))


def test_intermediate_supervision_reaches_its_unit_and_below():
    variables = jax.jit(SUPERVISED.init)(jax.random.key(0), make_batch())

    def only_intermediate(params):
        terms, _ = SUPERVISED.loss(variables | {"params": params}, make_batch(), jax.random.key(0), True)
        weights = {name: float(name.startswith("intermediate_")) for name in terms}
        return weighted_total(terms, weights)

    gradients = jax.jit(jax.grad(only_intermediate))(variables["params"])
    largest = {
        name: float(jnp.abs(g["conv3"]["scale"]).max()) for name, g in gradients["backbone"].items() if "unit" in name
    }
    reached = {name for name, value in largest.items() if value > 0}
    assert reached == {name for name in largest if name < "block3_unit2"}
    assert np.abs(gradients["intermediate_scoremap"]["kernel"]).max() > 0
    assert np.abs(gradients["scoremap"]["kernel"]).max() == 0


def test_intermediate_terms_and_weights():
    assert SUPERVISED.loss_weights == {
        "scoremap": 1.0,
        "locref": 0.05,
        "intermediate_scoremap": 1.0,
        "intermediate_locref": 0.05,
    }
    variables = jax.jit(SUPERVISED.init)(jax.random.key(0), make_batch())
    terms = terms_of(SUPERVISED, variables, make_batch())
    assert terms["scoremap"][1] == terms["intermediate_scoremap"][1]
    assert terms["locref"][1] == terms["intermediate_locref"][1]
    scores_only = dataclasses.replace(SUPERVISED, net=METHOD.net.copy(intermediate="block3_unit1"))
    assert set(scores_only.loss_weights) == {"scoremap", "locref", "intermediate_scoremap"}


def test_intermediate_weight_zero_changes_no_bit(variables):
    silent = dataclasses.replace(SUPERVISED, intermediate_weight=0.0)
    richer = jax.jit(silent.init)(jax.random.key(0), make_batch())

    def gradient(method, variables):
        def total(params):
            terms, _ = method.loss(variables | {"params": params}, make_batch(), jax.random.key(0), True)
            return weighted_total(terms, method.loss_weights)

        return jax.device_get(jax.jit(jax.grad(total))(variables["params"]))

    plain, other = gradient(METHOD, variables), gradient(silent, richer)
    for name in plain:
        jax.tree.map(np.testing.assert_array_equal, plain[name], other[name])
    assert np.abs(other["intermediate_scoremap"]["kernel"]).max() == 0


def test_a_unit_that_the_net_lacks_is_refused():
    config = default_config()
    config.model.intermediate = "block3_unit12"
    with pytest.raises(InputError, match="block3_unit12.*ResNet-50.*3, 4, 6, 3"):
        make_method(config, ("paw",))
    config.model.depth = 101
    make_method(config, ("paw",))
