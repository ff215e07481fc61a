"""Runs the later steps of DeepLabCut 3.0.2 on pawjax's files of tracks, and compares what can be compared.

    .venv-dlc/bin/python third_party/deeplabcut/tracks.py --pawjax-python=.venv/bin/python

pawjax's Python needs the extra `deeplabcut`. A new project with a video of noise has a model folder with an empty
snapshot: the later steps take only the scorer's name from it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pandas as pd
from bench import declare_operators

OPERATORS = declare_operators()

import deeplabcut  # noqa: E402
from deeplabcut.core.engine import Engine  # noqa: E402
from deeplabcut.pose_estimation_pytorch.config import make_pytorch_pose_config  # noqa: E402
from deeplabcut.utils import auxiliaryfunctions  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BODYPARTS = ["snout", "tailbase"]
N, WIDTH, HEIGHT = 30, 64, 48
WRITE = """
import sys
from pathlib import Path
import numpy as np
from pawjax.tracks import Tracks
from pawjax.tracks.file import write_tracks
from pawjax.tracks.formats import read, write_filtered, write_formats

source, dlc, bodyparts = Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3].split(","))
rng, shape = np.random.default_rng(0), (30, 1, len(bodyparts))
none = np.full((*shape, 3), np.nan, np.float32)
points = rng.uniform(0, 48, (*shape, 2)).astype(np.float32)
likelihood = rng.uniform(0, 1, shape).astype(np.float32)
tracks = Tracks(points, likelihood, np.full((*shape, 2, 2), np.nan, np.float32), none, np.arange(30) / 25,
                bodyparts, (48, 64), 25.0, {"video": "mouse.mp4"})
if not source.exists():
    write_tracks(source, [tracks])
write_formats(source, "mouse", "pawjax_mine_3", ["dlc"], dlc=dlc)
if len(sys.argv) > 4:  # filtered by DeepLabCut: read back by pawjax, and equal to pawjax's own median
    theirs = read(Path(sys.argv[4]))
    ours = read(write_filtered(source, "median"))
    np.testing.assert_array_equal(theirs.keypoints, ours.keypoints)
    np.testing.assert_array_equal(theirs.likelihood, ours.likelihood)
    assert theirs.size == (48, 64) and theirs.frames_per_second == 25
"""


def new_project(folder: Path) -> tuple[Path, Path]:
    """A project and its video of noise: paths of config.yaml and the video."""
    video = folder / "mouse.mp4"
    rng = np.random.default_rng(1)
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = WIDTH, HEIGHT
        for _ in range(N):
            pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())
    config = Path(deeplabcut.create_new_project("reach", "Ann", [str(video)], str(folder), copy_videos=True))
    auxiliaryfunctions.edit_config(
        str(config), {"bodyparts": BODYPARTS, "skeleton": [BODYPARTS], "TrainingFraction": [0.95]}
    )
    return config, config.parent / "videos" / "mouse.mp4"


def add_model(config: Path) -> str:
    """Gives the project the folder of a network, and returns the scorer that DeepLabCut makes of it."""
    project = auxiliaryfunctions.read_config(str(config))
    folder = config.parent / auxiliaryfunctions.get_model_folder(0.95, 1, project, engine=Engine.PYTORCH) / "train"
    folder.mkdir(parents=True)
    make_pytorch_pose_config(project, folder / "pytorch_config.yaml", net_type="resnet_50", save=True)
    (folder / "snapshot-200.pt").touch()
    return auxiliaryfunctions.get_scorer_name(project, 1, 0.95, engine=Engine.PYTORCH)[0]


def main(pawjax_python: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        config, video = new_project(Path(name))
        source = video.with_name("mousepawjax_mine_3.tracks.h5")

        def pawjax(scorer: str, *more: str) -> None:
            command = [pawjax_python, "-c", WRITE, str(source), scorer, ",".join(BODYPARTS), *more]
            subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})

        pawjax("")  # a project without a network
        assert deeplabcut.create_labeled_video(str(config), [str(video)], init_weights="pawjax_mine_3") == [True]
        (labelled,) = video.parent.glob("mouseDLC_pawjax_mine_3*_labeled.mp4")
        print(f"create_labeled_video without a network: {labelled.name}, {labelled.stat().st_size} bytes")

        scorer = add_model(config)
        pawjax(scorer)
        video_files = [str(video)]
        deeplabcut.filterpredictions(str(config), video_files)
        filtered = video.with_name(f"mouse{scorer}_filtered.h5")
        assert len(pd.read_hdf(filtered)) == N
        pawjax(scorer, str(filtered))
        print(f"filterpredictions: {filtered.name}, equal to pawjax's median")
        for of_filtered in (False, True):
            options = dict(filtered=of_filtered, draw_skeleton=True, trailpoints=3)
            assert deeplabcut.create_labeled_video(str(config), video_files, **options) == [True]
        deeplabcut.plot_trajectories(str(config), video_files, filtered=True)
        deeplabcut.analyzeskeleton(str(config), video_files)
        print("create_labeled_video, plot_trajectories, analyzeskeleton: done; files:")
        for path in sorted(video.parent.rglob("*")):
            if path.is_file():
                print(f"  {path.relative_to(video.parent)} {path.stat().st_size}")
        print(f"DeepLabCut {deeplabcut.__version__}, pandas {pd.__version__}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pawjax-python", required=True)
    main(parser.parse_args().pawjax_python)
