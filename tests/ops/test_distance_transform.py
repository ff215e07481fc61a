"""Distance transforms against all pairs of cells, against the lower envelope, and soft ones against scipy."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from pawjax.ops.distance_transform import LEAST, argument_at, distance_transform, soft_distance_transform
from tests.ops.oracles import lower_envelope_2d

HARD, SOFT, AT = map(jax.jit, (distance_transform, soft_distance_transform, argument_at))
AXIS = st.tuples(st.floats(-12, 12), st.floats(0.01, 20))  # offset in cells, weight
CASE = (st.integers(0, 2**31), AXIS, AXIS)


def case(seed, x, y):
    """Costs [2, 3, 6, 9] as of two frames and three parts, offset and weight [2, 3, 2] around those given."""
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 12, (2, 3, 6, 9)).astype(np.float32)
    offset = np.array([x[0], y[0]], np.float32) + rng.normal(0, 0.5, (2, 3, 2)).astype(np.float32)
    return costs, offset, np.broadcast_to(np.array([x[1], y[1]], np.float32), (2, 3, 2))


def all_pairs(costs, offset, weight):
    """The cost of q seen from p: float64 [..., p, q], both flat."""
    height, width = costs.shape[-2:]
    cells = np.stack([np.tile(np.arange(width), height), np.repeat(np.arange(height), width)], -1).astype(np.float64)
    apart = cells - cells[:, None] - offset[..., None, None, :]
    return costs.reshape(*costs.shape[:-2], 1, -1) + (weight[..., None, None, :] * apart**2).sum(-1)


@settings(max_examples=40, deadline=None)
@given(*CASE)
def test_equals_all_pairs(seed, x, y):
    costs, offset, weight = case(seed, x, y)
    pairs = all_pairs(costs, offset, weight)
    np.testing.assert_allclose(HARD(costs, offset, weight).reshape(2, 3, -1), pairs.min(-1), rtol=1e-5, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(*CASE)
def test_argument_is_the_best_cell(seed, x, y):
    costs, offset, weight = case(seed, x, y)
    place = np.random.default_rng(seed).integers(0, 54, (2, 3))
    pairs = np.take_along_axis(all_pairs(costs, offset, weight), place[..., None, None], axis=-2)[..., 0, :]
    found = np.take_along_axis(pairs, np.asarray(AT(costs, offset, weight, place))[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(found, pairs.min(-1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(50, 40), (130, 101)])
def test_equals_the_lower_envelope(shape):
    rng = np.random.default_rng(0)
    costs = rng.exponential(3, shape)
    for weight, offset in (((0.02, 3.0), (7.3, -0.4)), ((0.5, 0.5), (-20.5, 31.0)), ((1e-3, 9.0), (0.0, 0.0))):
        expected = lower_envelope_2d(costs, np.array(weight), np.array(offset))
        found = HARD(*(np.array(value, np.float32) for value in (costs, offset, weight)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(*CASE)
def test_soft_equals_the_sum(seed, x, y):
    costs, offset, weight = case(seed, x, y)
    expected = -logsumexp(-all_pairs(costs, offset, weight), axis=-1)
    found = np.asarray(SOFT(costs, offset, weight)).reshape(2, 3, -1)
    inside = expected < costs.min((-2, -1)).reshape(2, 3, 1) - np.log(LEAST) / 2  # farther, sums are cut off
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4, atol=1e-3)
    assert np.isfinite(found).all()


def test_parts_may_have_their_own_parabola_for_all_frames():
    costs, offset, weight = case(0, (2, 0.3), (-1, 0.2))
    for transform in (HARD, SOFT):
        together = transform(costs, offset[:1], weight[:1])
        np.testing.assert_allclose(together[1], transform(costs[1], offset[0], weight[0]), atol=1e-5)
