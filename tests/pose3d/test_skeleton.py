"""Limbs become a tree: every order of the same limbs gives the same tree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawjax.errors import InputError
from pawjax.pose3d.parameters import check_tree
from pawjax.pose3d.skeleton import limbs_of, parents_of


def test_the_first_bodypart_is_the_root():
    assert parents_of("abcd", [("c", "a"), ("d", "b"), ("a", "d")]) == (2, 3, 2, 0)


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_limbs_of_a_random_tree_are_found_again(count, seed):
    rng = np.random.default_rng(seed)
    names = [f"part{k}" for k in range(count)]
    limbs = [(names[k], names[rng.integers(k)]) for k in range(1, count)]
    mixed = [limbs[i] if rng.random() < 0.5 else limbs[i][::-1] for i in rng.permutation(count - 1)]
    parents = parents_of(names, mixed)
    check_tree(parents)
    found = set(map(frozenset, limbs_of(names, parents)))
    assert found == set(map(frozenset, limbs)) and parents[names.index(mixed[0][0])] == names.index(mixed[0][0])


def test_what_is_no_tree_is_refused():
    with pytest.raises(InputError, match="the limb c-a closes a circle"):
        parents_of("abc", [("a", "b"), ("b", "c"), ("c", "a")])
    with pytest.raises(InputError, match="no limbs lead from a to c, d"):
        parents_of("abcd", [("a", "b"), ("c", "d")])
    with pytest.raises(InputError, match="--skeleton=A-B"):
        parents_of("abc", [])
