"""Pairs of bodyparts: their order, features, costs and statistics against slow loops, the regression against scipy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

from pawjax.ops.decoding import REACH
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure.pair_learning import fit_pairs, learn_offsets, pair_examples
from pawjax.structure.pairwise import (
    N_FEATURES,
    REVERSED,
    Pairwise,
    pair_costs,
    pair_features,
    pair_index,
    pair_parts,
    untrained,
)

STRIDE, CENTER = 8, 4.0  # px
K = 3


def features_of(between, there, back, deviation_there, deviation_back):
    """Those of one pair of places, from the definition."""
    values = []
    for true, said, deviation in ((between, there, deviation_there), (-between, back, deviation_back)):
        values.append(np.hypot(*((true - said) / deviation)))
        lengths = np.linalg.norm(true) * np.linalg.norm(said)
        values.append(np.arccos(np.clip(true @ said / lengths, -1, 1)) if lengths else 0.0)
    return np.array([1, *values, *np.exp(-np.array(values))])


def some_model(seed=0):
    """Random weights; those of a pair and of its reverse are the same."""
    rng, n = np.random.default_rng(seed), K * (K - 1)
    weights = rng.normal(size=(n, N_FEATURES))
    for a, b in itertools.combinations(range(K), 2):
        weights[pair_index(b, a, K)] = weights[pair_index(a, b, K)][REVERSED]
    deviation = rng.uniform(5, 20, (n, 2))
    return Pairwise(*(jnp.asarray(x, jnp.float32) for x in (rng.normal(0, 30, (n, 2)), deviation, weights)))


@given(st.integers(2, 40))
def test_pairs_are_numbered_as_in_deepercut(n):
    a, b = pair_parts(n)
    expected = [(i, j) for i in range(n) for j in range(n) if i != j]
    assert list(zip(a, b, strict=True)) == expected
    assert (pair_index(a, b, n) == np.arange(n * (n - 1))).all()


def test_one_bodypart_has_no_pairs():
    assert [x.size for x in pair_parts(1)] == [0, 0] and untrained(1).weights.shape == (0, N_FEATURES)


def test_features_are_distances_and_angles_in_both_directions():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 20, (50, 3, 2))
    deviations = rng.uniform(3, 30, (2, 2))
    found = pair_features(*np.moveaxis(values, 1, 0), *deviations)
    expected = [features_of(*row, *deviations) for row in values]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    back = pair_features(-values[:, 0], values[:, 2], values[:, 1], *deviations[::-1])
    np.testing.assert_allclose(back[:, REVERSED], found, rtol=1e-4, atol=1e-5)


def test_costs_are_of_all_pairs_of_candidates_and_of_either_direction():
    rng, model = np.random.default_rng(1), some_model()
    places_a, places_b = rng.uniform(0, 100, (2, 4, 2)), rng.uniform(0, 100, (2, 5, 2))
    towards_b, towards_a = rng.normal(0, 20, places_a.shape), rng.normal(0, 20, places_b.shape)
    for a, b in itertools.combinations(range(K), 2):
        costs = np.asarray(pair_costs(model, a, b, places_a, places_b, towards_b, towards_a))
        assert costs.shape == (2, 4, 5) and (costs >= 0).all()
        reverse = pair_costs(model, b, a, places_b, places_a, towards_a, towards_b)
        np.testing.assert_allclose(costs, np.swapaxes(reverse, 1, 2), rtol=1e-3, atol=1e-4)
        there, back = pair_index(a, b, K), pair_index(b, a, K)
        for i, p, q in np.ndindex(costs.shape):
            features = features_of(
                *(places_b[i, q] - places_a[i, p], towards_b[i, p], towards_a[i, q]),
                *(np.asarray(model.deviation[pair]) for pair in (there, back)),
            )
            expected = -special.log_expit(features @ np.asarray(model.weights[there], np.float64))
            assert costs[i, p, q] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_costs_have_finite_values_where_vectors_vanish():
    zero = jnp.zeros((1, 2))
    cost = pair_costs(some_model(), 0, 1, zero, zero, zero, zero)
    assert np.isfinite(cost).all()
    assert pair_costs(untrained(2), 0, 1, zero, zero + 9, zero, zero).item() == pytest.approx(np.log(2))


def labels(n=40, seed=0):
    rng = np.random.default_rng(seed)
    keypoints = rng.normal((60, 50), 15, (n, 1, K, 2)).astype(np.float32)
    return keypoints, rng.uniform(size=(n, 1, K)) < 0.7


def test_vectors_are_standardised_by_those_of_the_labels():
    keypoints, labelled = labels()
    model = learn_offsets(keypoints, labelled, radius=10.0)
    for row, (a, b) in enumerate(zip(*pair_parts(K), strict=True)):
        vectors = [
            points[b] - points[a]
            for points, known in zip(keypoints[:, 0], labelled[:, 0], strict=True)
            if known[[a, b]].all()
        ]
        n = len(vectors)
        np.testing.assert_allclose(model.mean[row], np.mean(vectors, 0), rtol=1e-4, atol=1e-3)
        variance = np.var(vectors, 0, ddof=1) * (1 + 1 / n) + 1 / 6  # of a new one, rounded
        variance += 10.0**2 / 4  # from a cell of the disc
        np.testing.assert_allclose(model.deviation[row], np.sqrt(variance), rtol=1e-4)
    assert not np.asarray(model.weights).any()


def test_bodyparts_that_are_never_labelled_together_have_vectors_as_they_are():
    keypoints, labelled = labels()
    labelled[:, 0, 0] &= ~labelled[:, 0, 1]
    model = learn_offsets(keypoints, labelled, radius=10.0)
    for pair in (pair_index(0, 1, K), pair_index(1, 0, K)):
        np.testing.assert_array_equal(model.mean[pair], 0)
        np.testing.assert_allclose(model.deviation[pair], 5.0, rtol=0.01)


def maps_and_labels(n=12, shape=(14, 16), noise=6.0, seed=0):
    """Maps whose predicted vectors are right up to noise at every cell of a label, and random elsewhere."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(10, 100, (n, K, 2)).astype(np.float32)
    vectors = rng.normal(0, 40, (n, *shape, K, K - 1, 2)).astype(np.float32)
    for i, a, b in np.ndindex(n, K, K - 1):
        x, y = np.round((keypoints[i, a] - CENTER) / STRIDE).astype(int)
        part = b + (b >= a)
        vectors[i, y, x, a, b] = (
            keypoints[i, part] - (x * STRIDE + CENTER, y * STRIDE + CENTER) + rng.normal(0, noise, 2)
        )
    labelled = rng.uniform(size=(n, K)) < 0.8
    maps = ScoreMaps(jnp.zeros((n, *shape, K)), jnp.zeros((n, *shape, K, 2)), STRIDE, CENTER, jnp.asarray(vectors))
    return maps, keypoints, labelled


