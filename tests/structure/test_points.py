"""Keypoints that know of each other: single peaks stay, hidden ones are found, doubt says which are which."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import scoremaps
from pawjax.ops.decoding import DECODERS, decode
from pawjax.structure import Tree, structured_points
from pawjax.structure.messages import log_marginals
from pawjax.structure.points import FLOOR
from pawjax.structure.tree import ROUNDED

STRIDE, SIZE = 8, (30, 40)  # px, cells
TREE = Tree(
    parents=np.array([0, 0]),
    children=np.array([1, 2]),
    offset=np.array([[60.0, 10], [-50, 30]]),
    variance=np.array([[200.0, 100], [150, 150]]),
    n_frames=np.array([9, 9]),
)


def animals(n=6, seed=0):
    """Points [n, 3, 2] drawn from the tree."""
    rng = np.random.default_rng(seed)
    points = np.zeros((n, 3, 2), np.float32)
    points[:, 0] = rng.uniform((100, 60), (220, 150), (n, 2))
    for child in (1, 2):
        spread = np.sqrt(TREE.variance[child - 1])
        points[:, child] = points[:, 0] + TREE.offset[child - 1] + rng.normal(0, 1, (n, 2)) * spread
    return points


def maps_of(points, extra=(), hidden=(), height=1.0, sigma=9.0):
    """Score maps of the points, with `extra` peaks (frame, part, (x, y), height) and without those `hidden`.

    The offsets are those of the points, from everywhere.
    """
    offsets = scoremaps.offsets_to_keypoints(jnp.asarray(points), *SIZE, STRIDE, STRIDE / 2)
    scores = height * np.array(scoremaps.gaussian_targets(offsets, sigma))
    for frame, part in hidden:
        scores[frame, ..., part] = 0
    for frame, part, place, top in extra:
        away = scoremaps.offsets_to_keypoints(jnp.full((1, 1, 2), jnp.asarray(place)), *SIZE, STRIDE, STRIDE / 2)
        peak = top * np.array(scoremaps.gaussian_targets(away, sigma))[0, ..., 0]
        scores[frame, ..., part] = np.maximum(scores[frame, ..., part], peak)
    return scoremaps.ScoreMaps(jnp.log(jnp.maximum(scores, 1e-9)), offsets, STRIDE, STRIDE / 2)


@functools.cache
def program(decoder):
    def find(log_likelihood, offsets):
        maps = scoremaps.ScoreMaps(log_likelihood, offsets, STRIDE, STRIDE / 2)
        return structured_points(maps, TREE, decoder), decode(maps, decoder)[0]

    return jax.jit(find)


def found_in(maps, decoder="locref"):
    """The structured points, and the keypoints without structure."""
    return jax.device_get(program(decoder)(maps.log_likelihood, maps.offsets))


@pytest.mark.parametrize("decoder", DECODERS)
def test_single_peaks_stay_as_they_are(decoder):
    found, plain = found_in(maps_of(animals()), decoder)
    np.testing.assert_array_equal(found["keypoints"], plain)
    assert (found["likelihood"] > 0.9).all()


def test_higher_peak_elsewhere_is_left_for_the_one_beside_the_others():
    points = animals()
    maps = maps_of(points, extra=[(0, 1, (30.0, 200.0), 1.0), (1, 2, (290.0, 30.0), 1.0)], height=0.5)
    for decoder in ("soft_argmax", "taylor"):  # which do not use the offsets
        found, plain = found_in(maps, decoder)
        far = np.linalg.norm(plain - points, axis=-1) > 50
        assert np.argwhere(far).tolist() == [[0, 1], [1, 2]]
        assert np.linalg.norm(found["keypoints"] - points, axis=-1).max() < 6


def test_hidden_point_is_where_the_others_have_it_and_unlikely():
    points = animals()
    maps = maps_of(points, hidden=[(2, 1)])
    np.testing.assert_allclose(found_in(maps)[0]["keypoints"], points, atol=1e-3)  # by the offset of the chosen cell
    still = maps._replace(offsets=jnp.zeros_like(maps.offsets))
    found, _ = found_in(still)
    expected = points[2, 0] + TREE.offset[0]
    assert np.abs(found["keypoints"][2, 1] - expected).max() < 2 * STRIDE
    others = np.delete(found["likelihood"].ravel(), 2 * 3 + 1)
    assert found["likelihood"][2, 1] < 0.7 and others.min() > 0.9
    of_root = np.diag(found["covariance"][2, 0])
    expected = of_root + TREE.variance[0] + STRIDE**2 * ROUNDED
    np.testing.assert_allclose(np.diag(found["covariance"][2, 1]), expected, rtol=0.05)


def test_doubt_is_of_the_marginals():
    points = animals()
    points[0, 1] = points[0, 0] + TREE.offset[0] - (24, 0)
    other = points[0, 0] + TREE.offset[0] + (32, 0)
    maps = maps_of(points, extra=[(0, 1, other, 1.0)])
    found, _ = found_in(maps, "taylor")
    probability = np.exp(log_marginals(jnp.clip(maps.log_likelihood, np.log(FLOOR), 0), TREE, STRIDE))[0, ..., 1]
    cells = np.asarray(scoremaps.cell_centers(*SIZE, STRIDE, STRIDE / 2))
    mean = (probability[..., None] * cells).sum((0, 1))
    spread = np.einsum("hw,hwi,hwj->ij", probability, cells - mean, cells - mean)
    np.testing.assert_allclose(found["covariance"][0, 1], spread, rtol=1e-2, atol=1)
    column, row = np.round((found["keypoints"][0, 1] - STRIDE / 2) / STRIDE).astype(int)
    around = probability[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].sum()
    np.testing.assert_allclose(found["likelihood"][0, 1], around, atol=1e-3)
    np.testing.assert_allclose(found["second"][0, 1, :2], other, atol=1.5 * STRIDE)
    assert 0.05 < found["second"][0, 1, 2] < found["likelihood"][0, 1]
    np.testing.assert_allclose(found["likelihood"][0, 1] + found["second"][0, 1, 2], 1, atol=0.1)


def test_raw_maps_far_below_zero_are_floored():
    """Maps of squared error continue below zero as a tangent, to -1e10."""
    maps = maps_of(animals())
    low = maps._replace(log_likelihood=jnp.where(maps.log_likelihood < -8, -1e10, maps.log_likelihood))
    found, _ = found_in(low)
    for name, values in found_in(maps)[0].items():
        assert np.isfinite(found[name]).all()
        np.testing.assert_allclose(found[name][..., :2], values[..., :2], atol=2.0, err_msg=name)


def test_small_maps_have_no_second_place():
    maps = scoremaps.ScoreMaps(jnp.zeros((1, 3, 4, 3)), jnp.zeros((1, 3, 4, 3, 2)), STRIDE, STRIDE / 2)
    found, _ = found_in(maps)
    assert (found["second"][..., 2] == 0).all() and np.isfinite(found["second"]).all()
    assert (found["likelihood"] <= 1).all()
