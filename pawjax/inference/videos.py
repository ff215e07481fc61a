"""Predicts videos: decoding, the network and writing run side by side, in bounded memory, and a killed one resumes.

A thread decodes into batches of one fixed shape; the last is padded. The device works on some batches while the next
are decoded. Every PART frames the tracks go to a file of their own in a hidden folder beside the output; the same
call again decodes, but does not predict, the frames of these parts. At the end they become one file of tracks.
"""

import collections
import dataclasses
import functools
import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.data.video import FrameReader, Video
from pawjax.errors import InputError
from pawjax.files import lock, read_json, write_json
from pawjax.inference.pipeline import Stages, ahead
from pawjax.inference.stream import AHEAD, stream
from pawjax.inference.windows import CELL, Pose, is_lost, place_window, window_side
from pawjax.progress import announced_first, track
from pawjax.tracks.file import count_frames, read_origin, read_tracks, write_tracks
from pawjax.tracks.tracks import Tracks

PART = 1024  # frames in a part; at least this many are predicted again after a kill
Predict = Callable[[np.ndarray], dict[str, Any]]  # uint8 [B, H, W, C] -> arrays [B, ...] of `make_find_points`


@dataclasses.dataclass(frozen=True)
class Predictor:
    """What finds points in frames: one run, an ensemble, or a snapshot of DeepLabCut.

    Attributes:
      predict: see `Predict`; compiled for each shape of images.
      bodyparts: names of the K points.
      channels: 1 if it was trained on gray frames, else 3.
      origin: what it is, in words, for the files of tracks; a change makes an unfinished prediction start again.
      pcutoff: a lower likelihood is in doubt.
      project: folder of the DeepLabCut project that it was trained on, '' if there is none.
      frame_sizes: (height, width) of the frames that it was trained on, px; empty if unknown.
      value_range: grey levels that became 0 and 255 in training; empty if it was trained on 8 bits.
      grid: px, see `pawjax.inference.windows.grid_of`.
    """

    predict: Predict
    bodyparts: tuple[str, ...]
    channels: int
    origin: dict[str, str]
    pcutoff: float = 0.6
    project: str = ""
    frame_sizes: tuple[tuple[int, int], ...] = ()
    value_range: tuple[float, ...] = ()
    grid: int = CELL


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

    Returns why the video broke off before its end, '' if it did not. Raises InputError for a video without frames, a
    crop beyond the frames, or if another process predicts into `path`.
    """
    stages, crop = stages or Stages(), options.crop
    if crop:
        crop.check(video)
    parts = Parts(path, predictor.origin | origin_of(video.path) | {"options": str(options)})
    with parts.locked():
        reader = FrameReader(video, 1 if video.gray else predictor.channels)
        batches = _batches(reader, parts.n_frames(), options, stages)
        if options.track_window:
            found = followed(predictor, batches, options.track_window, parts.last_pose(crop), stages)
        else:
            found = _predicted(predictor.predict, batches, stages)
        found = _shown(found, video, parts.n_frames(), stages, words)
        while batch := list(itertools.islice(found, -(-PART // options.batch_size))):
            tracks = _as_tracks(batch, predictor, video, crop)
            with stages.timed("write"):
                parts.add(tracks)
            stages.frames["write"] += len(tracks)
        if not parts.n_frames():
            why = reader.broken or "it has none"
            raise InputError(f"{video.path}: no frame of it can be decoded ({why}): record it again, or leave it out")
        parts.finish()
    return reader.broken


def is_done(predictor: Predictor, video: Path, path: Path) -> bool:
    """Whether `path` holds the tracks of a video by this predictor.

    Raises InputError if it holds those of another run, checkpoint or video, or is no file of tracks.
    """
    if not path.exists():
        return False
    found, wanted = read_origin(path), predictor.origin | origin_of(video)
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise InputError(
            f"{path} holds other tracks ({', '.join(other)} differ), which are never overwritten: use another --out, "
            "or move them away"
        )
    return True


class Parts:
    """The finished parts of a prediction, in a hidden folder beside its file."""

    def __init__(self, path: Path, identity: dict[str, str]):
        self._path, self._identity = path, identity
        self._folder = path.with_name(f".{path.name}.parts")

    def locked(self) -> Any:
        """Locks the folder for this process. Raises InputError if another process has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            file = lock(self._folder / ".lock", wait=False)
        except BlockingIOError as error:
            raise InputError(
                f"another process predicts into {self._path}: wait for it, or use another --out"
            ) from error
        if not self._is_ours():
            for part in self._files():
                part.unlink()
            write_json(self._folder / "identity.json", self._identity)
        return file

    def n_frames(self) -> int:
        """Frames in the finished parts."""
        return sum(map(count_frames, self._files()))

    def last_pose(self, crop: Crop | None) -> Pose | None:
        """The points of the last frame done, in pixels of the crop; None before the first."""
        if not self._files():
            return None
        tracks = read_tracks(self._files()[-1])
        corner = np.array([crop.x, crop.y] if crop else [0, 0], np.float32)
        return Pose(tracks.keypoints[-1, 0] - corner, tracks.likelihood[-1, 0])

    def add(self, tracks: Tracks) -> None:
        """Writes the next part."""
        write_tracks(self._folder / f"{len(self._files()):06d}.h5", [tracks])

    def finish(self) -> None:
        """Joins the parts to the file of tracks and removes them."""
        write_tracks(self._path, (read_tracks(part) for part in self._files()))
        shutil.rmtree(self._folder)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.h5"))

    def _is_ours(self) -> bool:
        path = self._folder / "identity.json"
        try:
            return path.exists() and read_json(path, "the prediction starts again") == self._identity
        except InputError:  # damaged: the prediction starts again
            return False