def test_examples_are_the_cells_of_labels_and_a_grid():
    maps, keypoints, labelled = maps_and_labels()
    keypoints[3, 1] = (500.0, 20.0)  # outside
    labelled[3, 1] = True
    found = pair_examples(maps, jnp.asarray(keypoints), jnp.asarray(labelled))
    assert not found.known[3, 1] and np.isfinite(found.offsets).all()
    for i, q in np.ndindex(found.places.shape[:2]):
        x, y = found.places[i, q]
        np.testing.assert_array_equal(found.offsets[i, q], maps.pair_offsets[i, y, x])
        if q < K and (i, q) != (3, 1):
            assert np.abs(np.array([x, y]) * STRIDE + CENTER - keypoints[i, q]).max() <= STRIDE / 2
            assert found.known[i, q] == labelled[i, q]
    assert found.known[:, K:].all() and len(np.unique(found.places[0, K:], axis=0)) == 16


def slow_rows(model, examples, a, b):
    """Features and labels of a pair, from the definition."""
    places, known, vectors = (np.asarray(x) for x in examples[:3])
    deviations = [np.asarray(model.deviation[pair_index(*pair, K)], np.float64) for pair in ((a, b), (b, a))]
    x, y = [], []
    for i in range(len(places)):
        if not known[i, a] or not known[i, b]:
            continue
        pairs = [(a, b)] + [(a, q) for q in range(places.shape[1]) if known[i, q] and apart(places[i], q, b)]
        pairs += [(q, b) for q in range(places.shape[1]) if known[i, q] and apart(places[i], q, a)]
        for p, q in pairs:
            between = (places[i, q] - places[i, p]) * float(STRIDE)
            x.append(features_of(between, vectors[i, p, a, b - 1], vectors[i, q, b, a], *deviations))
            y.append((p, q) == (a, b))
    return np.array(x), np.array(y)


def apart(places, q, part):
    return np.abs(places[q] - places[part]).max() > REACH


def test_regression_is_that_of_scipy_for_equally_frequent_pairs():
    maps, keypoints, labelled = maps_and_labels()
    examples = jax.jit(pair_examples)(maps._replace(stride=STRIDE), keypoints, labelled)
    model = jax.jit(fit_pairs)(some_model(), examples)
    for a, b in itertools.combinations(range(K), 2):
        x, y = slow_rows(model, examples, a, b)
        mean, deviation = x.mean(0), x.std(0)
        mean[0], deviation[0] = 0, 1
        inputs = (x - mean) / deviation

        def loss(w, inputs=inputs, y=y):
            z = inputs @ w
            return (np.logaddexp(0, z) - y * z).sum() + (w[1:] ** 2).sum() / 2

        w = optimize.minimize(loss, np.zeros(N_FEATURES), tol=1e-9).x
        expected = inputs @ w + np.log((~y).sum() / y.sum())
        weights = np.asarray(model.weights[pair_index(a, b, K)], np.float64)
        np.testing.assert_allclose(x @ weights, expected, atol=0.02)
        np.testing.assert_array_equal(model.weights[pair_index(b, a, K)], weights[REVERSED].astype(np.float32))
        right, wrong = expected[y], expected[~y]
        assert (right > 0).mean() > 0.8 and (wrong < 0).mean() > 0.8


def test_pairs_without_examples_are_even():
    maps, keypoints, labelled = maps_and_labels()
    labelled[:, 0] &= ~labelled[:, 1]
    model = fit_pairs(some_model(), pair_examples(maps, jnp.asarray(keypoints), jnp.asarray(labelled)))
    weights = np.asarray(model.weights)
    assert not weights[[pair_index(0, 1, K), pair_index(1, 0, K)]].any() and weights[pair_index(1, 2, K)].any()


def test_separable_pairs_have_finite_weights():
    maps, keypoints, labelled = maps_and_labels(noise=0.0)
    model = fit_pairs(some_model(), pair_examples(maps, jnp.asarray(keypoints), jnp.asarray(labelled)))
    assert np.isfinite(model.weights).all() and np.abs(model.weights).max() < 100
