"""A recording fitted window by window is that fitted whole."""

import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.pose3d import model1, model2
from pawjax.pose3d.chunks import fit_in_chunks
from pawjax.pose3d.parameters import Limbs, Noise, Observations, Prior
from tests.pose3d.conftest import LENGTHS, PARENTS, pixels_of, ring, walking

CAMERAS = ring(3)


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    truth = walking(rng, 130)
    pixels = pixels_of(CAMERAS, truth) + 2 * rng.normal(size=(130, 3, 4, 2))
    wrong = rng.random((130, 3, 4)) < 0.1
    pixels[wrong] += rng.normal(scale=50, size=(wrong.sum(), 2))
    noise = Noise(np.full((3, 4), 4.0), np.full((3, 4), 2500.0), np.where(wrong, 0.9, 0.05))
    return (
        truth,
        Observations(pixels),
        Prior(np.full(4, 3.0), noise, Limbs(LENGTHS, np.full(4, 1.0), PARENTS), None, tuple("abcd")),
    )


@pytest.mark.parametrize("model", [model1, model2])
def test_windows_give_the_whole(recording, model):
    truth, seen, prior = recording
    whole = model.fit(seen, CAMERAS, prior, truth)
    parts = fit_in_chunks(model.fit, seen, CAMERAS, prior, truth, frames=50, overlap=20)
    deviation = np.sqrt(np.diagonal(whole.covariance, axis1=-2, axis2=-1))
    assert parts.mean.shape == (130, 4, 3) and np.abs((parts.mean - whole.mean) / deviation).max() < 0.05
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(parts.outliers, whole.outliers, atol=0.02)
    assert parts.converged.all() and parts.heading is None
    cut = fit_in_chunks(model.fit, seen, CAMERAS, prior, truth, frames=50, overlap=0)
    assert np.abs((cut.mean - whole.mean) / deviation).max() > 0.1  # without overlap, windows end blindly


def test_a_short_recording_is_one_window_and_a_wrong_overlap_one_sentence(recording):
    truth, seen, prior = recording
    fits = [fit_in_chunks(model1.fit, seen, CAMERAS, prior, truth, frames=n, overlap=20) for n in (130, 500)]
    np.testing.assert_array_equal(fits[0].mean, fits[1].mean)
    with pytest.raises(InputError, match="an overlap of 25 frames needs more than 50 frames a window, not 50"):
        fit_in_chunks(model1.fit, seen, CAMERAS, prior, frames=50, overlap=25)
