"""The round trip from points to maps to points, for every decoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import scoremaps
from pawjax.ops.decoding import DECODERS, decode

ERRORS = {"locref": 1e-4, "votes": 1e-4, "soft_argmax": 4.0, "taylor": 1e-2}  # px, at a stride of 8


def points_and_maps(seed=0, sigma=9.0):
    rng = np.random.default_rng(seed)
    keypoints = jnp.asarray(rng.uniform((12, 12), (83, 51), (5, 3, 2)), jnp.float32)
    offsets = scoremaps.offsets_to_keypoints(keypoints, 8, 12, 8, 4.0)
    return keypoints, offsets, scoremaps.gaussian_targets(offsets, sigma)


def maps_of(likelihood, offsets):
    return scoremaps.ScoreMaps(jnp.log(jnp.maximum(likelihood, 1e-12)), offsets, 8, 4.0)


def test_every_decoder_has_a_tolerance():
    assert set(ERRORS) == set(DECODERS)


@pytest.mark.parametrize("decoder", DECODERS)
def test_round_trip(decoder):
    keypoints, offsets, scores = points_and_maps()
    found, likelihood = decode(maps_of(scores, offsets), decoder)
    np.testing.assert_allclose(found, keypoints, atol=ERRORS[decoder])
    np.testing.assert_allclose(likelihood, scores.max((1, 2)), rtol=1e-6)


def test_taylor_is_exact_for_a_tilted_gaussian():
    """Its logarithm has a mixed derivative, unlike that of a round one."""
    keypoints, offsets, _ = points_and_maps()
    inverse = np.linalg.inv([[144.0, 60.0], [60.0, 100.0]])
    scores = jnp.exp(-jnp.einsum("...i,ij,...j->...", offsets, inverse, offsets) / 2)
    found, _ = decode(maps_of(scores, offsets), "taylor")
    np.testing.assert_allclose(found, keypoints, atol=1e-2)


def test_disc_is_decoded_by_its_offsets():
    keypoints, offsets, _ = points_and_maps()
    scores = scoremaps.disc_targets(offsets, 17.0)
    for decoder in ("locref", "votes"):
        found, _ = decode(maps_of(scores, offsets), decoder)
        np.testing.assert_allclose(found, keypoints, atol=1e-4)


@pytest.mark.parametrize("decoder", DECODERS)
def test_corners_stay_finite_and_on_the_map(decoder):
    scores = np.full((1, 3, 4, 2), -20.0, np.float32)
    scores[0, 0, 0, 0] = scores[0, 2, 3, 1] = 5.0
    maps = scoremaps.ScoreMaps(jax.nn.log_sigmoid(jnp.asarray(scores)), jnp.zeros((1, 3, 4, 2, 2)), 8, 4.0)
    found, likelihood = decode(maps, decoder)
    np.testing.assert_allclose(found[0], [[4, 4], [28, 20]], atol=1e-3)
    assert (np.asarray(likelihood) > 0.99).all()


def test_votes_average_out_offset_noise():
    keypoints, offsets, scores = points_and_maps()
    noisy = offsets + np.random.default_rng(1).normal(0, 2.0, offsets.shape).astype(np.float32)
    errors = {}
    for decoder in ("locref", "votes"):
        found, _ = decode(maps_of(scores, noisy), decoder)
        errors[decoder] = float(np.linalg.norm(found - keypoints, axis=-1).mean())
    assert errors["votes"] < 0.6 * errors["locref"]
