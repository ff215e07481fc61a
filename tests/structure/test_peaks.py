"""Peaks of score maps, against a loop over cells."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.decoding import DECODERS, decode
from pawjax.ops.scoremaps import ScoreMaps
from pawjax.structure.peaks import find_peaks

STRIDE = 8


def maps_of(scores):
    """Maps [B, h, w, K] with random offsets."""
    offsets = np.random.default_rng(1).normal(0, 3, (*scores.shape, 2)).astype(np.float32)
    return ScoreMaps(jnp.asarray(scores, jnp.float32), jnp.asarray(offsets), STRIDE, STRIDE / 2)


@functools.cache
def program(n, radius, decoder="locref"):
    def find(log_likelihood, offsets):
        return find_peaks(ScoreMaps(log_likelihood, offsets, STRIDE, STRIDE / 2), n, radius, decoder)

    return jax.jit(find)


def slow(scores, n, reach):
    """Flat cells and scores of the peaks of one map [h, w]."""
    height, width = scores.shape
    order = sorted(np.ndindex(height, width), key=lambda cell: -scores[cell])  # stable: row by row
    kept = []
    for y, x in order:
        around = scores[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        near = any(max(abs(y - i), abs(x - j)) <= reach for i, j in kept)
        if scores[y, x] == around.max() and not near:
            kept.append((y, x))
    return [(y * width + x, scores[y, x]) for y, x in kept[:n]]


@pytest.mark.parametrize("radius, reach", [(16.0, 2), (1.0, 1), (30.0, 4)])
@pytest.mark.parametrize("levels", [1000, 4])  # few levels have many ties
def test_peaks_are_those_of_a_loop(radius, reach, levels):
    scores = -np.random.default_rng(levels).integers(1, levels, (2, 11, 13, 3)).astype(np.float32)
    maps = maps_of(scores)
    found = program(12, radius)(maps.log_likelihood, maps.offsets)
    for frame in range(2):
        for part in range(3):
            expected = slow(scores[frame, ..., part], 12, reach)
            cells, values = zip(*expected, strict=True)
            assert found.cells[frame, part, : len(cells)].tolist() == list(cells)
            assert found.score[frame, part].tolist() == [*values, *[-np.inf] * (12 - len(cells))]


@pytest.mark.parametrize("decoder", DECODERS)
def test_highest_peak_is_the_point_of_a_single_animal(decoder):
    maps = maps_of(-np.random.default_rng(5).exponential(3, (2, 9, 12, 3)))
    found = program(3, 16.0, decoder)(maps.log_likelihood, maps.offsets)
    keypoints, likelihood = decode(maps, decoder)
    np.testing.assert_allclose(found.places[:, :, 0], keypoints, rtol=1e-5)
    np.testing.assert_allclose(jnp.exp(found.score[:, :, 0]), likelihood, rtol=1e-5)


def test_likelihoods_above_one_count_as_one_but_keep_their_order():
    scores = np.full((1, 9, 20, 1), -5.0)
    scores[0, 4, 3:6, 0], scores[0, 4, 15, 0] = (0.1, 0.3, 0.2), 0.05
    maps = maps_of(scores)
    found = program(2, 16.0)(maps.log_likelihood, maps.offsets)
    assert found.cells[0, 0].tolist() == [4 * 20 + 4, 4 * 20 + 15] and found.score[0, 0].tolist() == [0, 0]
