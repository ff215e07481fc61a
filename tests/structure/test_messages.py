"""Inference on a tree against all combinations of places, and on larger maps against lower envelopes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.structure.messages import likeliest_cells, log_marginals
from pawjax.structure.tree import Tree
from tests.ops.oracles import lower_envelope_2d

TREES = {  # four parts: parents and children, from the root on
    "chain": ([0, 1, 2], [1, 2, 3]),
    "star": ([2, 2, 2], [0, 1, 3]),
    "branch": ([3, 3, 1], [0, 1, 2]),
}
STRIDE = 8


def make_tree(name, seed=0, spread=20.0):
    rng = np.random.default_rng(seed)
    parents, children = map(np.array, TREES[name])
    return Tree(parents, children, rng.normal(0, spread, (3, 2)), rng.uniform(10, 300, (3, 2)), np.full(3, 9))


def make_maps(shape, seed=0):
    return np.log(np.random.default_rng(seed).beta(0.3, 3, (2, *shape, 4)) + 1e-5).astype(np.float32)


def edge_costs(tree, shape):
    """Of each connection: float64 [places of the parent, places of the child]."""
    height, width = shape
    cells = np.stack([np.tile(np.arange(width), height), np.repeat(np.arange(height), width)], -1)
    offset, weight = tree.on_grid(STRIDE)
    apart = cells - cells[:, None] - offset[:, None, None]
    return (weight[:, None, None] * apart**2).sum(-1)


def energies(maps, tree):
    """The energy of every combination of places of four parts in one frame: [n, n, n, n]."""
    n = maps.shape[0] * maps.shape[1]
    total = np.zeros((n,) * 4)
    for part in range(4):
        axes = [slice(None) if part == axis else None for axis in range(4)]
        total -= maps[..., part].reshape(n).astype(np.float64)[tuple(axes)]
    for parent, child, costs in zip(tree.parents, tree.children, edge_costs(tree, maps.shape[:2]), strict=True):
        shape = [n if axis in (parent, child) else 1 for axis in range(4)]
        total += (costs if parent < child else costs.T).reshape(shape)
    return total


@pytest.mark.parametrize("name", TREES)
def test_likeliest_places_are_those_of_all_combinations(name):
    for seed in range(2):
        tree, maps = make_tree(name, seed), make_maps((6, 6), seed)
        cells = np.asarray(jax.jit(functools.partial(likeliest_cells, tree=tree, stride=STRIDE))(maps))
        for frame, found in zip(maps, cells, strict=True):
            total = energies(frame, tree)
            assert tuple(found) == np.unravel_index(total.argmin(), total.shape)


@pytest.mark.parametrize("name", TREES)
def test_marginals_are_sums_over_all_combinations(name):
    tree, maps = make_tree(name, 1), make_maps((4, 5), 1)
    found = np.exp(jax.jit(functools.partial(log_marginals, tree=tree, stride=STRIDE))(maps))
    for frame, marginals in zip(maps, found, strict=True):
        total = energies(frame, tree)
        probability = np.exp(total.min() - total)
        probability /= probability.sum()
        for part in range(4):
            others = tuple(axis for axis in range(4) if axis != part)
            np.testing.assert_allclose(marginals[..., part].ravel(), probability.sum(others), rtol=1e-3, atol=1e-5)


def test_large_maps_have_the_energy_of_lower_envelopes():
    tree, maps = make_tree("branch", 2, spread=90.0), make_maps((40, 60), 2)
    cells = np.asarray(jax.jit(functools.partial(likeliest_cells, tree=tree, stride=STRIDE))(maps))
    offset, weight = tree.on_grid(STRIDE)
    for frame, found in zip(maps, cells, strict=True):
        costs = -np.moveaxis(frame, -1, 0).astype(np.float64)
        places = np.stack([found % 60, found // 60], -1)
        energy = sum(costs[part, y, x] for part, (x, y) in enumerate(places))
        apart = places[tree.children] - places[tree.parents] - offset
        for edge in reversed(range(3)):
            costs[tree.parents[edge]] += lower_envelope_2d(costs[tree.children[edge]], weight[edge], offset[edge])
        np.testing.assert_allclose(energy + (weight * apart**2).sum(), costs[tree.parents[0]].min(), rtol=1e-5)


def test_neighbours_decide_between_equal_peaks():
    """Part 1 has two equal peaks; it is the one where the tree has it beside part 0."""
    tree = Tree(np.array([0]), np.array([1]), np.array([[32.0, 0]]), np.array([[64.0, 64]]), np.array([9]))
    maps = np.full((1, 10, 12, 2), -9.0, np.float32)
    maps[0, 4, 2, 0] = maps[0, 4, 6, 1] = maps[0, 8, 1, 1] = -0.1
    assert likeliest_cells(maps, tree, STRIDE).tolist() == [[4 * 12 + 2, 4 * 12 + 6]]
    probability = jnp.exp(log_marginals(maps, tree, STRIDE))
    assert probability[0, 4, 6, 1] > 0.9 > 1000 * probability[0, 8, 1, 1]


def test_contradictory_evidence_stays_finite():
    """Six parts at one place and six at another, each sure, for a tree that has all of them at one place."""
    k = 12
    tree = Tree(np.arange(k - 1), np.arange(1, k), np.zeros((k - 1, 2)), np.ones((k - 1, 2)), np.full(k - 1, 9))
    maps = np.full((1, 52, 52, k), np.log(1e-6), np.float32)
    maps[0, 2, 2, :6] = maps[0, 49, 49, 6:] = 0.0
    found = np.asarray(log_marginals(maps, tree, STRIDE))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found).sum((1, 2)), 1, rtol=1e-4)


def test_every_frame_is_solved_by_itself():
    tree, maps = make_tree("star", 3), make_maps((9, 7), 3)
    for solve in (likeliest_cells, log_marginals):
        solve = jax.jit(functools.partial(solve, tree=tree, stride=STRIDE))
        for together, frame in zip(solve(maps), maps, strict=True):
            np.testing.assert_allclose(solve(frame[None])[0], together, rtol=1e-5, atol=1e-5)
