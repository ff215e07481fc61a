"""Predicts videos: decoding, the network and writing run side by side, in bounded memory, and a killed one resumes.

A thread decodes into batches of one fixed shape; the last is padded. The device works on some batches while the next
are decoded. Every PART frames the tracks go to a file of their own; the same call again decodes, but does not
predict, the frames of these parts. At the end they become one file of tracks.
"""

import collections
import dataclasses
import functools
import itertools
import numbers
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.data.video import FrameReader, Video
from pawjax.errors import InputError
from pawjax.inference.parts import OPTIONS, Parts, origin_of
from pawjax.inference.pipeline import Stages, ahead
from pawjax.inference.predictor import Batch, Found, Predict, Predictor, identity_of, shifted
from pawjax.inference.stream import AHEAD, stream
from pawjax.inference.windows import followed
from pawjax.progress import announced_first, track
from pawjax.tracks.tracks import Tracks

MOST = 2**31 - 1  # rows or pixels of an array on a device
PART = 1024  # frames in a part; at least this many are predicted again after a kill


@dataclasses.dataclass(frozen=True)
class Crop:
    """A rectangle of the frames: its corner (x, y), width and height, px."""

    x: int
    y: int
    width: int
    height: int

    def check(self, video: Video) -> None:
        """Raises InputError if it reaches beyond the frames."""
        fits = 0 <= self.x < self.x + self.width <= video.width and 0 <= self.y < self.y + self.height <= video.height
        if not fits:
            raise InputError(
                f"--crop={self.x},{self.y},{self.width},{self.height} reaches beyond the {video.width}x{video.height} "
                f"frames of {video.path}: give x,y,width,height within them"
            )


@dataclasses.dataclass(frozen=True)
class Options:
    """How a video is fed to the network.

    Attributes:
      batch_size: frames per call.
      crop: predict only this rectangle; the tracks are in pixels of the whole frame all the same.
      track_window: side of the window that follows the animal, px; 0 predicts whole frames. See
        `pawjax.inference.windows`.
    """

    batch_size: int = 8
    crop: Crop | None = None
    track_window: int = 0

    def __post_init__(self) -> None:
        """Raises InputError for a number that is none, or out of range."""
        crop = {f"crop, its {name}": (value, 0) for name, value in vars(self.crop).items()} if self.crop else {}
        wanted = {"batch_size": (self.batch_size, 1), "track_window": (self.track_window, 0), **crop}
        for name, (value, low) in wanted.items():
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or not low <= value <= MOST:
                raise InputError(f"{name}: {value!r} must be a whole number from {low} to {MOST}")

    @property
    def origin(self) -> dict[str, str]:
        """The options that the tracks follow from; of whole frames, none. The window moves once in a batch."""
        crop = self.crop and ",".join(map(str, dataclasses.astuple(self.crop)))
        window = self.track_window and f"{self.track_window} px, placed every {self.batch_size} frames"
        return {name: value for name, value in zip(OPTIONS, (crop, window), strict=True) if value}


def origin_of_tracks(predictor: Predictor, video: Path, options: Options) -> dict[str, str]:
    """`Tracks.origin`: what the tracks follow from."""
    return predictor.origin | origin_of(video) | options.origin