def origin_of(video: Path) -> dict[str, str]:
    """The video's name and a hash of its content: its size and its first and last MB, or the names of its pictures."""
    digest = hashlib.sha256()
    if video.is_dir():
        digest.update("\n".join(f"{file.name} {file.stat().st_size}" for file in sorted(video.iterdir())).encode())
    else:
        size = video.stat().st_size
        with video.open("rb") as file:
            digest.update(str(size).encode() + file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return {"video": video.name, "video_sha256": digest.hexdigest()}


Batch = tuple[np.ndarray, np.ndarray]  # pixels uint8 [B, H, W, C], and the times of the real frames among them
Points = dict[str, np.ndarray]  # of `make_find_points`, on the host
Found = tuple[Points, np.ndarray]  # the points of the real frames of a batch, and their times


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


def followed(
    predictor: Predictor, batches: Iterator[Batch], side: int, pose: Pose | None, stages: Stages
) -> Iterator[Found]:
    """The points of each batch, found in windows where that is safe; see `pawjax.inference.windows`."""
    grid = predictor.grid
    side = window_side(side, grid)

    def fetched(pixels: np.ndarray, n: int) -> Points:
        return jax.tree.map(lambda rows: rows[:n], jax.device_get(predictor.predict(pixels)))

    for pixels, times in batches:
        size = pixels.shape[1:3]
        corner = place_window(pose, side, size, grid) if pose else None
        with stages.timed("network"):
            if corner is None:
                points = fetched(pixels, len(times))
            else:
                window = pixels[:, corner[1] : corner[1] + side, corner[0] : corner[0] + side]
                points = shifted(fetched(window, len(times)), corner)
                lost = [row for row in range(len(times)) if is_lost(_pose(points, row), pose, corner, side, size)]
                for row in lost:  # one by one, because few are
                    whole = fetched(pixels[row : row + 1], 1)
                    points = {name: _replaced(points[name], row, whole[name][0]) for name in points}
        stages.frames["network"] += len(times)
        pose = _pose(points, -1)
        yield points, times


def _replaced(values: np.ndarray, row: int, value: np.ndarray) -> np.ndarray:
    values = np.array(values)
    values[row] = value
    return values


def _pose(points: Points, row: int) -> Pose:
    return Pose(points["keypoints"][row], points["likelihood"][row])


def shifted(points: Points, corner: tuple[int, int]) -> Points:
    """The points of a rectangle of the frame whose corner is (x, y), in pixels of the frame."""
    shift = np.array(corner, np.float32)
    moved = {"keypoints": points["keypoints"] + shift}
    if "second" in points:
        moved["second"] = points["second"] + np.append(shift, np.float32(0))
    return points | moved


def _batches(reader: FrameReader, n_done: int, options: Options, stages: Stages) -> Iterator[Batch]:
    """The frames after the first `n_done`, decoded ahead; the last batch is padded with its first frame."""

    def decoded() -> Iterator[Batch]:
        frames = itertools.islice(stages.timed_items("decode", reader), n_done, None)
        while batch := list(itertools.islice(frames, options.batch_size)):
            pixels = [_cropped(frame.pixels, options.crop) for frame in batch]
            stages.frames["decode"] += len(batch)
            padding = pixels[:1] * (options.batch_size - len(pixels))
            yield np.stack(pixels + padding), np.array([frame.time for frame in batch])

    return ahead(decoded(), AHEAD + 1)


def _cropped(pixels: np.ndarray, crop: Crop | None) -> np.ndarray:
    return pixels[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] if crop else pixels


def _as_tracks(found: Sequence[Found], predictor: Predictor, video: Video, crop: Crop | None) -> Tracks:
    """Tracks of one animal in pixels of the whole frame; NaN for what the method does not say."""
    points = {name: np.concatenate([batch[name] for batch, _ in found])[:, None] for name in found[0][0]}
    points = shifted(points, (crop.x, crop.y) if crop else (0, 0))
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
        origin=predictor.origin | origin_of(video.path),
        disagreement=points.get("disagreement", np.full(shape, np.nan, np.float32)).astype(np.float32),
    )
