"""Several animals: their assignment against all assignments, and clean skeletons from maps of two."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawjax.ops import scoremaps
from pawjax.structure import Pairwise, Tree, animal_points, learn_tree, pair_parts, tree_of_one
from pawjax.structure.animals import LEAST, assign, distance_costs
from pawjax.structure.pairwise import N_FEATURES

STRIDE, SIZE = 8, (40, 60)  # px, cells
TREES = {1: ([], []), 2: ([1], [0]), 3: ([1, 0], [0, 2])}
SHAPES = [(1, 3, 3), (2, 1, 4), (2, 2, 3), (2, 3, 2), (3, 2, 2)]  # animals, bodyparts, peaks
CACHE = {}
LOGISTIC = jnp.zeros(N_FEATURES).at[jnp.array([0, 1, 3])].set(jnp.array([4.0, -2, -2]))  # right within a deviation


def tree_over(k):
    parents, children = (np.array(side, int) for side in TREES[k])
    pairs = np.zeros((k - 1, 2))
    return Tree(parents, children, pairs, pairs + 1, np.full(k - 1, 9))


def program(animals, k, missing=2.0, parted=0.7):
    key = animals, k, missing, parted
    if key not in CACHE:
        prices = {"missing": missing, "parted": parted}
        CACHE[key] = jax.jit(functools.partial(assign, tree=tree_over(k), animals=animals, **prices))
    return CACHE[key]


def energy(chosen, score, between, tree, missing=2.0, parted=0.7):
    """What a choice [A, K] costs; infinite if it takes a peak twice."""
    m = score.shape[1]
    if any(np.bincount(choices[choices < m], minlength=1).max(initial=0) > 1 for choices in chosen.T):
        return np.inf
    padded = np.concatenate([-score, np.full((len(score), 1), missing)], 1)
    total = padded[np.arange(len(score)), chosen].sum()
    edges = np.pad(between, ((0, 0), (0, 1), (0, 1)), constant_values=parted)
    edges[:, m, m] = 0
    for edge, parent, child in zip(edges, tree.parents, tree.children, strict=True):
        total += edge[chosen[:, parent], chosen[:, child]].sum()
    return total


def least_of_all(score, between, tree, animals):
    """The least energy of all choices."""
    k, m = score.shape
    choices = itertools.product(range(m + 1), repeat=animals * k)
    return min(energy(np.reshape(choice, (animals, k)), score, between, tree) for choice in choices)


@given(st.sampled_from(SHAPES), st.integers(0, 2**31), st.sampled_from([0.0, 0.3]))
@settings(max_examples=40, deadline=None)
def test_assignment_is_the_cheapest_of_all(shape, seed, missing):
    animals, k, m = shape
    rng = np.random.default_rng(seed)
    score = -rng.exponential(1.5, (k, m)).astype(np.float32)
    score[rng.random((k, m)) < missing] = -np.inf
    between = rng.exponential(2, (k - 1, m, m)).astype(np.float32)
    chosen = np.asarray(program(animals, k)(score[None], between[:, None]))[0]
    tree = tree_over(k)
    found = energy(chosen, score, between, tree)
    assert found == pytest.approx(least_of_all(score, between, tree, animals), rel=1e-5)


def test_order_of_the_peaks_does_not_matter():
    rng = np.random.default_rng(3)
    score, between = -rng.exponential(1, (5, 3, 4)), rng.exponential(2, (2, 5, 4, 4))
    order = rng.permutation(4)
    find = program(2, 3, missing=99.0)  # no animal lacks a bodypart, which would leave what is beyond it free
    chosen = np.asarray(find(score, between))
    other = order[find(score[:, :, order], between[:, :, order][..., order])]
    for one, two in zip(chosen.tolist(), other.tolist(), strict=True):
        assert sorted(one) == sorted(two)


def test_price_decides_whether_an_animal_has_a_bodypart():
    score, between = np.array([[[-0.1, -3.0]]]), np.zeros((0, 1, 2, 2))
    assert sorted(program(2, 1, missing=2.9)(score, between)[0, :, 0].tolist()) == [0, 2]
    assert sorted(program(2, 1, missing=3.1)(score, between)[0, :, 0].tolist()) == [0, 1]


TREE = Tree(
    *(np.array([0, 1]), np.array([1, 2]), np.zeros((2, 2)), np.ones((2, 2)), np.full(2, 9)),
    distance=np.array([40.0, 70.0]),
    distance_variance=np.array([36.0, 100.0]),
)


def turned_animals(n, seed=0):
    """Points [n, 2, 3, 2] of two animals that look anywhere, with 90 px at least between their points."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        start, angle = rng.uniform((120, 120), (360, 200), (2, 2)), rng.uniform(0, 2 * np.pi, 2)
        ahead = np.stack([np.cos(angle), np.sin(angle)], -1)
        spread = rng.normal(0, 1, (2, 2)) * np.sqrt(TREE.distance_variance)
        lengths = np.cumsum([np.zeros(2), *(TREE.distance + spread).T], axis=0)  # [K, 2]
        points = start + lengths[..., None] * ahead
        if np.linalg.norm(points[:, None, 0] - points[:, 1], axis=-1).min() > 40:
            found.append(np.swapaxes(points, 0, 1))
    return np.stack(found).astype(np.float32)


