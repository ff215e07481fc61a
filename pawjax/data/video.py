"""Video files and folders of pictures as frames, decoded in order by PyAV (FFmpeg's libraries).

Every decoded frame counts, with its own presentation time: none is dropped or repeated to fit a constant rate. Pixels
are FFmpeg's own: turned as the file's rotation flag says, with the range (limited or full) that the frame states.
"""

import dataclasses
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from pawjax.data.pictures import read_picture
from pawjax.errors import InputError
from pawjax.files import regular, user_path
from pawjax.machine import n_processors

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".ts", ".h264", ".mjpeg")
LABELLED = "_labeled"  # ends the names of videos with points drawn on them, as DeepLabCut writes it
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MOST_FRAMES_PER_SECOND = 100_000.0  # a stated rate above it is nonsense
USUAL_FRAMES_PER_SECOND = 25.0  # where a file states none
MOST_WITHOUT_TIME = 32  # frames at the start that wait for one with a time
MOST_UNCERTAIN = 0.75  # share of a stated duration that the frames of a whole video cover at least
DECODING_ERRORS = (av.error.FFmpegError, ValueError, MemoryError)


class Frame(NamedTuple):
    """A frame: its presentation time in seconds, and pixels uint8 [H, W, C]."""

    time: float
    pixels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Video:
    """What a video says about itself.

    Attributes:
      path: the file, or a folder of pictures.
      height, width: of its frames as they are shown, after rotation, px.
      gray: whether its frames have no colour by their format.
      n_frames: what the file states or its duration implies; the frames that can be decoded may be fewer or more.
      frames_per_second: the average rate; a folder of pictures has the usual 25.
      least_seconds: that its frames cover by its header, if it is whole; 0 if the header does not say.
    """

    path: Path
    height: int
    width: int
    gray: bool
    n_frames: int
    frames_per_second: float
    least_seconds: float = 0.0


def open_video(path: str | Path) -> Video:
    """Reads what a video says about itself. Raises InputError for a path that is no video or has no frames."""
    path = Path(path)
    if path.is_dir():
        return _open_pictures(path)
    if not regular(path).exists():
        raise InputError(f"{path}: there is no such video; correct the path")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: has no video stream; give a video file")
            stream = container.streams.video[0]
            frame = next(container.decode(stream), None)
            if frame is None:
                raise InputError(f"{path}: has no frames; record it again, or leave it out")
            rate = _rate(stream)
            seconds = _seconds(container, stream)
            n_frames = stream.frames or round(seconds * rate)
            height, width = (frame.width, frame.height) if _turns(frame) % 2 else (frame.height, frame.width)
            least = _least_seconds(container, stream, seconds, rate)
            return Video(path, height, width, frame.format.name.startswith("gray"), n_frames, rate, least)
    except InputError:
        raise
    except DECODING_ERRORS as error:
        raise InputError(
            f"{path}: cannot be read as a video ({_words(error)}); convert it to mp4, or leave it out"
        ) from error


