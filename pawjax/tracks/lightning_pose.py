"""Lightning Pose's CSV of a video: DeepLabCut's columns, under the scorer that its networks have."""

from collections.abc import Iterable
from pathlib import Path

from pawjax.tracks import deeplabcut
from pawjax.tracks.tracks import Tracks

SCORER = "heatmap_tracker"


def write_csv(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes tracks of one animal that come in pieces, replacing the file atomically; `scorer` is not kept."""
    deeplabcut.write_csv(path, map(deeplabcut.of_one, pieces), SCORER)
