"""HDF5 on a disk that takes no more: an OSError, no crash of the process, and nothing is left."""

import importlib.util
import resource
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pawjax.tracks.file import read_tracks, write_tracks
from pawjax.tracks.formats import FORMATS
from pawjax.tracks.hdf5 import write_pieces

ROOT = Path(__file__).resolve().parents[2]
# Writes each format with files limited to ever more bytes, which a disk refuses as when it is full.
LIMITED = """
import resource, sys
from pathlib import Path
from pawjax.tracks.file import read_tracks, write_tracks
from pawjax.tracks.formats import FORMATS

source, folder, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
tracks = read_tracks(source)
write = (lambda path: write_tracks(path, [tracks[:600], tracks[600:]])) if name == "own" else (
    lambda path: [file.write(path, iter([tracks[:600], tracks[600:]]), "s") for file in FORMATS[name]
                  if file.ending.endswith(".h5")])
refused = 0
for limit in [0, 100, 1000, 5000, 20_000, 40_000, 70_000, 100_000]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write(folder / "t.h5")
    except OSError as error:
        refused += error.errno == 27
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(refused, [path.name for path in folder.iterdir()])
"""


@pytest.mark.parametrize("name", ["own", "sleap", "dlc"])
def test_full_disk_is_an_error_and_leaves_nothing(name, tmp_path, make_tracks):
    if name == "dlc" and importlib.util.find_spec("tables") is None:
        pytest.skip("PyTables is not installed")
    write_tracks(tmp_path / "source.h5", [make_tracks(np.random.default_rng(0).random((1200, 1, 6, 2)))])
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", LIMITED, tmp_path / "source.h5", tmp_path / "out", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8 []\n", "")


def test_what_the_disk_refuses_is_still_read_by_the_library(tmp_path):
    """Groups that HDF5 writes, evicts and reads again after the disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def write(file: h5py.File, piece: int) -> None:
        file[str(piece)] = np.full(3000, piece)
        file.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        for number in range(20):
            file[f"late{number}"] = np.full(3000, number)
            file.flush()
        file[str(piece)].id.refresh()
        assert file["late3"][0] == 3 and file["late19"][-1] == 19 and file[str(piece)][0] == piece

    try:
        with pytest.raises(OSError, match="File too large"):
            write_pieces(tmp_path / "t.h5", [7, 8], write)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert not list(tmp_path.iterdir())


def test_files_are_those_of_h5py(tmp_path, make_tracks):
    tracks = make_tracks(np.random.default_rng(0).random((700, 1, 3, 2)))
    write_tracks(tmp_path / "t.h5", [tracks[:300], tracks[300:]])
    np.testing.assert_array_equal(read_tracks(tmp_path / "t.h5").keypoints, tracks.keypoints)
    FORMATS["sleap"][0].write(tmp_path / "s.h5", iter([tracks[:300], tracks[300:]]), "s")
    with h5py.File(tmp_path / "s.h5") as file:
        np.testing.assert_array_equal(file["tracks"][0, :, :, :], tracks.keypoints[:, 0].transpose(2, 1, 0))