class FrameReader:
    """Iterates once over every frame of a video, in the order of presentation.

    Attributes:
      broken: after the last frame, why the video ended early: '', the decoder's reason, or that its header states more.

    Args:
      video: from `open_video`.
      channels: 1 for gray pixels (the luma of a video in colour), 3 for RGB.
    """

    def __init__(self, video: Video, channels: int):
        self.video, self.broken = video, ""
        self._channels = channels

    def __iter__(self) -> Iterator[Frame]:
        read = self._read_pictures if self.video.path.is_dir() else self._decode
        first, last, n_frames = None, 0.0, 0
        for frame in read():
            n_frames += 1
            first, last = frame.time if first is None else first, frame.time
            height, width = frame.pixels.shape[:2]
            if (height, width) != (self.video.height, self.video.width):
                self.broken = f"its frames change to {width}x{height} pixels"
                return
            yield frame
        seconds = last - (first or 0.0) + 1 / self.video.frames_per_second
        if not self.broken and seconds < self.video.least_seconds:
            self.broken = f"{n_frames} frames can be decoded, its header states {self.video.n_frames}"

    def _decode(self) -> Iterator[Frame]:
        try:
            with av.open(str(self.video.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                stream.thread_count = n_processors()
                reformatter = VideoReformatter()  # one for all frames: making it takes as long as a frame
                for time, frame in _with_times(container.decode(stream), 1 / self.video.frames_per_second):
                    yield Frame(time, _pixels(frame, self._channels, reformatter))
        except DECODING_ERRORS as error:
            self.broken = _words(error)

    def _read_pictures(self) -> Iterator[Frame]:
        for number, path in enumerate(picture_files(self.video.path)):
            try:
                pixels = read_picture(path, self._channels)
            except InputError as error:
                self.broken = str(error)
                return
            yield Frame(number / self.video.frames_per_second, pixels)


def _with_times(frames: Iterator[av.VideoFrame], distance: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their times in seconds; those without one lie `distance` from their neighbours.

    The first frames of a file may have none, if they precede its time zero: they wait for the first that has one.
    """
    first: list[av.VideoFrame] = []
    for frame in frames:
        first.append(frame)
        if frame.time is not None or len(first) == MOST_WITHOUT_TIME:
            break
    time = -distance if not first or first[-1].time is None else first[-1].time - len(first) * distance
    for frame in itertools.chain(first, frames):
        time = time + distance if frame.time is None else frame.time
        yield time, frame


def find_videos(words: list[str]) -> list[Path]:
    """The videos that files, folders and patterns name, each once, sorted within each word.

    A folder stands for the videos in it, or, if it has none but pictures, for itself. Labelled videos, which pawjax and
    DeepLabCut write beside others, are found only by their own names. Raises InputError for a word that names nothing.
    """
    found: dict[Path, None] = {}
    for word in words:
        if not word:
            raise InputError("a video's name is empty: give its path, or '.' for this folder")
        path = user_path(word)
        if path.is_dir():
            videos = _unlabelled(file for file in path.iterdir() if file.suffix.lower() in VIDEO_ENDINGS)
            matches = videos or ([named(path)] if picture_files(path) else [])
        elif path.exists():
            matches = [path]
        else:
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else str(path)
            is_pattern = any(sign in word for sign in "*?[")
            try:
                matches = _unlabelled(Path(path.anchor or ".").glob(pattern)) if is_pattern else []
            except ValueError as error:
                raise InputError(f"{word}: is no pattern ({error}); give one like 'videos/*.mp4'") from error
        if not matches:
            raise InputError(
                f"{word}: names no video; give video files, a folder of them, or a pattern like 'videos/*.mp4'"
            )
        found |= dict.fromkeys(matches)
    return list(found)


def named(path: Path) -> Path:
    """The same path, in full if it is '.' or ends in '..', which are no names."""
    return Path(os.path.abspath(path)) if path.name in ("", "..") else path


def video_name(path: Path) -> str:
    """The name of a video in the names of what is made of it: without the ending; a folder's is whole."""
    return named(path).name if path.is_dir() else path.stem


def content_sha256(path: Path) -> str:
    """A hash of a video: of its size and its first and last MB; of a folder, of these and the names of its pictures."""
    digest = hashlib.sha256()
    for file in picture_files(path) if path.is_dir() else [path]:
        size = file.stat().st_size
        if file != path:
            digest.update(os.fsencode(file.name) + b"\0")
        with file.open("rb") as opened:
            digest.update(str(size).encode() + opened.read(2**20))
            opened.seek(max(0, size - 2**20))
            digest.update(opened.read())
    return digest.hexdigest()


def _unlabelled(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.stem.endswith(LABELLED))


def _rate(stream: av.video.stream.VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0 < float(rate) < MOST_FRAMES_PER_SECOND:
            return float(rate)
    return USUAL_FRAMES_PER_SECOND


def _seconds(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / av.time_base)


def _least_seconds(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, seconds: float, rate: float
) -> float:
    """What the frames of a whole video cover.

    A stated number of frames is exact, but not that of a QuickTime file, whose edit list may leave frames out, and
    which cannot be cut without an error of the decoder. A duration may be of the sound.
    """
    if stream.frames and not container.format.name.startswith("mov"):
        return (stream.frames - 0.5) / rate
    return MOST_UNCERTAIN * seconds


def _pixels(frame: av.VideoFrame, channels: int, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 [H, W, channels], turned as the file says."""
    converted = reformatter.reformat(frame, format="gray" if channels == 1 else "rgb24")
    pixels = converted.to_ndarray().reshape(frame.height, frame.width, channels)
    turns = _turns(frame)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns that the file asks for, 0 to 3; an angle between them is rounded down."""
    return int(frame.rotation // 90 % 4)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def picture_files(folder: Path, pattern: str = "") -> list[Path]:
    """The pictures of a folder, or those of a pattern, in the order of their numbers: img2.png precedes img10.png."""
    every = folder.glob(pattern) if pattern else folder.iterdir()
    files = [path for path in every if path.suffix.lower() in PICTURE_ENDINGS]
    return sorted(
        files, key=lambda path: [int(word) if word.isdecimal() else word for word in re.split(r"(\d+)", path.name)]
    )


def _open_pictures(folder: Path) -> Video:
    files = picture_files(folder)
    if not files:
        raise InputError(f"{folder}: holds neither videos nor pictures; give a folder of either")
    first = read_picture(files[0])
    gray = first.shape[-1] == 1
    return Video(folder, *first.shape[:2], gray, len(files), USUAL_FRAMES_PER_SECOND)
