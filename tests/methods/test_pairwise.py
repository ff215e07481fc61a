"""DeepLabCut's pairwise head: its targets against a slow loop, its gradients, and what a network learns with it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pawjax.config import default_config
from pawjax.errors import InputError
from pawjax.losses import weighted_total
from pawjax.methods import make_method
from pawjax.structure import Pairwise, pair_parts
from tests.methods.test_deeplabcut import TOPDOWN
from tests.tiny import TINY

NAMES, K = ("nose", "tail", "paw"), 3
WITH = {"deeplabcut.pairwise_weight": 0.05}
HEADS = {"deconvolution": {}, "topdown": TOPDOWN}


@functools.cache
def method_of(head="deconvolution", **fields):
    config = default_config()
    config.model.backbone, config.model.stem_channels = TINY, 8
    config.update_from_flattened_dict(WITH | HEADS[head] | fields)
    return make_method(config, NAMES)


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (3, 64, 64, 1), np.uint8)),
        "keypoints": jnp.asarray(rng.uniform(5, 60, (3, 1, K, 2)), jnp.float32),
        "labelled": jnp.array([[[True, True, True]], [[True, False, True]], [[False, True, False]]]),
        "absent": jnp.zeros((3, 1, K), bool),
        "weight": jnp.array([1.0, 1.0, 1.0]),
    }


@functools.cache
def variables_of(head):
    method, batch = method_of(head), make_batch()
    variables = jax.jit(method.init)(jax.random.key(0), batch)
    return method.with_labels(variables, np.asarray(batch["keypoints"]), np.asarray(batch["labelled"]))


@functools.cache
def loss_of(head):
    return jax.jit(lambda variables, batch: method_of(head).loss(variables, batch)[0])


@pytest.mark.parametrize("head", HEADS)
def test_loss_is_that_of_a_slow_loop(head):
    """The Huber loss of the standardised vectors from each cell of a's disc to each labelled b, in the pairs' order."""
    method, variables, batch = method_of(head), variables_of(head), make_batch()
    batch["weight"] = jnp.array([1.0, 0.5, 1.0])
    total, count = jax.device_get(loss_of(head)(variables, batch)["pairwise"])
    maps = jax.jit(lambda v: method.apply_training(v, method.padded(batch["image"]))[0]["pairwise"])(variables)
    assert maps.shape == (3, 8, 8, K * (K - 1), 2)
    mean, deviation, _ = (np.asarray(x) for x in method.pairwise(variables))
    expected, n = 0.0, 0.0
    for i, y, x in np.ndindex(3, 8, 8):
        cell = np.array([x, y]) * 8 + method.net.center
        points, known = np.asarray(batch["keypoints"])[i, 0], np.asarray(batch["labelled"])[i, 0]
        for pair, (a, b) in enumerate([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]):
            if known[a] and known[b] and np.hypot(*(points[a] - cell)) <= 17:
                error = np.abs(maps[i, y, x, pair] - (points[b] - cell - mean[pair]) / deviation[pair])
                weight = float(batch["weight"][i])
                expected += weight * np.where(error <= 1, error**2 / 2, error - 0.5).sum()
                n += 2 * weight
    assert count == pytest.approx(n) and n > 50
    assert total == pytest.approx(expected, rel=1e-4)


def test_vectors_of_the_maps_are_in_pixels_of_each_bodypart():
    method, variables = method_of(), variables_of("deconvolution")
    images = make_batch()["image"]
    raw = jax.jit(lambda v: method.net.apply(v, images, train=False)["pairwise"])(variables)
    known, maps = method.pairwise(variables), jax.jit(method.score_maps)(variables, images)
    assert maps.pair_offsets.shape == (3, 8, 8, K, K - 1, 2)
    for pair, (a, b) in enumerate(zip(*pair_parts(K), strict=True)):
        expected = known.mean[pair] + known.deviation[pair] * raw[..., pair, :]
        np.testing.assert_allclose(maps.pair_offsets[..., a, b - (b > a), :], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_gradients_are_finite_even_without_pairs(head):
    method, variables, batch = method_of(head), variables_of(head), make_batch()
    alone = batch | {"labelled": jnp.zeros((3, 1, K), bool).at[:, :, 0].set(True)}
    assert jax.device_get(loss_of(head)(variables, alone)["pairwise"]) == (0, 0)

    @jax.jit
    def gradients(params, batch):
        def total(params):
            return weighted_total(method.loss(variables | {"params": params}, batch)[0], method.loss_weights)

        return jax.grad(total)(params)

    for some in (batch, alone):
        found = gradients(variables["params"], some)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
        moves = any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(found["pairwise"]))
        assert moves is (some is batch)


def test_without_weight_there_is_no_head():
    method = method_of(**{"deeplabcut.pairwise_weight": 0.0})
    shapes = jax.eval_shape(method.init, jax.random.key(0), make_batch())
    assert shapes.keys() == {"params", "batch_stats"} and "pairwise" not in shapes["params"]
    assert "pairwise" not in method.loss_weights and method.pairwise(shapes) is None
    assert jax.eval_shape(method.score_maps, shapes, make_batch()["image"]).pair_offsets is None
    assert method.with_labels(shapes, np.zeros((1, 1, K, 2)), np.ones((1, 1, K), bool)) is shapes


def test_training_and_folding_keep_what_is_known_of_pairs():
    method, variables = method_of(), variables_of("deconvolution")
    variables = method.with_pairwise(variables, method.pairwise(variables)._replace(weights=jnp.ones((6, 9))))
    _, updates = jax.jit(method.loss)(variables, make_batch())
    folded, less = method.fold(variables)
    assert less.keys() == {"params", "pairs"}
    for kept in (updates, less):
        jax.tree.map(np.testing.assert_array_equal, kept["pairs"], variables["pairs"])
    images = make_batch()["image"]
    found, expected = jax.jit(folded.score_maps)(less, images), jax.jit(method.score_maps)(variables, images)
    np.testing.assert_allclose(found.pair_offsets, expected.pair_offsets, rtol=1e-3, atol=1e-3)
    assert isinstance(folded.pairwise(less), Pairwise)


def test_a_single_bodypart_is_one_sentence():
    config = default_config()
    config.deeplabcut.pairwise_weight = 0.05
    with pytest.raises(
        InputError, match=r"^config.deeplabcut.pairwise_weight = 0.05 is for .* only paw: leave it at 0$"
    ):
        make_method(config, ("paw",))


def test_a_network_learns_where_bodyparts_are_relative_to_each_other():
    """Four frames of three blobs each: after training on them it tells from each blob where the others are."""
    method = method_of(**{"model.norm": "group"})
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 54, (4, K, 2)).astype(np.float32)
    y, x = np.mgrid[:64, :64]
    images = np.zeros((4, 64, 64, 1))
    for i, k in np.ndindex(4, K):
        away = (x - points[i, k, 0]) ** 2 + (y - points[i, k, 1]) ** 2
        images[i, ..., 0] += (80 * (k + 1)) * np.exp(-away / (2 * (3.0 + k) ** 2))
    batch = {
        "image": jnp.asarray(images.clip(0, 255).astype(np.uint8)),
        "keypoints": jnp.asarray(points[:, None]),
        "labelled": jnp.ones((4, 1, K), bool),
        "absent": jnp.zeros((4, 1, K), bool),
        "weight": jnp.ones(4),
    }
    variables = jax.jit(method.init)(jax.random.key(0), batch)
    variables = method.with_labels(variables, points[:, None], np.ones((4, 1, K), bool))
    optimizer = optax.adam(3e-3)

    def total(params):
        return weighted_total(
            method.loss(variables | {"params": params}, batch)[0], method.loss_weights | {"pairwise": 1.0}
        )

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(total)(params), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), length=150)[0][0]

    def errors(params):
        vectors = jax.jit(method.score_maps)(variables | {"params": params}, batch["image"]).pair_offsets
        cells = np.round((points - 4) / 8).astype(int)
        found = []
        for i, a, b in np.ndindex(4, K, K - 1):
            column, row = cells[i, a]
            true = points[i, b + (b >= a)] - (cells[i, a] * 8 + 4)
            found.append(np.hypot(*(vectors[i, row, column, a, b] - true)))
        return np.array(found)

    before, after = errors(variables["params"]), errors(train(variables["params"]))
    assert np.median(after) < 3 < 10 < np.median(before)
