"""DeepLabCut's CSV of tracks: three header rows (scorer, bodyparts, coords), then one row a frame."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pawjax.files import replacing
from pawjax.tracks.tracks import Tracks

COORDS = ("x", "y", "likelihood")


def write_csv(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks of one animal that come in pieces, replacing the file atomically. Frames are numbered from 0."""
    first = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        for piece in pieces:
            if not first:
                n = len(piece.bodyparts) * len(COORDS)
                write(["scorer", *[scorer] * n])
                write(["bodyparts", *np.repeat(piece.bodyparts, len(COORDS)).tolist()])
                write(["coords", *COORDS * len(piece.bodyparts)])
            values = columns_of(piece)
            for number, row in enumerate(values.tolist(), start=first):
                write([number, *row])
            first += len(values)


def columns_of(tracks: Tracks) -> np.ndarray:
    """float64 [T, 3 K] of one animal: x, y and likelihood of each bodypart."""
    points = np.concatenate([tracks.keypoints[:, 0], tracks.likelihood[:, 0, :, None]], axis=-1)
    return points.astype(np.float64).reshape(len(points), -1)