def maps_of(points, hidden=(), noise=()):
    """Ideal score maps of points [B, A, K, 2]; `hidden` (frame, animal, part), `noise` (frame, part, place, height)."""
    scores = np.zeros((len(points), *SIZE, points.shape[2]))
    offsets = np.zeros((*scores.shape, 2))
    nearest = np.full(scores.shape, np.inf)
    for animal in range(points.shape[1]):
        away = np.array(scoremaps.offsets_to_keypoints(jnp.asarray(points[:, animal]), *SIZE, STRIDE, STRIDE / 2))
        peak = np.array(scoremaps.gaussian_targets(away, 9.0))
        for frame, which, part in hidden:
            if which == animal:
                peak[frame, ..., part] = 0
        distance = np.linalg.norm(away, axis=-1)
        offsets = np.where((distance < nearest)[..., None], away, offsets)
        nearest = np.minimum(nearest, distance)
        scores = np.maximum(scores, 0.9 * peak)
    for frame, part, place, height in noise:
        away = scoremaps.offsets_to_keypoints(jnp.asarray(place, jnp.float32)[None, None], *SIZE, STRIDE, STRIDE / 2)
        peak = height * np.array(scoremaps.gaussian_targets(away, 9.0))[0, ..., 0]
        offsets[frame, ..., part, :] = np.where(
            (peak > 0.1)[..., None], away[0, ..., 0, :], offsets[frame, ..., part, :]
        )
        scores[frame, ..., part] = np.maximum(scores[frame, ..., part], peak)
    scores = np.log(np.maximum(scores, 1e-9)).astype(np.float32)
    return scoremaps.ScoreMaps(jnp.asarray(scores), jnp.asarray(offsets, jnp.float32), STRIDE, STRIDE / 2)


@functools.cache
def finder(animals=2):
    def find(log_likelihood, offsets):
        return animal_points(scoremaps.ScoreMaps(log_likelihood, offsets, STRIDE, STRIDE / 2), TREE, animals)

    return jax.jit(find)


def found_in(maps, animals=2):
    return jax.device_get(finder(animals)(maps.log_likelihood, maps.offsets))


def in_order(keypoints, points):
    """The skeletons [2, K, 2] in the order of the animals [2, K, 2], by the first bodypart that both have."""
    part = np.flatnonzero(np.isfinite(keypoints).all((0, 2)))[0]
    away = np.linalg.norm(keypoints[:, None, part] - points[None, :, part], axis=-1)
    return keypoints if np.trace(away) < np.trace(away[::-1]) else keypoints[::-1]


def test_two_animals_that_turn_are_two_clean_skeletons():
    points = turned_animals(40)
    found = found_in(maps_of(points))
    for keypoints, expected in zip(found["keypoints"], points, strict=True):
        np.testing.assert_allclose(in_order(keypoints, expected), expected, atol=1e-3)
    assert found["likelihood"].min() > 0.5


def test_hidden_bodypart_is_missing_and_the_others_stay():
    points = turned_animals(6, seed=1)
    found = found_in(maps_of(points, hidden=[(0, 1, 2), (3, 0, 0)]))
    for frame, (keypoints, expected) in enumerate(zip(found["keypoints"], points, strict=True)):
        expected = expected.copy()
        if frame in (0, 3):
            expected[(1, 2) if frame == 0 else (0, 0)] = np.nan
        np.testing.assert_allclose(in_order(keypoints, expected), expected, atol=1e-3)
    np.testing.assert_array_equal(found["likelihood"] == 0, np.isnan(found["keypoints"][..., 0]))


