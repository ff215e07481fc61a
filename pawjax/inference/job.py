"""Predicts many videos and writes what is wanted of each; one bad video does not stop the others."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pawjax.data.video import Video, open_video, video_name
from pawjax.errors import InputError, warn
from pawjax.files import need_output
from pawjax.inference.opening import scorer_of
from pawjax.inference.parts import is_done
from pawjax.inference.pipeline import Stages
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Options, origin_of_tracks, predict_video
from pawjax.interruptions import disk_error
from pawjax.progress import clock
from pawjax.report.looks import Looks
from pawjax.tracks.file import ENDING, read_origin, read_tracks
from pawjax.tracks.formats import write_filtered, write_formats
from pawjax.tracks.truth import compare_with_truth

SAME_SIZE = 1.25  # frames up to this factor larger or smaller than those of training are no reason to warn


@dataclasses.dataclass(frozen=True)
class Job:
    """What to make of each video.

    Attributes:
      predictor: finds the points.
      options: how to feed the network.
      out: folder of the tracks; None for beside each video.
      formats: names in `pawjax.tracks.formats.FORMATS` to write besides pawjax's own file.
      filter: a name in `pawjax.tracks.formats.FILTERS`, or '' for no filtered tracks.
      dlc_scorer: scorer in DeepLabCut's files, '' for pawjax's own.
      looks: what to draw; the filtered tracks if there are any.
      truth: a table of the true points of the one video, or None.
      overwrite: predict and write again what is done, also if by another predictor or with other options.
    """

    predictor: Predictor
    options: Options = Options()
    out: Path | None = None
    formats: Sequence[str] = ("dlc",)
    filter: str = ""
    dlc_scorer: str = ""
    looks: Looks | None = None
    truth: Path | None = None
    overwrite: bool = False

    def predict_all(self, videos: Sequence[Path]) -> list[Path]:
        """Predicts the videos, prints a line about each, and returns those that failed, each reported on stderr.

        Raises OSError if the disk is full or fails, which ends all.
        """
        failed, ahead = [], TimeAhead(videos)
        for number, path in enumerate(videos, 1):
            try:
                said = self.predict_one(path, ahead)
            except (InputError, OSError) as error:
                if not isinstance(error, InputError) and disk_error(error):
                    raise
                words = str(error) if isinstance(error, InputError) else f"{error.filename or path}: {error.strerror}"
                print(f"pawjax: {words}", file=sys.stderr, flush=True)
                failed.append(path)
            else:
                print(f"{number}/{len(videos)} {path}: {said}", flush=True)
            ahead.done(path)
        return failed

    def predict_one(self, path: Path, ahead: "TimeAhead | None" = None) -> str:
        """Predicts one video, writes what is wanted of it, and returns a line about it. Raises InputError."""
        scorer, target = scorer_of(self.predictor), self.target_of(path)
        said = "was done before"
        origin = origin_of_tracks(self.predictor, path, self.options) if target.exists() else {}
        if not is_done(origin, target, self.overwrite) or self.overwrite:
            need_output(target.parent, [target.name])
            video, stages = open_video(path), Stages()
            warn_of_other_frames(video, self.predictor)
            predict_video(self.predictor, video, target, self.options, stages, ahead.words if ahead else None)
            said = str(stages) if stages.frames["network"] else "had been predicted before"
        if broken := read_origin(target).get("broken"):
            warn(f"{path} broke off early ({broken}): the tracks hold the frames before")
        shown, more = target, dict(overwrite=self.overwrite, dlc=self.dlc_scorer)
        write_formats(target, video_name(path), scorer, self.formats, **more)
        if self.filter:
            shown = write_filtered(target, self.filter, self.overwrite)
            write_formats(shown, video_name(path), scorer, self.formats, **more)
        if self.looks:
            self.looks.write(path, shown, self.overwrite)
        line = f"{said} -> {target}"
        return f"{line}\n{self._errors(shown)}" if self.truth else line

    def target_of(self, video: Path) -> Path:
        """The file of the tracks of a video."""
        return (self.out or video.parent) / f"{video_name(video)}{scorer_of(self.predictor)}{ENDING}"

    def _errors(self, tracks: Path) -> str:
        numbers = compare_with_truth(read_tracks(tracks), self.truth, self.predictor.pcutoff)
        if not numbers["n_points"]:
            return f"{self.truth} has no true point"
        return (
            f"against {self.truth}: {numbers['n_points']} points, mean error {numbers['mean_error_px']:.2f} px, median "
            f"{numbers['median_px']:.2f} px, RMSE {numbers['rmse_px']:.2f} px, {numbers['n_over_50px']} over 50 px"
        )


class TimeAhead:
    """The time that all videos will take, by the share of their bytes that is done."""

    def __init__(self, videos: Sequence[Path]):
        self._bytes = {path: n_bytes(path) for path in videos}
        self._start, self._total, self._done, self._current = time.monotonic(), sum(self._bytes.values()), 0, 0
        self._left = list(videos)

    def done(self, path: Path) -> None:
        """Notes that a video is done, or failed."""
        self._done += self._bytes[path]
        self._left.remove(path)

    def words(self, share: float) -> str:
        """'all 5 videos: ETA 1:20', while a share of the next video is done; '' for the only one."""
        if len(self._bytes) < 2 or not self._left:
            return ""
        done = self._done + min(1.0, share) * self._bytes[self._left[0]]
        if not done:
            return ""
        seconds = (time.monotonic() - self._start) * (self._total - done) / done
        return f"all {len(self._bytes)} videos: ETA {clock(seconds)}"


def n_bytes(video: Path) -> int:
    """The size of a video, or of a folder's pictures; 0 if it cannot be read."""
    try:
        return sum(file.stat().st_size for file in (video.iterdir() if video.is_dir() else [video]))
    except OSError:
        return 0


def shard_of(videos: Sequence[Path], number: int, n_shards: int) -> list[Path]:
    """The videos of shard `number`, from 1 to `n_shards`: about equally many bytes, the same for the same videos."""
    n_shards = min(n_shards, len(videos))  # those beyond have none
    loads = [0] * n_shards
    shards: list[list[Path]] = [[] for _ in loads]
    for path in sorted(videos, key=lambda path: (-n_bytes(path), str(path))):
        least = min(range(n_shards), key=lambda i: (loads[i], len(shards[i])))
        loads[least] += n_bytes(path)
        shards[least].append(path)
    return sorted(shards[number - 1]) if number <= len(shards) else []


def warn_of_other_frames(video: Video, predictor: Predictor) -> None:
    """Warns of frames whose size or grey levels the network was not trained on."""
    if predictor.value_range:
        low, high = predictor.value_range
        warn(
            f"{video.path} has pixels of 8 bits, but the network was trained on images whose values {low:g} to "
            f"{high:g} were stretched to 0 to 255: its points are right only if the video was stretched likewise"
        )
    if not predictor.frame_sizes:
        return
    factors = [((video.height * video.width) / (height * width)) ** 0.5 for height, width in predictor.frame_sizes]
    factor = min(factors, key=lambda one: max(one, 1 / one))
    if max(factor, 1 / factor) > SAME_SIZE:
        height, width = predictor.frame_sizes[factors.index(factor)]
        warn(
            f"{video.path} has frames of {video.width}x{video.height} pixels, but the network was trained on "
            f"{width}x{height}: if the animal is {factor:.2g} times as large in them too, add --scales={1 / factor:.2g}"
        )
