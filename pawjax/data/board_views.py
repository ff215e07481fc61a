"""The pictures and videos of several cameras that recorded a board at the same time, matched to views.

Videos are matched by the number of the frame. Pictures are matched by the last number in their names where that tells
them apart, as in left07.jpg and right07.jpg, and otherwise by their order.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pawjax.data.pictures import read_picture
from pawjax.data.video import PICTURE_ENDINGS, FrameReader, Video, open_video, picture_files
from pawjax.errors import InputError, listed, warn
from pawjax.files import user_path
from pawjax.progress import clock

NAMED = 4  # pictures in a message


@dataclasses.dataclass(frozen=True)
class Source:
    """What one camera recorded.

    Attributes:
      camera: its name.
      files: its pictures, in the order of their numbers; () for a video.
      video: what it is; None for pictures.
      size: (width, height), px.
    """

    camera: str
    files: tuple[Path, ...]
    video: Video | None
    size: tuple[int, int]

    def __len__(self) -> int:
        """How many pictures or frames there are; of a video what its header says."""
        return self.video.n_frames if self.video else len(self.files)

    def label(self, place: int) -> str:
        """The name of a picture, or the number of a frame, as users see it."""
        return f"frame {place}" if self.video else self.files[place].name

    def moment(self, place: int) -> str:
        """The label, of a video with the time."""
        return self.label(place) + (f" ({clock(place / self.video.frames_per_second)})" if self.video else "")


def open_sources(cameras: Mapping[str, str]) -> list[Source]:
    """The sources of {camera: folder of pictures, pattern of pictures, or video}.

    Raises InputError for one that is missing, has no pictures or is given twice, and for pictures beside a video.
    """
    sources = [_open(camera, text) for camera, text in cameras.items()]
    owners: dict[Path, str] = {}
    for source in sources:
        path = (source.video.path if source.video else source.files[0]).resolve()
        if path in owners:
            raise InputError(
                f"--cameras: the cameras '{owners[path]}' and '{source.camera}' are both given {path}: give each one "
                f"its own"
            )
        owners[path] = source.camera
    videos = [source.camera for source in sources if source.video]
    if 0 < len(videos) < len(sources):
        pictures = next(source.camera for source in sources if not source.video)
        raise InputError(
            f"--cameras: the camera '{videos[0]}' has a video and '{pictures}' has pictures, which cannot be matched: "
            f"give pictures of both, or videos of both"
        )
    return sources


def match_views(sources: Sequence[Source], most: int) -> np.ndarray:
    """int [C, V]: the picture or frame of each camera in V views, in the order of time; -1 where it has none.

    At most about `most` views, evenly spaced. Raises InputError for pictures that cannot be matched.
    """
    places = _match_videos(sources) if sources[0].video else _match_pictures(sources)
    return places[:, :: -(-places.shape[1] // most)]


def read_views(source: Source, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Gray pixels uint8 [H, W] of the pictures or frames at these increasing places, each with its place.

    Warns if a video ends early. Raises InputError for a picture that cannot be read, or is of another size.
    """
    if not source.video:
        for place in places:
            yield place, read_one(source, place)
        return
    wanted, reader, number = set(places), FrameReader(source.video, 1), -1
    for number, frame in enumerate(reader):
        if number in wanted:
            yield number, frame.pixels[..., 0]
        if number == places[-1]:
            return
    reason = f" ({reader.broken})" if reader.broken else ""
    warn(f"{source.video.path}: ends after {number + 1} frames{reason}; the views after them are left out")


def read_one(source: Source, place: int) -> np.ndarray:
    """Gray pixels uint8 [H, W] of one picture. Raises InputError as `read_views`."""
    pixels = read_picture(source.files[place], 1)[..., 0]
    if pixels.shape[::-1] != source.size:
        raise InputError(
            f"{source.files[place]}: is of {_size(pixels.shape[::-1])} pixels, but {source.files[0].name} of "
            f"{_size(source.size)}: give pictures of one size, as the camera took them"
        )
    return pixels


def _open(camera: str, text: str) -> Source:
    if text and any(sign in Path(text).name for sign in "*?[") and not user_path(text).exists():
        folder, pattern = user_path(text).parent, Path(text).name
        files = picture_files(folder, pattern) if folder.is_dir() else []
    elif not text or not user_path(text).exists():
        raise InputError(
            f"--cameras={camera}={text}: there is no such folder or video: give a folder of pictures, a pattern such "
            f"as '{camera}*.jpg', or a video"
        )
    elif user_path(text).is_dir():
        files = picture_files(user_path(text))
    elif user_path(text).suffix.lower() in PICTURE_ENDINGS:
        files = [user_path(text)]
    else:
        video = open_video(user_path(text))
        return Source(camera, (), video, (video.width, video.height))
    if not files:
        raise InputError(f"--cameras={camera}={text}: there are no pictures; they end in {', '.join(PICTURE_ENDINGS)}")
    height, width = read_picture(files[0], 1).shape[:2]
    return Source(camera, tuple(files), None, (width, height))


def _match_videos(sources: Sequence[Source]) -> np.ndarray:
    lengths = {source.camera: len(source) for source in sources}
    least, most = min(lengths.values()), max(lengths.values())
    if least < most:
        words = listed([f"{camera} has {length}" for camera, length in lengths.items()], NAMED)
        warn(f"the videos differ in their number of frames ({words}): the first {least} are matched by their numbers")
    return np.tile(np.arange(least), (len(sources), 1))


def _match_pictures(sources: Sequence[Source]) -> np.ndarray:
    numbers = [_numbers(source) for source in sources]
    shared = set.intersection(*map(set, numbers)) if all(numbers) else set()
    if shared:
        every = sorted(set().union(*numbers))
        for source, own in zip(sources, numbers, strict=True):
            if missing := [str(number) for number in every if number not in own]:
                warn(
                    f"the camera '{source.camera}' has no picture of the numbers {listed(missing, NAMED)}, which "
                    f"others have: pictures are matched by their numbers"
                )
        return np.array([[own.get(number, -1) for number in every] for own in numbers])
    lengths = {source.camera: len(source) for source in sources}
    if len(set(lengths.values())) > 1:
        words = listed([f"{camera} has {length}" for camera, length in lengths.items()], NAMED)
        raise InputError(
            f"--cameras: the cameras differ in their number of pictures ({words}), and no numbers in the names match "
            f"them: name pictures of the same moment with the same number, as in left07.jpg and right07.jpg"
        )
    return np.tile(np.arange(len(sources[0])), (len(sources), 1))


def _numbers(source: Source) -> dict[int, int]:
    """{last number in the name: place} of each picture; {} if that does not tell them apart."""
    found = [re.findall(r"\d+", path.stem) for path in source.files]
    numbers = {int(words[-1]): place for place, words in enumerate(found) if words}
    return numbers if len(numbers) == len(source.files) else {}


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
