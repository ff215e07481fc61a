"""Sampling: counts, no duplicates, uniform, reproducible by key."""

import jax
import numpy as np
import pytest
from scipy import stats

from pawjax.ops.sampling import sample

CASES = [  # candidates, positives, ignored, size, fraction -> positives and negatives drawn
    (1000, 300, 100, 256, 0.5, 128, 128),
    (1000, 20, 100, 256, 0.5, 20, 236),
    (1000, 0, 0, 256, 0.5, 0, 256),
    (300, 250, 40, 128, 0.25, 32, 10),
    (50, 5, 5, 128, 0.25, 5, 40),
    (50, 50, 0, 64, 1.0, 50, 0),
    (60, 0, 60, 16, 0.5, 0, 0),
    (60, 30, 0, 1, 0.5, 0, 1),
    (60, 30, 0, 7, 0.5, 3, 4),
]


def labels_of(candidates, positives, ignored, seed=0):
    labels = np.zeros(candidates, np.int32)
    labels[:positives], labels[positives : positives + ignored] = 1, -1
    return np.random.default_rng(seed).permutation(labels)


@pytest.mark.parametrize("key", [None, 0])
@pytest.mark.parametrize("candidates, positives, ignored, size, fraction, n_positive, n_negative", CASES)
def test_counts_are_right_without_duplicates(
    key, candidates, positives, ignored, size, fraction, n_positive, n_negative
):
    labels = labels_of(candidates, positives, ignored)
    key = key if key is None else jax.random.key(key)
    found = jax.tree.map(np.asarray, sample(key, labels, size, fraction))
    drawn = n_positive + n_negative
    assert found.index.shape == found.label.shape == found.weight.shape == (size,)
    np.testing.assert_array_equal(found.label, np.arange(size) < n_positive)
    np.testing.assert_array_equal(found.weight, np.arange(size) < drawn)
    np.testing.assert_array_equal(labels[found.index[:drawn]], found.label[:drawn])
    assert len(set(found.index[:drawn].tolist())) == drawn
    assert (found.index[drawn:] == 0).all()


def test_first_candidates_are_taken_without_a_key():
    labels = np.array([0, 1, -1, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(sample(None, labels, 5, 0.4).index, [1, 3, 0, 4, 6])


def test_sampling_is_uniform():
    labels, draws = labels_of(60, 20, 10), 3000
    found = jax.vmap(lambda key: sample(key, labels, 16, 0.5))(jax.random.split(jax.random.key(1), draws))
    counts = np.bincount(np.asarray(found.index).ravel(), minlength=60)
    for label, expected in ((1, draws * 8 / 20), (0, draws * 8 / 30), (-1, 0)):
        of_kind = counts[labels == label]
        np.testing.assert_allclose(of_kind.mean(), expected)
        if expected:
            assert stats.chisquare(of_kind).pvalue > 1e-3


def test_samples_depend_on_the_key():
    labels, keys = labels_of(500, 100, 0), jax.random.split(jax.random.key(2), 2)
    first, again, other = (np.asarray(sample(key, labels, 64, 0.5).index) for key in (keys[0], keys[0], keys[1]))
    np.testing.assert_array_equal(first, again)
    assert len(set(first) & set(other)) < 40  # 19.4 of 64 expected in common
