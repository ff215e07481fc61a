"""Does a window that follows the animal find the same points, and how much faster is it?

    python launch/track_window.py RUN VIDEO --window=256 --turns=3

Predicts the video in turns as whole frames and with --track_window, and compares the points: both where the whole frame
is confident, and by the time that each takes, decoding and files included. Then finds the points of the run's test
frames in whole frames and in windows placed as if the animal had moved by MOVED px since the frame before, and compares
the errors against the labels.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from pawjax.data.video import open_video
from pawjax.inference.opening import open_predictor
from pawjax.inference.pipeline import Stages
from pawjax.inference.predictor import Predictor
from pawjax.inference.run import read_run_files
from pawjax.inference.videos import Options, predict_video
from pawjax.inference.windows import Pose, followed
from pawjax.tracks.file import read_tracks
from pawjax.tracks.tracks import Tracks

CONFIDENT = 0.6
MOVED = 10.0  # px, standard deviation in x and in y


def predicted(predictor: Predictor, path: Path, window: int, folder: Path) -> tuple[Tracks, float, Stages]:
    """The tracks of a video, the seconds that they took, and the rates of the stages."""
    stages, target = Stages(), folder / "tracks.h5"
    begin = time.perf_counter()
    predict_video(predictor, open_video(path), target, Options(8, None, window), stages)
    return read_tracks(target), time.perf_counter() - begin, stages


def difference(whole: Tracks, window: Tracks) -> str:
    """How far the points with the window lie from those without."""
    sure = whole.likelihood >= CONFIDENT
    apart = np.linalg.norm(whole.keypoints - window.keypoints, axis=-1)[sure]
    far = " and ".join(f"{np.mean(apart > px):.3%} over {px} px" for px in (1, 10))
    likelihood = np.abs(whole.likelihood - window.likelihood)[sure].mean()
    return (
        f"{sure.sum()} of {sure.size} points are confident in whole frames; of these the window puts {far} elsewhere "
        f"(99th percentile {np.percentile(apart, 99):.3f} px); the likelihood changes by {likelihood:.4f} in the mean"
    )


def errors(predictor: Predictor, workdir: str, window: int) -> dict[str, np.ndarray]:
    """Distances to the labels of the run's test frames, px, in whole frames and in windows."""
    files, rng = read_run_files(Path(workdir)), np.random.default_rng(0)
    frames = files.frames()
    found: dict[str, list[np.ndarray]] = {"whole frames": [], "windows": []}
    for i in files.split(frames)["test"]:
        height, width = frames.sizes[i]
        pixels, truth, labelled = (
            frames.images[i : i + 1, :height, :width],
            frames.keypoints[i, 0],
            frames.labelled[i, 0],
        )
        before = Pose(truth + rng.normal(0, MOVED, 2).astype(np.float32), labelled.astype(np.float32))
        for name, pose in {"whole frames": None, "windows": before}.items():
            ((points, _),) = followed(predictor, iter([(pixels, np.zeros(1))]), window, pose, Stages())
            found[name].append(np.linalg.norm(points["keypoints"][0] - truth, axis=-1)[labelled])
    return {name: np.concatenate(distances) for name, distances in found.items()}


def main() -> None:
    """Prints the seconds of each turn, the difference and the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder, or a snapshot of DeepLabCut (.pt)")
    parser.add_argument("video", type=Path)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--turns", type=int, default=3)
    flags = parser.parse_args()
    snapshot = flags.run if flags.run.endswith((".pt", ".npz")) else ""
    predictor = open_predictor([flags.run], "best", snapshot)
    seconds: dict[int, list[float]] = {0: [], flags.window: []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(flags.turns + 1):  # the first compiles
            tracks = {}
            for window, taken in seconds.items():
                tracks[window], spent, stages = predicted(predictor, flags.video, window, Path(folder))
                if turn:
                    taken.append(spent)
                    rate = len(tracks[window]) / spent
                    print(f"window {window or 'none'}: {rate:.2f} frames/s ({stages})", flush=True)
    print(difference(tracks[0], tracks[flags.window]))
    whole, window = (float(np.median(taken)) for taken in seconds.values())
    print(f"{whole / window:.2f} times as fast with a window of {flags.window} px")
    if not snapshot:
        for name, distances in errors(predictor, flags.run, flags.window).items():
            rmse, far = np.sqrt(np.mean(distances**2)), (distances > 50).sum()
            print(
                f"{name}: {distances.mean():.2f} px mean error, RMSE {rmse:.2f}, {far} of {len(distances)} over 50 px"
            )


if __name__ == "__main__":
    main()
