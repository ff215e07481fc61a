"""Projections in a rig are those of the cameras, with small numbers, and their Jacobians the derivatives."""

import jax
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d.rig import make_rig, project
from tests.pose3d.conftest import affine, pixels_of, ring, walking

CENTRE = np.array([300.0, -2000.0, 10.0])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cameras", [ring(4, CENTRE), affine(3)])
def test_pixels_and_jacobians(cameras, exact):
    positions = walking(np.random.default_rng(1), 5, CENTRE if len(cameras) == 4 else (30, -20, 10))
    pixels = pixels_of(cameras, positions)
    with jax.enable_x64(exact):
        rig, relative, origin = make_rig(cameras, pixels)
        x = jax.numpy.asarray(positions - origin)
        found, jacobians = project(rig, x)
        np.testing.assert_allclose(found, relative, atol=1e-9 if exact else 1e-3)
        whole = jax.jacfwd(lambda x: project(rig, x)[0])(x)  # [T, C, K, 2, T, K, 3]
    expected = np.stack([[whole[t, :, k, :, t, k] for k in range(4)] for t in range(5)])
    np.testing.assert_allclose(jacobians, np.moveaxis(expected, 2, 1), rtol=1e-4, atol=1e-5)
    assert np.abs(positions - origin).max() < 100 and np.abs(origin).max() > 5


def test_scale_and_sign_of_a_matrix_do_not_matter():
    cameras = ring(3)
    pixels = pixels_of(cameras, walking(np.random.default_rng(2), 4))
    one, _, origin = make_rig(cameras, pixels)
    other, _, same = make_rig(cameras * np.array([2, -3, 1e-4])[:, None, None], pixels)
    np.testing.assert_allclose(origin, same)
    np.testing.assert_allclose(one.matrices, other.matrices, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "cameras, shape, words",
    [
        (np.zeros((3, 4)), (5, 3, 4, 2), "not projection matrices"),
        (np.full((3, 3, 4), np.nan), (5, 3, 4, 2), "of finite numbers"),
        (ring(3), (5, 2, 4, 2), "do not fit 3 cameras: give pixels"),
        (ring(3), (5, 3, 4, 3), "do not fit 3 cameras"),
        (ring(1), (5, 1, 4, 2), "1 of 1 cameras see the animal"),
    ],
)
def test_what_does_not_fit_is_one_sentence(cameras, shape, words):
    with pytest.raises(InputError, match=words):
        make_rig(cameras, np.ones(shape))


def test_cameras_that_see_nothing_are_counted():
    pixels = np.full((5, 3, 4, 2), np.nan)
    pixels[:, 1] = 100
    with pytest.raises(InputError, match="1 of 3 cameras see"):
        make_rig(ring(3), pixels)
