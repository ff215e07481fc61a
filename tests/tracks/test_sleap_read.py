"""SLEAP's analysis files: what is written is read again, as are files of SLEAP itself that lack scores."""

import h5py
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.tracks.formats import read
from pawjax.tracks.sleap import write_sleap
from tests import recorded


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 500, (7, 5, 2))
    pixels[3, 2] = np.nan
    return recorded.make_tracks(pixels, rng.random((7, 5)))


def test_written_tracks_are_read_again(tracks, tmp_path):
    path = tmp_path / "a.analysis.h5"
    write_sleap(path, [tracks[:4], tracks[4:]], "net")
    back = read(path)
    np.testing.assert_array_equal(back.keypoints, tracks.keypoints)
    found = np.isfinite(tracks.keypoints).all(-1)
    np.testing.assert_array_equal(back.likelihood, np.where(found, tracks.likelihood, 0))
    assert back.bodyparts == tracks.bodyparts and back.size == (0, 0) and not found.all()


def test_points_without_a_score_are_sure(tracks, tmp_path):
    """As those that a person placed; old files have no scores at all."""
    path = tmp_path / "a.h5"
    write_sleap(path, [tracks], "net")
    with h5py.File(path, "r+") as file:
        file["point_scores"][0, 1] = np.nan
        file["point_scores"][0, 2] = 1.5
    assert (read(path).likelihood[:, 0, 1] == 1).all() and read(path).likelihood.max() == 1
    with h5py.File(path, "r+") as file:
        del file["point_scores"]
    assert set(read(path).likelihood.ravel()) == {0, 1}


def test_other_files_are_refused(tracks, tmp_path):
    path = tmp_path / "a.h5"
    two = np.concatenate([tracks.keypoints] * 2, axis=1).transpose(1, 3, 2, 0)
    for content, words in ((two, "tracks of 2 animals"), (two.T, r"not \(1, 2, 5, frames\)")):
        with h5py.File(path, "w") as file:
            file["tracks"], file["node_names"] = content, [name.encode() for name in recorded.BODYPARTS]
        with pytest.raises(InputError, match=words):
            read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as tracks of DeepLabCut"):
        read(path)


def test_damaged_files_end_in_a_sentence(tracks, tmp_path):
    path, rng, refused = tmp_path / "a.h5", np.random.default_rng(0), 0
    write_sleap(path, [tracks], "net")
    whole = path.read_bytes()
    for _ in range(200):
        damaged = np.frombuffer(whole[: rng.integers(1, 2 * len(whole))], np.uint8).copy()
        damaged[rng.integers(len(damaged), size=10)] = rng.integers(256, size=10)
        path.write_bytes(damaged.tobytes())
        try:
            read(path)
        except InputError:
            refused += 1
    assert 50 < refused < 200
