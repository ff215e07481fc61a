"""Analyses a video with one snapshot of DeepLabCut, by DeepLabCut 3.0.2 and by pawjax, and compares every frame.

    .venv-dlc/bin/python third_party/deeplabcut/snapshot.py --project=PROJECT --folder=FOLDER \
        --pawjax-python=.venv/bin/python [--epochs=20] [--frames=300]

PROJECT is the open-field project of DeepLabCut's examples. A first call copies it to FOLDER/project and trains a
ResNet-50 there with `deeplabcut.train_network`, from random weights and on small crops; later calls go on with its
best snapshot. README.md has the installation and the result.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from bench import ROOT, copy_project, declare_operators

OPERATORS = declare_operators()

import cv2  # noqa: E402
import deeplabcut  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from deeplabcut.pose_estimation_pytorch import DLCLoader  # noqa: E402
from deeplabcut.pose_estimation_pytorch.models import PoseModel  # noqa: E402

CROP = 96  # px; 20 times less work than DeepLabCut's 448
PREDICT = """
import sys
from pathlib import Path

import numpy as np

from pawjax.inference.snapshots import predictor_of_snapshot

predict = predictor_of_snapshot(Path(sys.argv[1])).predict
frames = np.load(sys.argv[2], mmap_mode="r")
found = [predict(frames[i : i + 1]) for i in range(len(frames))]
poses = [np.concatenate([f["keypoints"], f["likelihood"][..., None]], -1) for f in found]
np.save(sys.argv[3], np.concatenate(poses))
"""


def train(project: Path, folder: Path, epochs: int) -> Path:
    """Copies the project and trains a network in it. Returns the copy's config.yaml."""
    config = copy_project(project, folder)
    deeplabcut.create_training_dataset(str(config), net_type="resnet_50", num_shuffles=1)
    torch.manual_seed(0)
    loader = DLCLoader(str(config), trainset_index=0, shuffle=1)
    model = PoseModel.build(loader.model_cfg["model"], weight_init=None, pretrained_backbone=False)
    start = folder / "random.pt"
    torch.save({"model": model.state_dict(), "metadata": {"epoch": 0}}, start)
    crop = {"width": CROP, "height": CROP, "max_shift": 0.2, "method": "keypoints"}
    deeplabcut.train_network(
        str(config),
        device="cpu",
        snapshot_path=start,
        epochs=epochs,
        batch_size=8,
        save_epochs=10,
        display_iters=10,
        pytorch_cfg_updates={"data.train.crop_sampling": crop, "runner.eval_interval": epochs},
    )
    return config


def best_snapshot(config: Path) -> Path:
    """The snapshot that DeepLabCut analyses with: its best, else its last."""
    found = sorted(config.parent.glob("dlc-models-pytorch/**/train/snapshot-*.pt"))
    return next((path for path in found if "-best-" in path.name), found[-1])


def cut(video: Path, folder: Path, n_frames: int) -> Path:
    """The first frames of a video, copied without decoding them; all if `n_frames` is 0."""
    import imageio_ffmpeg

    if not n_frames:
        return video
    target = folder / f"first{n_frames}.mp4"
    if not target.exists():
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-c", "copy", "-an"]
        subprocess.run([*command, "-frames:v", str(n_frames), str(target)], check=True)
    return target


def by_deeplabcut(config: Path, video: Path, folder: Path, batch: int) -> np.ndarray:
    """DeepLabCut's x, y and likelihood: [N, K, 3]."""
    scorer = deeplabcut.analyze_videos(
        str(config), [str(video)], destfolder=str(folder), device="cpu", batch_size=batch, overwrite=True
    )
    return of_table(folder / f"{video.stem}{scorer}.h5")


def of_table(path: Path) -> np.ndarray:
    """x, y and likelihood of a file of tracks of DeepLabCut: [N, K, 3]."""
    values = pd.read_hdf(path).to_numpy()
    return values.reshape(len(values), -1, 3)


def of_csv(path: Path) -> np.ndarray:
    """The same from a .csv."""
    values = pd.read_csv(path, header=[0, 1, 2], index_col=0).to_numpy()
    return values.reshape(len(values), -1, 3)


def decoded_by_opencv(video: Path, target: Path) -> Path:
    """The frames of a video as DeepLabCut sees them, uint8 RGB [N, H, W, 3], in a .npy."""
    reader, frames = cv2.VideoCapture(str(video)), []
    while (frame := reader.read())[0]:
        frames.append(frame[1][..., ::-1])
    np.save(target, np.stack(frames))
    return target


def run_pawjax(python: str, *arguments: str) -> None:
    """Runs pawjax's Python."""
    subprocess.run([python, *arguments], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def compare(what: str, theirs: np.ndarray, ours: np.ndarray) -> None:
    """Prints the largest differences of coordinates and likelihoods, and where they are."""
    assert theirs.shape == ours.shape, (theirs.shape, ours.shape)
    apart = np.abs(theirs - ours)
    place, likelihood = apart[..., :2].max((1, 2)), apart[..., 2].max(1)
    print(
        f"{what}: {len(theirs)} frames; largest difference {place.max():.2g} px (frame {place.argmax()}), likelihood "
        f"{likelihood.max():.2g} (frame {likelihood.argmax()}); within 0.05 px and 1e-3 on "
        f"{((place < 0.05) & (likelihood < 1e-3)).sum()} frames"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of the copy, the snapshot and the tracks")
    parser.add_argument("--pawjax-python", default=sys.executable)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=0, help="of the video, from its first; 0 for all")
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    folder = options.folder.resolve()
    config = folder / "project" / "config.yaml"
    if not list(config.parent.glob("dlc-models-pytorch/**/train/snapshot-*.pt")):
        config = train(options.project.resolve(), folder, options.epochs)
    snapshot = best_snapshot(config)
    video = cut(next((options.project.resolve() / "videos").glob("*.mp4")), folder, options.frames)
    theirs_at, ours_at = folder / "deeplabcut", folder / "pawjax"
    for place in (theirs_at, ours_at):
        place.mkdir(exist_ok=True)
    theirs = by_deeplabcut(config, video, theirs_at, options.batch)
    print(f"{snapshot.name}; DeepLabCut's points move by {theirs[..., :2].std(0).mean():.3g} px (standard deviation)")
    flags = ["-m", "pawjax.predict", f"--snapshot={snapshot}", str(video), f"--out={ours_at}", "--formats=dlc"]
    run_pawjax(options.pawjax_python, *flags, f"--batch={options.batch}", "--overwrite")
    (ours,) = ours_at.glob(f"{video.stem}DLC_*.csv")
    compare("each with its own decoder of videos", theirs, of_csv(ours))
    frames, poses = decoded_by_opencv(video, folder / "frames.npy"), folder / "poses.npy"
    run_pawjax(options.pawjax_python, "-c", PREDICT, str(snapshot), str(frames), str(poses))
    compare("the same frames, decoded by OpenCV", theirs, np.load(poses))
    frames.unlink()


if __name__ == "__main__":
    main()
