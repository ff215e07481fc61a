import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import chains
from pawjax.ops.chains import in_chains


@pytest.fixture(autouse=True)
def small_batches_too(monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 0)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 8])
def test_chains_change_nothing_but_the_order_of_work(n):
    images = jnp.asarray(np.random.default_rng(n).normal(size=(n, 5, 4, 3)), jnp.float32)
    calls = []

    def function(x):
        calls.append(len(x))
        return {"sum": x.sum((1, 2)), "twice": 2 * x}

    found = in_chains(function, images)
    assert sum(calls) == n and len(calls) == {1: 1, 2: 2, 3: 1, 6: 2, 8: 4}[n]
    expected = function(images)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_small_batches_stay_whole(monkeypatch):
    monkeypatch.setattr(chains, "PIXELS", 8 * 4 * 4 + 1)
    assert in_chains(len, jnp.zeros((8, 4, 4, 3))) == 8


def test_parts_join_to_the_whole():
    images = jnp.arange(8 * 2 * 2 * 1.0).reshape(8, 2, 2, 1)
    parts = chains.cut(images)
    assert [part.shape for part in parts] == [(2, 2, 2, 1)] * 4
    found = chains.joined({"cut": parts, "whole": images})
    np.testing.assert_array_equal(found["cut"], images)
    np.testing.assert_array_equal(found["whole"], images)
