"""Tracks of several cameras become arrays of the same bodyparts and frames, whatever their files have."""

import dataclasses

import numpy as np
import pytest

from pawjax.reconstruction.recording import read_recording
from pawjax.tracks.deeplabcut import write_csv, write_meta
from tests import recorded


@pytest.fixture(scope="module")
def seen():
    return recorded.see(recorded.rig(), recorded.make_truth())


def test_order_offset_and_covariance(seen, tmp_path):
    """One camera has its bodyparts in another order, one is two frames late, and one has covariances."""
    pixels, likelihood = seen
    calibration, files = recorded.record(tmp_path, pixels, likelihood, recorded.rig())
    turned = recorded.make_tracks(pixels[1, :, ::-1], likelihood[1, :, ::-1])
    write_csv(tmp_path / "turned.csv", [dataclasses.replace(turned, bodyparts=recorded.BODYPARTS[::-1])], "net")
    late = recorded.make_tracks(pixels[2, :-2], likelihood[2, :-2])
    write_csv(tmp_path / "late.csv", [late], "net")
    spread = recorded.make_tracks(pixels[3], likelihood[3])
    covariance = np.broadcast_to(np.float32([[4, 1], [1, 2]]), spread.covariance.shape)
    recorded.WRITERS[".tracks.h5"](tmp_path / "a.tracks.h5", dataclasses.replace(spread, covariance=covariance))
    files |= {name: str(tmp_path / file) for name, file in (("cam1", "turned.csv"), ("cam2", "late.csv"))}
    files["cam3"] = str(tmp_path / "a.tracks.h5")
    made = read_recording(calibration, files, offsets={"cam2": -2})
    assert made.bodyparts == recorded.BODYPARTS and made.pixels.shape == pixels.shape
    np.testing.assert_allclose(made.pixels[[0, 1, 3]], pixels[[0, 1, 3]], atol=1e-4)
    np.testing.assert_allclose(made.pixels[2, 2:], pixels[2, :-2], atol=1e-4)
    assert np.isnan(made.pixels[2, :2]).all() and (made.likelihood[2, :2] == 0).all()
    assert (made.covariance[3] == [[4, 1], [1, 2]]).all() and (made.covariance[:3] == 0).all()
    part = read_recording(calibration, {**files, "cam2": ""}, bodyparts=("snout", "tail"))
    assert part.cameras.names == ("cam0", "cam1", "cam3")
    np.testing.assert_allclose(part.pixels, pixels[[0, 1, 3]][:, :, [2, 0]], atol=1e-4)


def test_times_are_those_of_a_file_that_knows_them(seen, tmp_path, capsys):
    pixels, likelihood = seen
    calibration, files = recorded.record(tmp_path, pixels, likelihood, recorded.rig())
    frames = np.arange(recorded.FRAMES)
    np.testing.assert_array_equal(read_recording(calibration, files).times, frames)
    np.testing.assert_allclose(read_recording(calibration, files, rate=25.0).times, frames / 25)
    for name, rate in (("cam1", 50.0), ("cam2", 25.0)):
        tracks = recorded.make_tracks(pixels[1], likelihood[1], size=(600, 640))
        tracks = dataclasses.replace(tracks, frames_per_second=rate)
        write_meta(tmp_path / f"{name}_meta.pickle", [tracks], "net")
    np.testing.assert_allclose(read_recording(calibration, files).times, frames / 50)
    assert "'cam1' took 50 frames a second and 'cam2' 25" in capsys.readouterr().err
