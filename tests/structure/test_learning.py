"""Trees from labels: the cheapest one, its means and variances, and labels that have none."""

import itertools

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.structure.learning import FEWEST, learn_tree
from pawjax.structure.tree import ROUNDED

NAMES = ("snout", "neck", "hip", "tail", "paw")


def labels(n=200, seed=0):
    """Points [n, 1, 5, 2] of an animal that is snout - neck - hip - tail, with a paw on the neck, and all labelled."""
    rng = np.random.default_rng(seed)
    points = np.zeros((n, 1, 5, 2), np.float32)
    points[:, 0, 0] = rng.uniform(100, 500, (n, 2))
    for child, parent, offset, spread in (
        (1, 0, (-30, 5), (3, 4)),
        (2, 1, (-60, 8), (10, 6)),
        (3, 2, (-40, -9), (5, 15)),
        (4, 1, (5, 40), (12, 7)),
    ):
        points[:, 0, child] = points[:, 0, parent] + offset + rng.normal(0, 1, (n, 2)) * spread
    return points, np.ones((n, 1, 5), bool)


def edges_of(tree):
    return {frozenset(edge) for edge in zip(tree.parents.tolist(), tree.children.tolist(), strict=True)}


def test_tree_is_the_animals():
    tree = learn_tree(*labels(), NAMES)
    assert edges_of(tree) == set(map(frozenset, ((0, 1), (1, 2), (2, 3), (1, 4))))
    assert tree.n_frames.tolist() == [200] * 4
    child = tree.children.tolist().index(4)
    sign = 1 if tree.parents[child] == 1 else -1
    np.testing.assert_allclose(sign * tree.offset[child], (5, 40), atol=3)
    np.testing.assert_allclose(np.sqrt(tree.variance[child]), (12, 7), rtol=0.15)


def test_means_and_variances_are_numpys():
    points, known = labels(20)
    known[3, 0, 1] = known[7, 0, 2] = False
    points[~known] = 9999  # is not read
    tree = learn_tree(points, known, NAMES)
    for edge, (parent, child) in enumerate(zip(tree.parents, tree.children, strict=True)):
        both = known[:, 0, parent] & known[:, 0, child]
        offsets = (points[:, 0, child] - points[:, 0, parent])[both].astype(np.float64)
        assert tree.n_frames[edge] == both.sum()
        np.testing.assert_allclose(tree.offset[edge], offsets.mean(0), atol=1e-3)
        expected = offsets.var(0, ddof=1) * (1 + 1 / both.sum()) + ROUNDED
        np.testing.assert_allclose(tree.variance[edge], expected, rtol=1e-4)


def test_it_is_the_cheapest_of_all_trees():
    """All 125 trees over five bodyparts, by what the labels cost under each."""
    points, known = labels(40, seed=3)

    def cost(edges):
        offsets = np.stack([points[:, 0, a] - points[:, 0, b] for a, b in edges], 1).astype(np.float64)
        return np.log(offsets.var(0, ddof=1) * (1 + 1 / 40) + ROUNDED).sum()

    def is_tree(edges):
        reached = {0}
        for _ in edges:
            reached |= {end for edge in edges if reached & set(edge) for end in edge}
        return len(reached) == 5

    trees = [tree for tree in itertools.combinations(itertools.combinations(range(5), 2), 4) if is_tree(tree)]
    assert len(trees) == 125
    assert edges_of(learn_tree(points, known, NAMES)) == set(map(frozenset, min(trees, key=cost)))


def test_parents_come_first():
    tree = learn_tree(*labels(30, seed=1), NAMES)
    reached = {int(tree.parents[0])}
    for parent, child in zip(tree.parents.tolist(), tree.children.tolist(), strict=True):
        assert parent in reached and child not in reached
        reached.add(child)
    assert reached == set(range(5))


def test_pair_never_labelled_together_is_connected_through_a_third():
    points, known = labels(60)
    known[:30, 0, 4], known[30:, 0, 1] = False, False  # paw and neck
    tree = learn_tree(points, known, NAMES)
    assert frozenset((1, 4)) not in edges_of(tree) and np.isfinite(tree.variance).all()


def tail_alone(n):
    """Labels of 20 frames: ten without the tail, ten with only the tail, of which `n` show all bodyparts."""
    points, known = labels(20)
    known[:10, 0, 3] = False
    known[10 + n :, 0, [0, 1, 2, 4]] = False
    return points, known


def test_few_frames_that_show_both_groups_connect_them():
    assert len(learn_tree(*tail_alone(FEWEST), NAMES).parents) == 4


@pytest.mark.parametrize("n", [0, FEWEST - 1])
def test_groups_never_labelled_together_are_refused(n):
    words = "labels of one of snout, neck, hip, paw together with one of tail, so no tree"
    with pytest.raises(InputError, match=words):
        learn_tree(*tail_alone(n), NAMES)


def test_single_bodypart_is_refused():
    with pytest.raises(InputError, match="there is only paw: leave out"):
        learn_tree(np.zeros((5, 1, 1, 2)), np.ones((5, 1, 1), bool), ("paw",))


def test_points_that_never_move_have_a_variance():
    points = np.zeros((8, 1, 2, 2)) + np.array([[3.0, 4], [700, 9]])
    tree = learn_tree(points, np.ones((8, 1, 2), bool), ("a", "b"))
    np.testing.assert_allclose(tree.variance, ROUNDED)
    np.testing.assert_allclose(tree.offset, [[697, 5]])
