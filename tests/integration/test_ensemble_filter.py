"""Two trained networks predict a video through the door, and the ensemble Kalman smoother weighs frames by them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pawjax import cli, predict
from pawjax.engine.loop import train_and_evaluate
from pawjax.inference.opening import open_predictor
from pawjax.tracks.ensemble_kalman import smooth_joined
from pawjax.tracks.file import read_tracks
from tests.tiny import tiny_config

N_FRAMES = 24


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that differ in their seed."""
    folders = []
    for seed in range(2):
        config = tiny_config()
        config.seed = seed
        folders.append(tmp_path_factory.mktemp("runs") / f"seed{seed}")
        train_and_evaluate(config, folders[-1])
    return folders


@pytest.fixture
def video(tmp_path):
    """A bright square that moves over noise; a folder of pictures is a video."""
    (tmp_path / "mouse").mkdir()
    noise = np.random.default_rng(0).integers(0, 60, (64, 96), np.uint8)
    for number in range(N_FRAMES):
        pixels = noise.copy()
        pixels[20:32, 2 * number : 2 * number + 12] = 220
        Image.fromarray(pixels).save(tmp_path / "mouse" / f"{number:03d}.png")
    return tmp_path / "mouse"


def predict_to(out, video, runs, *words):
    arguments = [f"--workdir={','.join(map(str, runs))}", f"--out={out}", "--formats=dlc", *words, str(video)]
    return cli.call(predict.ENTRY_POINT, arguments)


def test_frames_in_which_two_networks_disagree_count_little(runs, video, tmp_path):
    out = tmp_path / "out"
    assert predict_to(out, video, runs, "--filter=ensemble_kalman") == 0
    filtered, raw = sorted(out.glob("*.tracks.h5"), key=lambda path: "_filtered" not in path.name)
    (table,) = out.glob("mouseDLC_pawjax*_filtered.csv")
    tracks, smooth = read_tracks(raw), smooth_joined(read_tracks(raw))
    np.testing.assert_array_equal(read_tracks(filtered).keypoints, smooth.keypoints)
    rows = np.loadtxt(table, delimiter=",", skiprows=3)
    np.testing.assert_allclose(rows[:, 1:3], smooth.keypoints[:, 0, 0], atol=1e-3)
    assert np.abs(rows[:, 1:3] - tracks.keypoints[:, 0, 0]).max() > 0.01
    frames = np.stack([np.asarray(Image.open(path)) for path in sorted(video.iterdir())])[..., None]
    members = [np.asarray(open_predictor([run], "best").predict(frames)["keypoints"]) for run in runs]
    apart = np.linalg.norm(np.stack(members) - tracks.keypoints[:, 0], axis=-1)
    disagreement = tracks.disagreement[:, 0]
    np.testing.assert_allclose(disagreement, np.sqrt((apart**2).mean(0)), rtol=1e-3)
    assert disagreement.max() > 1.2 * disagreement.min() > 0
    worst = int(disagreement.argmax())
    sure = dataclasses.replace(tracks, disagreement=tracks.disagreement.copy())
    sure.disagreement[worst] = disagreement.min() / 10
    pulled = smooth_joined(sure).keypoints[worst] - tracks.keypoints[worst]
    assert np.linalg.norm(pulled) < np.linalg.norm(smooth.keypoints[worst] - tracks.keypoints[worst])


def test_one_network_is_no_ensemble(runs, video, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        predict_to(tmp_path / "out", video, runs[:1], "--filter=ensemble_kalman")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "needs tracks of several networks" in error and "--workdir=RUN,RUN,RUN" in error
