"""The rigid alignment is scipy's, proper, and blind to missing points."""

import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.pose3d.accuracy import aligned, distances


def test_a_moved_pose_is_moved_back():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 6, 3))
    turned = np.stack([Rotation.random(random_state=t).apply(frame) for t, frame in enumerate(truth)])
    moved = turned + rng.normal(size=(5, 1, 3))
    assert distances(moved, truth).min() > 0.1
    np.testing.assert_allclose(aligned(moved, truth), truth, atol=1e-12)


def test_rotation_is_that_of_scipy_and_never_a_reflection():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(8, 6, 3))
    positions = truth * [1, 1, -1] + 0.1 * rng.normal(size=truth.shape)  # mirrored
    truth[0, 2] = positions[1, 4] = np.nan
    result = aligned(positions, truth)
    for t in range(8):
        both = np.isfinite(truth[t] + positions[t]).all(-1)
        one, other = (array[t][both] - array[t][both].mean(0) for array in (positions, truth))
        rotation, _ = Rotation.align_vectors(other, one)
        np.testing.assert_allclose(result[t][both], rotation.apply(one) + truth[t][both].mean(0), atol=1e-9)
    assert np.isfinite(result[0, 2]).all() and np.isnan(result[1, 4]).all()
    assert np.nanmean(distances(result, truth)) > 0.2


def test_frames_with_two_points_have_no_alignment():
    truth = np.full((1, 4, 3), np.nan)
    truth[0, :2] = [[0, 0, 0], [1, 1, 1]]
    assert np.isnan(aligned(np.zeros((1, 4, 3)), truth)).all()
