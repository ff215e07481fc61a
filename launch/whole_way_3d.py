"""The whole way to 3D, once: frames to label, a network, tracks of three cameras, points in space by every model.

    python -m launch.whole_way_3d --out=runs/space

Draws the mouse of `launch/mouse_in_space.py`, whose places in space are known, as three cameras see it: a DeepLabCut
project of its labelled frames, a calibration, and a video of each camera of another mouse. Then it does what a user
does, and prints each command: pawjax.train, pawjax.predict, and pawjax.triangulate with every model. At its end a table
says how far the points are from the truth. The same command again goes on where it was stopped.
"""

import argparse
import csv
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from launch.mouse_in_space import BODYPARTS, SKELETON, SPINE, Mouse
from launch.mouse_pictures import picture, rig
from pawjax.data.paw_on_ball.look import N_SESSIONS
from pawjax.data.paw_on_ball.motion import SESSION_SECONDS
from pawjax.files import write_json
from pawjax.pose3d.accuracy import aligned, distances
from pawjax.pose3d.calibration_files import write_calibration
from pawjax.pose3d.cameras import Cameras
from pawjax.progress import track
from pawjax.report.mp4 import write_mp4
from pawjax.tracks.deeplabcut import LEVELS, write_csv_table

MODELS = ("median", "ransac", "model0", "model1", "model2", "gimbal")
LABELLED_SEED, RECORDED_SEED = 0, 1  # of the mice that are labelled, and of the one that is filmed
RATE = 75.0  # frames per second of the videos
SCORER = "truth"
TRAIN = ("--config=configs/quickstart.py", "--config.model.stem_channels=16", "--config.steps=400")


def door(module: str, *words: str) -> None:
    """Runs one of pawjax's commands, and prints it before."""
    print(f"\n$ python -m pawjax.{module} {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", f"pawjax.{module}", *words], check=True)


def write_project(folder: Path, cameras: Cameras, instants: int) -> None:
    """A DeepLabCut project with frames of each camera at instants of all sessions, labelled where they are visible."""
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    rng = np.random.default_rng(LABELLED_SEED)
    times = rng.uniform(0, SESSION_SECONDS, instants)
    columns = list(itertools.product([SCORER], BODYPARTS, "xy"))
    for index, camera in enumerate(cameras.names):
        pictures = part / "labeled-data" / camera
        pictures.mkdir(parents=True)
        rows = [[name, *each] for name, each in zip(LEVELS, zip(*columns, strict=True), strict=True)]
        for number, time in enumerate(track(times, f"drawing frames of '{camera}'")):
            made = picture(Mouse(LABELLED_SEED, number % N_SESSIONS), cameras, index, time)
            Image.fromarray(made.image[..., 0]).save(pictures / f"img{number:04d}.png")
            cells = np.where(made.visible[:, None], made.pixels.round(3), None).ravel().tolist()
            rows.append([f"labeled-data/{camera}/img{number:04d}.png", *cells])
        with (pictures / f"CollectedData_{SCORER}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    names = "".join(f"- {name}\n" for name in BODYPARTS)
    (part / "config.yaml").write_text(f"Task: space\nscorer: {SCORER}\nbodyparts:\n{names}")
    part.rename(folder)


def write_recording(folder: Path, cameras: Cameras, frames: int) -> np.ndarray:
    """CAMERA.mp4 of each camera and the truth, as DeepLabCut-3D's table; returns the truth [T, K, 3], mm."""
    folder.mkdir(parents=True, exist_ok=True)
    mouse, times = Mouse(RECORDED_SEED, 0), np.arange(frames) / RATE
    truth = mouse.places(times)
    columns = list(itertools.product([SCORER], BODYPARTS, "xyz"))
    write_csv_table(folder / "truth.csv", [(0, columns, truth.reshape(frames, -1))])
    for index, camera in enumerate(cameras.names):
        path = folder / f"{camera}.mp4"
        if path.exists():
            continue

        def drawn(index: int = index, camera: str = camera) -> Iterator[tuple[float, np.ndarray]]:
            for time in track(times, f"drawing {camera}.mp4"):
                yield time, np.repeat(picture(mouse, cameras, index, time).image, 3, -1)

        write_mp4(path, drawn(), cameras.sizes[index][::-1], RATE, {"crf": "16"})
    return truth


def table_of(out: Path, truth: np.ndarray) -> dict[str, dict[str, float | None]]:
    """{model: errors in mm}: mean and 95th percentile; means over the points that all models have, raw and rigid."""
    found = {model: np.load(out / model / "points3d.npz") for model in MODELS}
    off = {model: distances(points["mean"], truth) for model, points in found.items()}
    common = np.all([np.isfinite(each) for each in off.values()], 0)
    return {
        model: {
            "mean_mm": float(np.nanmean(each)),
            "p95_mm": float(np.nanpercentile(each, 95)),
            "missing": float(np.isnan(each).mean()),
            "common_mean_mm": float(each[common].mean()),
            "common_rigid_mm": float(np.nanmean(distances(aligned(found[model]["mean"], truth), truth)[common])),
            "few_views_mm": float(np.nanmean(each[~common])) if np.isfinite(each[~common]).any() else None,
        }
        for model, each in off.items()
    }


def whole_way(out: Path, size: tuple[int, int], instants: int, frames: int, train: list[str]) -> dict:
    """All of it, in the folder `out`; returns the table of errors.

    Args:
      out: folder.
      size: height and width of the frames, px.
      instants: that are labelled, each in the frames of all cameras.
      frames: of each video.
      train: words of pawjax.train beyond the data and the run.
    """
    cameras = rig(*size)
    write_project(out / "project", cameras, instants)
    truth = write_recording(out / "videos", cameras, frames)
    calibration = out / "calibration.toml"
    write_calibration(calibration, cameras, overwrite=True)
    run = f"--workdir={out / 'run'}"
    door("train", *train, run, "--config.data.source=deeplabcut", f"--config.data.path={out / 'project'}")
    door("evaluate", run, "--split=test")
    videos = [str(out / "videos" / f"{camera}.mp4") for camera in cameras.names]
    door("predict", run, *videos, f"--out={out / 'tracks'}")
    files = {camera: max((out / "tracks").glob(f"{camera}pawjax_*.tracks.h5")) for camera in cameras.names}
    tracks = "--tracks=" + ",".join(f"{camera}={file}" for camera, file in files.items())
    body = [f"--skeleton={SKELETON}", f"--spine={SPINE}"]
    for model in MODELS:
        where = [f"--model={model}", f"--out={out / model}", "--overwrite"]
        door("triangulate", f"--calibration={calibration}", tracks, *where, *body)
    table = table_of(out, truth)
    write_json(out / "errors.json", table)
    return table


def main() -> None:
    """Goes the whole way and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--height", type=int, default=150)
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--instants", type=int, default=60, help="that are labelled, in all three cameras")
    parser.add_argument("--frames", type=int, default=300, help="of each video")
    parser.add_argument("train", nargs="*", help=f"words of pawjax.train, after --; else {' '.join(TRAIN)}")
    flags = parser.parse_args()
    size = flags.height, flags.width
    table = whole_way(flags.out, size, flags.instants, flags.frames, flags.train or list(TRAIN))
    error = json.loads((flags.out / "run/eval/test/metrics.json").read_text())["mean_error_px"]
    print(f"\nmean error on test frames: {error:.2f} px\n| | " + " | ".join(next(iter(table.values()))) + " |")
    for model, row in table.items():
        print(f"| {model} | " + " | ".join("" if value is None else f"{value:.3f}" for value in row.values()) + " |")


if __name__ == "__main__":
    main()
