"""Writes a session of `paw_on_ball` as a video file, with a table of its true points."""

import csv
import os
from pathlib import Path

import av

from pawjax.data.paw_on_ball.frame import BODYPART, FRAMES_PER_SESSION, render_at
from pawjax.data.paw_on_ball.motion import FRAME_RATE
from pawjax.errors import InputError
from pawjax.progress import track

SCORER = "paw_on_ball"


def write_video(
    path: str | os.PathLike,
    *,
    seed: int = 0,
    session: int = 0,
    n_frames: int = 300,
    height: int = 600,
    width: int = 800,
) -> Path:
    """Write the first `n_frames` of a session as an mp4 at 150 frames/s, and its truth beside it.

    The truth table is `path` with the suffix `.csv`: a DeepLabCut single-animal table (rows scorer, bodyparts, coords),
    x and y in pixels, empty where the paw is hidden. Both appear only when complete. Returns the table's path.
    Raises InputError for an odd frame size, more frames than the session has, another ending than .mp4, or an existing
    file.
    """
    path = Path(path)
    if path.suffix != ".mp4":
        raise InputError(f"paw_on_ball: the video is called {path}, use a name that ends in .mp4.")
    truth = path.with_suffix(".csv")
    if height % 2 or width % 2:
        raise InputError(f"paw_on_ball: a video cannot be {height}x{width}, use even height and width.")
    if not 1 <= n_frames <= FRAMES_PER_SESSION:
        raise InputError(f"paw_on_ball: n_frames is {n_frames}, use 1 to {FRAMES_PER_SESSION}.")
    for target in (path, truth):
        if target.exists():
            raise InputError(f"{target} exists; remove it or choose another name for the video.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part_video, part_truth = (p.with_name(f".{p.name}.{os.getpid()}.part") for p in (path, truth))
    try:
        with av.open(str(part_video), "w", format="mp4") as container, part_truth.open("w", newline="") as file:
            stream = container.add_stream("h264", rate=int(FRAME_RATE), options={"crf": "18"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            table = csv.writer(file)
            table.writerows([["scorer"] + [SCORER] * 2, ["bodyparts"] + [BODYPART] * 2, ["coords", "x", "y"]])
            for number in track(range(n_frames), f"drawing {path.name}"):
                frame = render_at(session, number / FRAME_RATE, seed=seed, height=height, width=width)
                point = [f"{value:.4f}" for value in frame.keypoint] if frame.labelled else ["", ""]
                table.writerow([number, *point])
                picture = av.VideoFrame.from_ndarray(frame.image[..., 0], format="gray")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        os.replace(part_truth, truth)
        os.replace(part_video, path)
    finally:
        part_video.unlink(missing_ok=True)
        part_truth.unlink(missing_ok=True)
    return truth
