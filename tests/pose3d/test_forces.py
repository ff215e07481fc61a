"""The force of the pixels is the pull of the mixture, less its curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.pose3d import noise
from pawjax.pose3d.forces import mixture_force
from pawjax.pose3d.parameters import Noise, Observations, Prior
from pawjax.pose3d.problem import pixel_pull, pose
from tests.pose3d.conftest import pixels_of, ring, walking


@pytest.mark.parametrize("exact", [True, False])
def test_it_is_the_pull_of_the_mixture(exact):
    rng = np.random.default_rng(0)
    truth = walking(rng, 6)
    pixels = pixels_of(ring(3), truth) + rng.normal(scale=[3, 40], size=(6, 3, 4, 2)) * (rng.random((6, 3, 4, 1)) < 0.7)
    pixels[rng.random((6, 3, 4)) < 0.2] = np.nan
    roots = rng.normal(size=(6, 3, 4, 2, 2))
    probability = rng.uniform(0.01, 0.6, (3, 4))
    probability[0, :2] = 0, 1 - 1e-6
    model = Noise(rng.uniform(1, 20, (3, 4)), rng.uniform(500, 2000, (3, 4)), probability)
    with jax.enable_x64(exact):
        prior = Prior(np.ones(4), model, None, None, tuple("abcd"))
        problem, origin = pose(Observations(pixels, roots @ roots.swapaxes(-1, -2)), ring(3), prior)
        positions = jnp.asarray(truth - origin + rng.normal(scale=2, size=truth.shape))
        pull, shares = pixel_pull(problem, positions, noise.mixture)
        value, gradient, outliers = jax.jit(mixture_force)(problem, positions)
        behind = positions.at[0].set(-1e5 * problem.rig.matrices[0, 2, :3])  # behind a camera
        far, (near, slope, _) = pixel_pull(problem, behind, noise.mixture)[0], mixture_force(problem, behind)
    digits = {"rtol": 1e-9, "atol": 1e-9} if exact else {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(value, pull.value, **digits)
    np.testing.assert_allclose(gradient, pull.gradient, **digits)
    np.testing.assert_allclose(outliers, shares, **digits)
    np.testing.assert_allclose(near, far.value, **digits)
    np.testing.assert_allclose(slope, far.gradient, **digits)
