"""How far the tracks of a video are from its true points."""

from pathlib import Path
from typing import Any

import numpy as np

from pawjax import metrics
from pawjax.errors import InputError
from pawjax.tracks.deeplabcut_read import read_truth
from pawjax.tracks.tracks import Tracks


def compare_with_truth(tracks: Tracks, path: Path, pcutoff: float) -> dict[str, Any]:
    """The numbers of `pawjax.metrics.summarize` over the frames of a video, against a table of its true points.

    Bodyparts that only one side has are left out, as are points without truth. Raises InputError if the table is not
    one, has another number of frames, or no bodypart of the tracks.
    """
    names, truth = read_truth(path)
    if len(truth) != len(tracks):
        raise InputError(f"{path} has {len(truth)} frames, the video {len(tracks)}: give the table of this video")
    bodyparts = [name for name in tracks.bodyparts if name in names]
    if not bodyparts:
        theirs, ours = ", ".join(names), ", ".join(tracks.bodyparts)
        raise InputError(f"{path} has the bodyparts {theirs}, the tracks {ours}: give a table with some of the same")
    truth = truth[:, None, [names.index(name) for name in bodyparts]]
    ours = [tracks.bodyparts.index(name) for name in bodyparts]
    return metrics.summarize(
        truth,
        np.isfinite(truth).all(-1),
        tracks.keypoints[:, :1, ours],
        tracks.likelihood[:, :1, ours],
        bodyparts,
        pcutoff,
    )