def predict_video(
    predictor: Predictor,
    video: Video,
    path: Path,
    options: Options,
    stages: Stages | None = None,
    words: Callable[[float], str] | None = None,
) -> str:
    """Writes the tracks of a video to `path`, resuming a killed call; see `pawjax.tracks.file`.

    Args:
      predictor: finds the points.
      video: from `open_video`.
      path: of the file of tracks.
      options: how to feed the network.
      stages: counts the frames and the time of each stage.
      words: what the progress display adds, given the share that is done.

    Returns why the video broke off before its end, '' if it did not; the origin of the tracks has it too, as 'broken'.
    Raises InputError for a video without frames or that changed meanwhile, a crop beyond the frames, or if another
    process predicts into `path`.
    """
    stages, crop = stages or Stages(), options.crop
    if crop:
        crop.check(video)
    if options.track_window and predictor.animals > 1:
        raise InputError(
            f"--track_window={options.track_window} follows one animal, not --animals={predictor.animals}: leave it out"
        )
    origin = origin_of_tracks(predictor, video.path, options)
    parts = Parts(path, identity_of(origin) | {"options": str(options)})
    with parts.locked():
        reader = FrameReader(video, 1 if video.gray else predictor.channels)
        batches = _batches(reader, parts.n_frames(), options, stages)
        if options.track_window:
            found = followed(predictor, batches, options.track_window, parts.last_pose(_corner(crop)), stages)
        else:
            found = _predicted(predictor.predict, batches, stages)
        found = _shown(found, video, parts.n_frames(), stages, words)
        while batch := list(itertools.islice(found, -(-PART // options.batch_size))):
            tracks = _as_tracks(batch, predictor, video, crop, origin)
            with stages.timed("write"):
                parts.add(tracks)
            stages.frames["write"] += len(tracks)
        if not parts.n_frames():
            why = reader.broken or "it has none"
            raise InputError(f"{video.path}: no frame of it can be decoded ({why}): record it again, or leave it out")
        if origin_of_tracks(predictor, video.path, options) != origin:
            raise InputError(f"{video.path} changed while it was predicted: predict it again when it is complete")
        parts.finish(reader.broken)
    return reader.broken


def _shown(
    found: Iterator[Found], video: Video, n_done: int, stages: Stages, words: Callable[[float], str] | None
) -> Iterator[Found]:
    """The same, with a progress display: frames, time left, the rate of each stage and the slowest of them."""

    def text(done: int) -> str:
        share = done / video.n_frames if video.n_frames else 0.0
        return "  ".join(filter(None, [str(stages), words(share) if words else ""]))

    message = f"pawjax: compiling for {video.path.name}, {video.width}x{video.height}"
    count, total = (lambda batch: len(batch[1])), video.n_frames or None
    return track(announced_first(found, message), video.path.name, total, count=count, first=n_done, text=text)


def _predicted(predict: Predict, batches: Iterator[Batch], stages: Stages) -> Iterator[Found]:
    """The points of each batch; the next batches are dispatched before a result is fetched."""
    times: collections.deque[np.ndarray] = collections.deque()

    def with_counts() -> Iterator[tuple[np.ndarray, int]]:
        for pixels, stamps in batches:
            times.append(stamps)
            yield pixels, len(stamps)

    def timed_predict(pixels: np.ndarray) -> dict[str, Any]:
        with stages.timed("network"):
            return predict(pixels)

    for points in stream(timed_predict, with_counts(), fetching=functools.partial(stages.timed, "network")):
        stages.frames["network"] += len(times[0])
        yield points, times.popleft()


def _batches(reader: FrameReader, n_done: int, options: Options, stages: Stages) -> Iterator[Batch]:
    """The frames after the first `n_done`, decoded ahead; the last batch is padded with its first frame."""

    def decoded() -> Iterator[Batch]:
        frames = itertools.islice(stages.timed_items("decode", reader), n_done, None)
        while batch := list(itertools.islice(frames, options.batch_size)):
            pixels = [_cropped(frame.pixels, options.crop) for frame in batch]
            stages.frames["decode"] += len(batch)
            try:
                padding = pixels[:1] * (options.batch_size - len(pixels))
                stacked = np.stack(pixels + padding)
            except (MemoryError, ValueError) as error:  # ValueError: beyond what an array can have
                raise InputError(f"--batch={options.batch_size} frames do not fit into memory: lower it") from error
            yield stacked, np.array([frame.time for frame in batch])

    return ahead(decoded(), AHEAD + 1)


def _corner(crop: Crop | None) -> tuple[int, int]:
    return (crop.x, crop.y) if crop else (0, 0)


def _cropped(pixels: np.ndarray, crop: Crop | None) -> np.ndarray:
    return pixels[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] if crop else pixels


def _as_tracks(
    found: Sequence[Found], predictor: Predictor, video: Video, crop: Crop | None, origin: dict[str, str]
) -> Tracks:
    """Tracks in pixels of the whole frame; NaN for what the method does not say."""
    points = {name: np.concatenate([batch[name] for batch, _ in found]) for name in found[0][0]}
    if predictor.animals == 1:
        points = {name: rows[:, None] for name, rows in points.items()}
    points = shifted(points, _corner(crop))
    shape = points["likelihood"].shape
    return Tracks(
        keypoints=points["keypoints"].astype(np.float32),
        likelihood=points["likelihood"].astype(np.float32),
        covariance=points.get("covariance", np.full((*shape, 2, 2), np.nan, np.float32)).astype(np.float32),
        second=points.get("second", np.full((*shape, 3), np.nan, np.float32)).astype(np.float32),
        times=np.concatenate([times for _, times in found]),
        bodyparts=predictor.bodyparts,
        size=(video.height, video.width),
        frames_per_second=video.frames_per_second,
        origin=origin,
        disagreement=points.get("disagreement", np.full(shape, np.nan, np.float32)).astype(np.float32),
    )
