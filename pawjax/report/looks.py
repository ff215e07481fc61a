"""What people look at beside the tracks of a video: the labelled video, the review page and the plots."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from pawjax.data.deeplabcut import project_folder, read_project_config
from pawjax.data.video import LABELLED, open_video
from pawjax.errors import InputError, warn
from pawjax.files import user_path
from pawjax.report.labelled_video import Drawing, write_labelled_video
from pawjax.report.review_page import write_review_page
from pawjax.report.trajectories import plots
from pawjax.tracks.file import ENDING, read_pieces, read_tracks
from pawjax.tracks.made import Made


@dataclasses.dataclass(frozen=True)
class Looks:
    """What is written.

    Attributes:
      labelled_video: VIDEO..._p60_labeled.mp4, as DeepLabCut names it.
      page: VIDEO..._review.html.
      plots: pictures in plot-poses/VIDEO.../, with DeepLabCut's names.
      pcutoff: a lower likelihood is in doubt.
      skeleton: pairs of bodyparts that lines join.
    """

    labelled_video: bool
    page: bool
    plots: bool
    pcutoff: float
    skeleton: Sequence[tuple[str, str]]

    def write(self, video: Path, tracks: Path, overwrite: bool = False) -> None:
        """Writes, beside a file of tracks, what was not made before from the same tracks in the same way.

        Raises InputError as the writers do, and if a name is taken by a file that was not made here.
        """
        made, stem = Made(tracks), tracks.name.removesuffix(ENDING)
        drawing = Drawing(self.pcutoff, skeleton=self.skeleton)

        def make(name: str, write: Callable[[Path], None], how: str) -> None:
            made.write(tracks.parent / name, write, overwrite, how)

        def labelled(path: Path) -> None:
            write_labelled_video(path, open_video(video), read_pieces(tracks), drawing)

        def review(path: Path) -> None:
            write_review_page(path, open_video(video), read_tracks(tracks), drawing)

        if self.labelled_video:
            make(f"{stem}_p{round(100 * self.pcutoff)}{LABELLED}.mp4", labelled, str(drawing))
        if self.page:
            make(f"{stem}_review.html", review, str(drawing))
        if self.plots:
            for name, draw in plots(open_video(video), read_tracks(tracks), self.pcutoff).items():
                make(f"plot-poses/{stem}/{name}", draw, str(self.pcutoff))


def parse_skeleton(text: str, bodyparts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of bodyparts from 'snout-neck,neck-tail'; names may hold hyphens. Raises InputError for anything else."""
    pairs = []
    for word in text.split(","):
        places = [i for i, sign in enumerate(word) if sign == "-"]
        found = [(word[:i], word[i + 1 :]) for i in places if word[:i] in bodyparts and word[i + 1 :] in bodyparts]
        if len(found) != 1:
            names = ", ".join(bodyparts)
            raise InputError(f"--skeleton={text}: '{word}' must be two bodyparts, A-B; the bodyparts are {names}")
        pairs += found
    return tuple(pairs)


def project_skeleton(project: str) -> tuple[tuple[str, str], ...]:
    """The skeleton of a DeepLabCut project, if it is still there and readable; '' is no project."""
    folder = project_folder(user_path(project))
    if not project or not folder.exists():
        return ()
    try:
        return read_project_config(folder).skeleton
    except InputError as error:
        warn(f"no skeleton is drawn: {error}")
        return ()
