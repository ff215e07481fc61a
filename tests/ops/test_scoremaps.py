"""Targets against hand values."""

import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops import scoremaps


def test_cell_centers_equal_deeplabcut():
    centers = np.asarray(scoremaps.cell_centers(3, 5, 8, 4.0))
    assert centers.shape == (3, 5, 2)
    np.testing.assert_array_equal(centers[2, 4], [8 * 4 + 4, 8 * 2 + 4])


def test_disc_by_hand():
    offsets = scoremaps.offsets_to_keypoints(jnp.array([[[20.0, 12.0]]]), 4, 6, 8, 4.0)
    disc = np.asarray(scoremaps.disc_targets(offsets, 8.0))[0, :, :, 0]
    expected = np.zeros((4, 6))
    expected[1, 1:4] = 1  # cells at x = 12, 20, 28 of the row y = 12
    expected[0:3, 2] = 1  # and y = 4, 12, 20 of the column x = 20
    np.testing.assert_array_equal(disc, expected)
    np.testing.assert_array_equal(np.asarray(offsets)[0, 0, 0, 0], [16.0, 8.0])


def test_gaussian_by_hand():
    offsets = scoremaps.offsets_to_keypoints(jnp.array([[[20.0, 12.0]]]), 4, 6, 8, 4.0)
    bell = np.asarray(scoremaps.gaussian_targets(offsets, 8.0))[0, :, :, 0]
    assert bell[1, 2] == 1
    assert bell[1, 3] == pytest.approx(np.exp(-0.5))
    assert bell[2, 3] == pytest.approx(np.exp(-1.0))
