"""DeepLabCut: what its loss counts and ignores, and the range of its predictions."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from tests.tiny import TINY, TINY_LITE

BODYPARTS = ("left", "right")


def method_of(**fields):
    config = default_config()
    config.model.backbone, config.model.stem_channels = TINY, 8
    config.update_from_flattened_dict(fields)
    return make_method(config, BODYPARTS)


METHOD = method_of()
TOPDOWN = {"deeplabcut.head": "topdown", "deeplabcut.topdown_channels": 32, "model.backbone": TINY_LITE}


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (3, 40, 56, 1), np.uint8)),
        "keypoints": jnp.asarray(rng.uniform(5, 35, (3, 1, 2, 2)), jnp.float32),
        "labelled": jnp.array([[[True, True]], [[True, False]], [[True, True]]]),
        "absent": jnp.zeros((3, 1, 2), bool),
        "weight": jnp.ones(3),
        "to_original": jnp.tile(jnp.eye(2, 3)[None], (3, 1, 1)),
    }


@pytest.fixture(scope="module")
def variables():
    return jax.jit(METHOD.init)(jax.random.key(0), make_batch())


@cache
def loss_of(method):
    """Cached: `jax.jit(method.loss)` would be a new function, and compile, each time."""
    return jax.jit(lambda variables, batch: method.loss(variables, batch)[0])


def terms_of(method, variables, batch):
    return jax.device_get(loss_of(method)(variables, batch))


def test_ignored_label_changes_nothing(variables):
    batch = make_batch()
    moved = batch | {"keypoints": batch["keypoints"].at[1, 0, 1].set(20.0)}
    assert terms_of(METHOD, variables, batch) == terms_of(METHOD, variables, moved)
    known = moved | {"labelled": jnp.ones((3, 1, 2), bool)}
    assert terms_of(METHOD, variables, known) != terms_of(METHOD, variables, batch)


@pytest.mark.parametrize("absent", [False, True])
def test_padding_changes_nothing(absent, variables):
    frozen, batch = method_of(**{"model.norm": "frozen"}), make_batch()
    batch["absent"] = ~batch["labelled"] & absent
    padded = terms_of(frozen, variables, batch | {"weight": jnp.array([1.0, 1.0, 0.0])})
    shorter = terms_of(frozen, variables, jax.tree.map(lambda x: x[:2], batch))
    for name in padded:
        np.testing.assert_allclose(padded[name], shorter[name], rtol=1e-5)


def test_counts_by_hand(variables):
    batch = make_batch()
    cells = 6 * 8  # 40 x 56 is padded to 48 x 64
    assert terms_of(METHOD, variables, batch)["scoremap"][1] == 5 * cells
    absent = batch | {"absent": ~batch["labelled"]}
    assert terms_of(METHOD, variables, absent)["scoremap"][1] == 6 * cells
    y, x = 8 * np.arange(6) + 4, 8 * np.arange(8) + 4
    near = [
        ((x[None] - px) ** 2 + (y[:, None] - py) ** 2 <= 17**2).sum()
        for (px, py), known in zip(
            np.asarray(batch["keypoints"]).reshape(-1, 2), np.asarray(batch["labelled"]).ravel(), strict=True
        )
        if known
    ]
    assert terms_of(METHOD, variables, batch)["locref"][1] == 2 * sum(near)


def test_cells_of_the_topdown_head_lie_where_the_backbone_has_them():
    method, batch = method_of(**TOPDOWN, **{"deeplabcut.stride": 4, "deeplabcut.radius": 6.0}), make_batch()
    shapes = jax.eval_shape(lambda: method.loss(method.init(jax.random.key(0), batch), batch))
    assert shapes[0].keys() == {"scoremap", "locref"}
    variables = jax.jit(method.init)(jax.random.key(0), batch)
    terms = jax.device_get(jax.jit(lambda variables: method.loss(variables, batch)[0])(variables))
    assert terms["scoremap"][1] == 5 * 16 * 16  # 40 x 56 is padded to 64 x 64
    y = x = 4 * np.arange(16) + 3
    points = np.asarray(batch["keypoints"])[np.asarray(batch["labelled"])]
    near = [((x[None] - px) ** 2 + (y[:, None] - py) ** 2 <= 6**2).sum() for px, py in points]
    assert terms["locref"][1] == 2 * sum(near)
    found = jax.jit(lambda variables: method.score_maps(variables, batch["image"]).offsets)(variables)
    assert found.shape == (3, 16, 16, 2, 2)


def test_offsets_are_learned_in_units_of_locref_stdev(variables):
    """For an output of zero the loss follows from the offsets, here by hand."""
    silent = variables["params"] | {"locref": jax.tree.map(jnp.zeros_like, variables["params"]["locref"])}
    batch, expected = make_batch(), 0.0
    y, x = np.meshgrid(8 * np.arange(6) + 4, 8 * np.arange(8) + 4, indexing="ij")
    for points, labelled in zip(np.asarray(batch["keypoints"])[:, 0], np.asarray(batch["labelled"])[:, 0], strict=True):
        for px, py in points[labelled]:
            near = np.hypot(x - px, y - py) <= 17
            size = np.abs(np.stack([px - x, py - y])[:, near]) / 7.2801
            expected += np.where(size <= 1, size**2 / 2, size - 0.5).sum()
    found = terms_of(METHOD, variables | {"params": silent}, batch)["locref"][0]
    assert found == pytest.approx(expected, rel=1e-4)


def test_cells_and_nowhere_compete_for_each_bodypart(variables):
    fields = {"deeplabcut.location_weight": 0.1, "deeplabcut.sigma": 9.0}
    assert method_of(**fields).loss_weights == METHOD.loss_weights | {"location": 0.1}
    frozen, batch = method_of(**fields, **{"model.norm": "frozen"}), make_batch()
    batch["keypoints"] = batch["keypoints"].at[0, 0, 1].set(jnp.array([90.0, 20.0]))  # labelled outside the crop
    batch["absent"], batch["weight"] = ~batch["labelled"], jnp.array([1.0, 1.0, 0.0])
    maps = jax.jit(METHOD.score_maps)(variables, batch["image"]).log_likelihood
    logits = np.asarray(maps - jnp.log(-jnp.expm1(maps)), np.float64)  # of the sigmoid
    y, x = np.meshgrid(8 * np.arange(6) + 4, 8 * np.arange(8) + 4, indexing="ij")
    expected = 0
    for image, bodypart, is_there in ((0, 0, True), (0, 1, False), (1, 0, True), (1, 1, False)):
        px, py = batch["keypoints"][image, 0, bodypart]
        shares = special.log_softmax(np.append(logits[image, :, :, bodypart], 0))
        aims = special.softmax(-((x - px) ** 2 + (y - py) ** 2) / (2 * 9.0**2)).ravel()
        expected -= shares[:-1] @ aims if is_there else shares[-1]
    assert terms_of(frozen, variables, batch)["location"] == (pytest.approx(expected, rel=1e-4), 4)


@pytest.mark.parametrize("target, score_loss", [("disc", "cross_entropy"), ("gaussian", "squared_error")])
def test_gradients_are_finite_even_without_labels(variables, target, score_loss):
    fields = {"target": target, "score_loss": score_loss, "location_weight": 0.1}
    method = method_of(**{f"deeplabcut.{name}": value for name, value in fields.items()})
    batch = make_batch() | {"labelled": jnp.zeros((3, 1, 2), bool), "weight": jnp.zeros(3)}

    def total(params):
        terms, _ = method.loss(variables | {"params": params}, batch)
        return weighted_total(terms, method.loss_weights)

    gradients = jax.jit(jax.grad(total))(variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_predictions_follow_the_contract(variables):
    found = jax.jit(METHOD.predict)(variables, make_batch()["image"])
    assert found["keypoints"].shape == (3, 2, 2) and found["likelihood"].shape == (3, 2)
    assert ((found["likelihood"] >= 0) & (found["likelihood"] <= 1)).all()


@pytest.mark.parametrize(
    "norm, fields",
    [
        *((norm, {"model.stem_channels": 32}) for norm in ("batch", "frozen", "group")),
        *((norm, TOPDOWN) for norm in ("batch", "frozen")),
    ],
)
def test_folded_variables_predict_the_same(norm, fields):
    method, images = method_of(**{"model.norm": norm} | fields), make_batch()["image"]
    variables = jax.jit(method.init)(jax.random.key(1), make_batch())
    shake = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: x + shake.uniform(0, 0.1, x.shape).astype(np.float32), variables)
    folded, less = method.fold(variables)
    expected, found = jax.jit(method.predict)(variables, images), jax.jit(folded.predict)(less, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)
    stem = less["params"]["backbone"]["stem"]
    assert stem.keys() == ({"kernel", "bias"} if norm != "group" else {"kernel", "bias", "scale"})


def test_bfloat16_is_close_to_float32(variables):
    half = method_of(dtype="bfloat16")
    batch = make_batch()
    whole, found = (terms_of(method, variables, batch) for method in (METHOD, half))
    for name, (total, count) in whole.items():
        assert found[name][1] == count and found[name][0] == pytest.approx(total, rel=0.02)

    def scoremap(params):
        return half.loss(variables | {"params": params}, batch)[0]["scoremap"][0]

    gradients = jax.eval_shape(jax.grad(scoremap), variables["params"])
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}


def test_live_statistics_change_and_frozen_ones_do_not(variables):
    for norm, moves in (("batch", True), ("frozen", False)):
        _, updates = method_of(**{"model.norm": norm}).loss(variables, make_batch())
        same = jax.tree.map(lambda a, b: bool((a == b).all()), updates["batch_stats"], variables["batch_stats"])
        assert all(jax.tree.leaves(same)) is not moves


def test_new_layers_of_a_frozen_network_are_not_frozen():
    """They have no statistics from anywhere: mean 0 and variance 1 would fit no features."""
    method, batch = method_of(**TOPDOWN, **{"model.norm": "frozen"}), make_batch()
    variables = jax.jit(method.init)(jax.random.key(0), batch)
    before, after = variables["batch_stats"], jax.jit(method.loss)(variables, batch)[1]["batch_stats"]
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert not any(jax.tree.leaves(moved.pop("backbone"))) and moved and all(jax.tree.leaves(moved))


@pytest.mark.parametrize(
    "field, value",
    [
        ("model.backbone", "resnet51"),
        ("model.norm", "layer"),
        ("model.variant", "caffe"),
        ("deeplabcut.target", "box"),
        ("deeplabcut.head", "pyramid"),
        ("deeplabcut.stride", 2),
        ("deeplabcut.stride", 4),
        ("deeplabcut.radius", 0.0),
        ("deeplabcut.locref_weight", -1.0),
        ("predict.decode", "x"),
    ],
)
def test_invalid_value_is_named(field, value):
    with pytest.raises(InputError, match=f"config.{field} = {value!r} must be"):
        method_of(**{field: value})


def test_settings_that_only_one_head_has():
    with pytest.raises(InputError, match="config.deeplabcut.stride = 4 must be 8, or config.deeplabcut.head 'topdown'"):
        method_of(**{"deeplabcut.stride": 4})
    with pytest.raises(InputError, match="deeplabcut.intermediate = 'block3_unit1' must be '', or .*convolution"):
        method_of(**TOPDOWN | UNIT | {"model.backbone": TINY})


def test_warning_of_a_small_radius_follows_the_stride():
    (warning,) = method_of(**{"deeplabcut.radius": 4.0}).warnings
    assert "less than 5.7 px: score maps have a cell every 8 px" in warning
    assert not method_of(**TOPDOWN, **{"deeplabcut.radius": 4.0, "deeplabcut.stride": 4}).warnings


def test_unknown_method_is_named():
    config = default_config()
    config.method = "deeplabcat"
    with pytest.raises(InputError, match="deeplabcut"):
        make_method(config, ("a",))


UNIT = {"deeplabcut.intermediate": "block3_unit1"}
SUPERVISED = method_of(**UNIT, **{"deeplabcut.intermediate_locref": True})


def test_intermediate_supervision_reaches_its_unit_and_below():
    variables = jax.jit(SUPERVISED.init)(jax.random.key(0), make_batch())

    def only_intermediate(params):
        terms, _ = SUPERVISED.loss(variables | {"params": params}, make_batch())
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
    assert set(method_of(**UNIT).loss_weights) == {"scoremap", "locref", "intermediate_scoremap"}


def test_zero_intermediate_weight_changes_no_bit(variables):
    silent = method_of(**UNIT, **{"deeplabcut.intermediate_locref": True, "deeplabcut.intermediate_weight": 0.0})
    richer = jax.jit(silent.init)(jax.random.key(0), make_batch())

    def gradient(method, variables):
        def total(params):
            terms, _ = method.loss(variables | {"params": params}, make_batch())
            return weighted_total(terms, method.loss_weights)

        return jax.device_get(jax.jit(jax.grad(total))(variables["params"]))

    plain, other = gradient(METHOD, variables), gradient(silent, richer)
    for name in plain:
        jax.tree.map(np.testing.assert_array_equal, plain[name], other[name])
    assert np.abs(other["intermediate_scoremap"]["kernel"]).max() == 0


def test_missing_intermediate_unit_is_refused():
    config = default_config()
    config.deeplabcut.intermediate = "block3_unit12"
    with pytest.raises(InputError, match="block3_unit12.*resnet50.*3, 4, 6, 3"):
        make_method(config, ("paw",))
    config.model.backbone = "vgg16"
    with pytest.raises(InputError, match="only ResNets have units"):
        make_method(config, ("paw",))
    config.model.backbone = "resnet101"
    make_method(config, ("paw",))