def test_false_peak_far_from_both_is_left():
    points = turned_animals(4, seed=2)
    maps = maps_of(points, noise=[(frame, 1, (470.0, 310.0), 0.95) for frame in range(4)])
    found = found_in(maps)
    for keypoints, expected in zip(found["keypoints"], points, strict=True):
        np.testing.assert_allclose(in_order(keypoints, expected), expected, atol=1e-3)


def test_one_animal_in_the_frame_leaves_the_other_empty():
    points = turned_animals(3, seed=4)[:, :1]
    found = found_in(maps_of(points))
    empty = np.isnan(found["keypoints"]).all((2, 3))
    assert (empty.sum(1) == 1).all()
    np.testing.assert_allclose(found["keypoints"][~empty], points[:, 0], atol=1e-3)
    assert np.exp(maps_of(points).log_likelihood).min() < LEAST


def test_single_bodypart_has_the_highest_peaks():
    points = turned_animals(5, seed=6)[:, :, :1]
    find = jax.jit(lambda one, two: animal_points(scoremaps.ScoreMaps(one, two, STRIDE, STRIDE / 2), tree_of_one(), 2))
    maps = maps_of(points)
    found = find(maps.log_likelihood, maps.offsets)["keypoints"]
    for keypoints, expected in zip(np.asarray(found), points, strict=True):
        np.testing.assert_allclose(in_order(keypoints, expected), expected, atol=1e-3)


def test_what_the_network_predicts_tells_animals_apart_that_distances_do_not():
    """Noses and ears are the corners of a square: two ways to pair them are equally long."""
    points = np.float32([[[(240, 160), (280, 160), (350, 160)], [(280, 200), (240, 200), (170, 200)]]])
    centers = np.asarray(scoremaps.cell_centers(*SIZE, STRIDE, STRIDE / 2))
    a, b = pair_parts(3)
    nearest = np.linalg.norm(points[0] - centers[:, :, None, None], axis=-1).argmin(2)  # [h, w, K], which animal
    known = Pairwise(jnp.zeros((6, 2)), jnp.full((6, 2), 10.0), jnp.tile(LOGISTIC, (6, 1)))
    maps = maps_of(points)

    @jax.jit
    def find(vectors):
        return animal_points(maps._replace(pair_offsets=vectors), TREE, 2, pairwise=known)["keypoints"][0]

    for swap in (False, True):  # whom the vectors from the nose to the ear, and back, point at
        of = np.where(swap & (a < 2) & (b < 2), 1 - nearest[..., a], nearest[..., a])
        vectors = points[0][of, b] - centers[:, :, None]
        found = np.asarray(find(vectors.reshape(1, *SIZE, 3, 2, 2)))
        expected = points[0].copy()
        if swap:
            expected[:, 0] = expected[::-1, 0]
        np.testing.assert_allclose(in_order(found, expected), expected, atol=1e-3)


def test_costs_are_of_distances_that_a_turn_keeps():
    rng = np.random.default_rng(0)
    points = turned_animals(300, seed=7)[:, :1]
    tree = learn_tree(points, np.ones(points.shape[:3], bool), ("a", "b", "c"))
    edges = list(zip(tree.parents, tree.children, strict=True))
    lengths = np.stack([np.linalg.norm(points[:, 0, a] - points[:, 0, b], axis=-1) for a, b in edges], -1)
    np.testing.assert_allclose(tree.distance, lengths.mean(0), rtol=1e-5)
    np.testing.assert_allclose(tree.distance_variance, lengths.var(0, ddof=1) * (1 + 1 / 300) + 1 / 6, rtol=1e-4)
    places = rng.uniform(0, 300, (2, 3, 4, 2))
    costs = np.asarray(distance_costs(tree, places))
    assert costs.shape == (2, 2, 4, 4)
    a, b = edges[1]
    expected = (np.linalg.norm(places[1, a, 2] - places[1, b, 3]) - tree.distance[1]) ** 2
    assert costs[1, 1, 2, 3] == pytest.approx(expected / (2 * tree.distance_variance[1]), rel=1e-4)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(distance_costs(tree, places @ turn), costs, rtol=1e-3, atol=1e-3)
