"""Candidates and exact inference among them, against all combinations; and what the image says that a tree does not."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.decoding import REACH
from pawjax.ops.scoremaps import ScoreMaps, cell_centers
from pawjax.structure import Pairwise, Tree, candidates, pair_parts, structured_points
from pawjax.structure.candidates import NONE, candidate_marginals, find_candidates, likeliest_candidates, offsets_at
from pawjax.structure.pairwise import N_FEATURES, pair_costs
from tests.structure.test_messages import TREES, make_tree

STRIDE, CENTER, SIZE = 8, 4.0, (20, 24)
LOGISTIC = Pairwise(  # pairs are right within about a deviation, 10 px
    mean=jnp.zeros((6, 2)),
    deviation=jnp.full((6, 2), 10.0),
    weights=jnp.zeros((6, N_FEATURES)).at[:, 0].set(4.0).at[:, [1, 3]].set(-2.0),
)
CHAIN = Tree(
    np.array([0, 1]), np.array([1, 2]), np.array([[40.0, 0], [40, 0]]), np.full((2, 2), 900.0), np.array([9, 9])
)


def combinations(costs, tree, between):
    """The cost of every combination of candidates of four parts: [M, M, M, M]."""
    m = costs.shape[-1]
    total = np.zeros((m,) * 4)
    for part in range(4):
        total += costs[part].reshape([m if axis == part else 1 for axis in range(4)])
    for parent, child, pairs in zip(tree.parents, tree.children, between, strict=True):
        shape = [m if axis in (parent, child) else 1 for axis in range(4)]
        total += (pairs if parent < child else pairs.T).reshape(shape)
    return total


@pytest.mark.parametrize("name", TREES)
def test_inference_is_that_over_all_combinations(name):
    rng, tree = np.random.default_rng(0), make_tree(name)
    costs, between = rng.exponential(3, (2, 4, 5)), rng.exponential(3, (3, 2, 5, 5))
    costs[:, 1, 3:] = NONE
    chosen = jax.jit(functools.partial(likeliest_candidates, tree=tree))(costs, between=between)
    marginals = jax.jit(functools.partial(candidate_marginals, tree=tree))(costs, between=between)
    for i in range(2):
        total = combinations(costs[i], tree, between[:, i])
        assert tuple(chosen[i]) == np.unravel_index(total.argmin(), total.shape)
        probability = np.exp(total.min() - total)
        probability /= probability.sum()
        for part in range(4):
            others = tuple(axis for axis in range(4) if axis != part)
            np.testing.assert_allclose(marginals[i, part], probability.sum(others), rtol=1e-3, atol=1e-6)


def scene(points, extra=(), hidden=(), towards=None):
    """Maps of points [B, 3, 2] as in `test_points`, and vectors that are right from everywhere near a point.

    `extra` peaks are (image, part, (x, y), height); their cells' vectors are to `towards` [B, 3, 2], or zero.
    """
    points = np.asarray(points, np.float32)
    centers = np.asarray(cell_centers(*SIZE, STRIDE, CENTER))
    apart = points[:, None, None] - centers[:, :, None]  # [B, h, w, 3, 2]
    scores = np.exp(-(apart**2).sum(-1) / (2 * 9.0**2))
    a, b = pair_parts(3)
    vectors = np.where((np.hypot(*np.moveaxis(apart, -1, 0)) < 30)[..., a, None], apart[..., b, :], 0.0)
    for image, part in hidden:
        scores[image, ..., part] = 0
        vectors[image][:, :, a == part] = 0
    for image, part, place, height in extra:
        away = np.hypot(*np.moveaxis(np.asarray(place) - centers, -1, 0))
        scores[image, ..., part] = np.maximum(scores[image, ..., part], height * np.exp(-(away**2) / (2 * 9.0**2)))
        if towards is not None:
            there = towards[image] - centers[:, :, None]
            vectors[image][:, :, a == part] = np.where(
                (away < 30)[..., None, None], there[:, :, b[a == part]], vectors[image][:, :, a == part]
            )
    log_likelihood = jnp.log(jnp.maximum(jnp.asarray(scores), 1e-9))
    vectors = jnp.asarray(vectors.reshape(*vectors.shape[:3], 3, 2, 2), jnp.float32)
    return ScoreMaps(log_likelihood, jnp.asarray(apart), STRIDE, CENTER, vectors)


@functools.cache
def program(with_pairs):
    def find(log_likelihood, offsets, vectors):
        maps = ScoreMaps(log_likelihood, offsets, STRIDE, CENTER, vectors)
        return structured_points(maps, CHAIN, "taylor", LOGISTIC if with_pairs else None)

    return jax.jit(find)


def found_in(maps, with_pairs=True):
    return jax.device_get(program(with_pairs)(maps.log_likelihood, maps.offsets, maps.pair_offsets))


POINTS = np.array([[[40.0, 60], [80, 64], [118, 60]], [[60.0, 100], [92, 100], [130, 104]]])


def test_single_peaks_stay_as_they_are():
    found, plain = found_in(scene(POINTS)), found_in(scene(POINTS), False)
    np.testing.assert_allclose(found["keypoints"], plain["keypoints"], atol=1e-4)
    assert np.linalg.norm(found["keypoints"] - POINTS, axis=-1).max() < 4
    assert found["likelihood"].min() > 0.95
    ratio = found["covariance"].trace(axis1=2, axis2=3) / plain["covariance"].trace(axis1=2, axis2=3)
    assert 0.3 < ratio.min() and ratio.max() < 3


def test_peak_that_the_image_contradicts_is_left_where_a_tree_would_take_it():
    """The wrong peak lies exactly where the labels have the bodypart, but the others see it elsewhere here."""
    points = POINTS.copy()
    points[0, 2] = (80, 120)  # an unusual pose
    wrong = (120.0, 64.0)
    maps = scene(points, extra=[(0, 2, wrong, 1.0)])
    found, plain = found_in(maps), found_in(maps, False)
    assert np.linalg.norm(plain["keypoints"][0, 2] - wrong) < 6
    assert np.linalg.norm(found["keypoints"] - points, axis=-1).max() < 4
    assert found["likelihood"][0, 2] > 0.9
    np.testing.assert_allclose(found["second"][0, 2, :2], wrong, atol=STRIDE)


def test_hidden_point_is_where_the_others_see_it_and_less_likely():
    points = POINTS.copy()
    points[1, 2] = (96, 140)
    found = found_in(scene(points, hidden=[(1, 2)]))
    assert np.linalg.norm(found["keypoints"] - points, axis=-1).max() < 1.5 * STRIDE
    assert found["likelihood"].min() >= 0 and found["likelihood"].max() <= 1
    assert np.isfinite(found["covariance"]).all()
    of_hidden, of_others = np.linalg.det(found["covariance"][1, 2]), np.linalg.det(found["covariance"][0])
    assert of_hidden > of_others.max()


def find_candidates_of(log_likelihood, vectors, expected):
    maps = ScoreMaps(log_likelihood, jnp.zeros((*log_likelihood.shape, 2)), STRIDE, CENTER, vectors)
    return find_candidates(maps, log_likelihood, expected)


def test_candidates_are_the_highest_peaks_and_what_the_others_predict():
    rng = np.random.default_rng(0)
    maps = scene(POINTS)
    maps = maps._replace(
        log_likelihood=jnp.asarray(rng.normal(-5, 2, maps.log_likelihood.shape), jnp.float32),
        pair_offsets=jnp.asarray(rng.normal(0, 40, maps.pair_offsets.shape), jnp.float32),
    )
    height, width = SIZE
    expected_cells = rng.integers(0, height * width, (2, 3))
    found = jax.device_get(jax.jit(find_candidates_of)(maps.log_likelihood, maps.pair_offsets, expected_cells))
    scores, vectors = np.asarray(maps.log_likelihood), np.asarray(maps.pair_offsets)
    best = scores.reshape(2, -1, 3).argmax(1)
    for i, part in np.ndindex(2, 3):
        of = scores[i, ..., part]
        peaks = [
            (y, x)
            for y, x in np.ndindex(SIZE)
            if of[y, x] == of[max(y - REACH, 0) : y + REACH + 1, max(x - REACH, 0) : x + REACH + 1].max()
        ]
        expected = sorted(peaks, key=lambda cell: -of[cell])[: candidates.PEAKS]
        further = [divmod(expected_cells[i, part], width)]
        for other in (k for k in range(3) if k != part):
            y, x = divmod(best[i, other], width)
            place = np.array([x, y]) + vectors[i, y, x, other, part - (part > other)] / STRIDE
            further.append(np.round(place).clip(0, (width - 1, height - 1)).astype(int)[::-1])
        for y, x in further:
            if all(max(abs(y - other_y), abs(x - other_x)) > REACH for other_y, other_x in expected):
                expected.append((y, x))
        exist = found.costs[i, part] < NONE
        assert [divmod(cell, width) for cell in found.cells[i, part][exist]] == expected
        np.testing.assert_allclose(found.costs[i, part][exist], [-of[cell] for cell in expected], rtol=1e-6)


def test_a_place_beside_one_that_is_left_out_stays():
    """Of places in a row, 2 cells apart, the first is the peak: the second does not exist, the third does."""
    maps, row = scene(POINTS), 10 * SIZE[1]
    scores = jnp.full(maps.log_likelihood.shape, -5.0).at[:, 10, 6].set(-1.0)
    others = jnp.zeros_like(maps.pair_offsets).at[..., 1:, 0, 0].set(4.0 * STRIDE)  # have part 0 to the right
    found = jax.device_get(find_candidates_of(scores, others, jnp.full((2, 3), row + 8)))
    assert set(found.cells[0, 0]) >= {row + 6, row + 8, row + 10}
    exist = set(found.cells[0, 0][found.costs[0, 0] < NONE])
    assert exist >= {row + 6, row + 10} and row + 8 not in exist


def test_costs_of_a_connection_are_those_of_its_pair():
    rng, maps = np.random.default_rng(0), scene(POINTS)
    maps = maps._replace(pair_offsets=jnp.asarray(rng.normal(0, 40, maps.pair_offsets.shape), jnp.float32))
    cells = jnp.asarray(rng.integers(0, SIZE[0] * SIZE[1], (2, 3, 4)))
    tree = Tree(np.array([2, 2]), np.array([1, 0]), CHAIN.offset, CHAIN.variance, CHAIN.n_frames)
    model = LOGISTIC._replace(weights=jnp.asarray(rng.normal(size=(6, N_FEATURES)), jnp.float32))
    found = candidates.connection_costs(maps, tree, model, cells)
    places = np.stack([cells % SIZE[1], cells // SIZE[1]], -1) * STRIDE + CENTER
    vectors = offsets_at(maps, cells)
    for edge, (a, b) in enumerate([(2, 1), (2, 0)]):
        towards_b, towards_a = vectors[:, a, :, b - (b > a)], vectors[:, b, :, a - (a > b)]
        expected = pair_costs(model, a, b, places[:, a], places[:, b], towards_b, towards_a)
        np.testing.assert_allclose(found[edge], expected, rtol=1e-4, atol=1e-5)
    for i, part, m in itertools.product(range(2), range(3), range(4)):
        y, x = divmod(int(cells[i, part, m]), SIZE[1])
        np.testing.assert_array_equal(vectors[i, part, m], maps.pair_offsets[i, y, x, part])


def test_tiny_maps_have_fewer_candidates():
    maps = ScoreMaps(jnp.zeros((1, 2, 3, 3)), jnp.zeros((1, 2, 3, 3, 2)), STRIDE, CENTER, jnp.zeros((1, 2, 3, 3, 2, 2)))
    found = structured_points(maps, CHAIN, "locref", LOGISTIC)
    assert all(np.isfinite(values).all() for values in found.values())
