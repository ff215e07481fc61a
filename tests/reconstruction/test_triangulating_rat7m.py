"""A real rat, from files to files: with the authors' prior GIMBAL is as near the truth as by calls (slow)."""

import numpy as np
import pytest

from launch.rat7m import priors
from pawjax import cli, triangulate
from pawjax.pose3d.accuracy import aligned, distances
from pawjax.pose3d.prior_file import save_prior
from pawjax.tracks.deeplabcut import write_csv
from pawjax.tracks.tracks import Tracks


@pytest.mark.slow
def test_gimbal_on_a_real_rat(shared_data, tmp_path, capsys):
    folder = shared_data / "rat7m-extract"
    data, fitted = (np.load(folder / f"mock_{name}.npz") for name in ("data", "params"))
    np.save(tmp_path / "cameras.npy", data["camera_matrices"])
    save_prior(tmp_path / "prior.npz", priors(data, fitted)["gimbal"])
    names, files = tuple(map(str, data["keypoint_names"])), []
    for camera, pixels in enumerate(data["observed_pos_2d"].astype(np.float32).swapaxes(0, 1), 1):
        shape = len(pixels), 1, len(names)
        likelihood = np.where(np.isfinite(pixels).all(-1), 1, np.nan)[:, None].astype(np.float32)
        unknown = np.full((*shape, 2, 2), np.nan, np.float32), np.full((*shape, 3), np.nan, np.float32)
        tracks = Tracks(pixels[:, None], likelihood, *unknown, np.arange(len(pixels)) / 30, names, (0, 0), 30.0, {})
        write_csv(tmp_path / f"{camera}.csv", [tracks], "net")
        files.append(f"camera{camera}={tmp_path / f'{camera}.csv'}")
    words = [f"--calibration={tmp_path / 'cameras.npy'}", f"--tracks={','.join(files)}", "--model=gimbal"]
    words += [f"--prior={tmp_path / 'prior.npz'}", f"--out={tmp_path / 'out'}"]
    assert cli.call(triangulate.ENTRY_POINT, words) == 0
    assert "KneeL and KneeR are tracked at the same place" in capsys.readouterr().out
    mean, truth = np.load(tmp_path / "out" / "points3d.npz")["mean"], data["groundtruth_pos_3d"]
    assert np.nanmean(distances(mean, truth)) < 4.8
    assert np.nanmean(distances(aligned(mean, truth), truth)) < 3.8
