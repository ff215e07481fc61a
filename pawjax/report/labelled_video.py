"""A video with its tracks drawn on it: points, skeleton and trail, each as opaque as its likelihood."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from pawjax.data.video import FrameReader, Video
from pawjax.errors import InputError
from pawjax.files import replacing
from pawjax.progress import track
from pawjax.report.style import bodypart_colors
from pawjax.tracks.tracks import Tracks

TICKS = 90_000  # per second; the clock of MPEG
SMALLEST_SIDE = 480  # px; smaller videos are magnified, so that points do not hide the animal
QUALITY = "20"  # x264's crf
LINE = (255, 255, 255)
FAINTEST = 0.15  # opacity of a point with likelihood 0, where such points are drawn


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is drawn.

    Attributes:
      pcutoff: points with a lower likelihood are left out.
      trail: number of frames before whose points are drawn, fading.
      skeleton: pairs of bodyparts that are joined by lines.
    """

    pcutoff: float = 0.0
    trail: int = 8
    skeleton: Sequence[tuple[str, str]] = ()


def write_labelled_video(path: Path, video: Video, pieces: Iterable[Tracks], drawing: Drawing = Drawing()) -> None:
    """Writes an H.264 mp4 of the frames that have tracks, each at its own time, replacing the file atomically.

    Args:
      path: of the mp4.
      video: the tracks' video.
      pieces: its tracks from the first frame on, in one or several pieces.
      drawing: what is drawn.

    Raises InputError if the video has another size than the tracks, or a pair of the skeleton names no bodypart.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        scale = max(1, round(SMALLEST_SIDE / min(video.height, video.width)))
        stream = container.add_stream("h264", rate=round(video.frames_per_second), options={"crf": QUALITY})
        stream.width, stream.height = (side * scale + side * scale % 2 for side in (video.width, video.height))
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, TICKS)
        last = -1
        frames = _drawn(video, pieces, drawing, scale)
        for time, pixels in track(frames, f"drawing {video.path.name}", video.n_frames or None):
            frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
            last = max(last + 1, round(time * TICKS))  # times must rise
            frame.pts, frame.time_base = last, stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _drawn(video: Video, pieces: Iterable[Tracks], drawing: Drawing, scale: int) -> Iterable[tuple[float, np.ndarray]]:
    """Time since the first frame and drawn pixels of each frame."""
    frames = iter(FrameReader(video, 3))
    start, trail = None, deque(maxlen=drawing.trail)
    for piece in pieces:
        if piece.size != (video.height, video.width):
            raise InputError(
                f"{video.path} has {video.width}x{video.height} frames, unlike its tracks: give their video"
            )
        pairs = _pairs(piece.bodyparts, drawing.skeleton)
        colors = [tuple(round(255 * part) for part in color) for color in bodypart_colors(len(piece.bodyparts))]
        for keypoints, likelihood, frame in zip(piece.keypoints, piece.likelihood, frames, strict=False):
            start = frame.time if start is None else start
            image = Image.fromarray(frame.pixels)
            if scale > 1:
                image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
            points = (keypoints.astype(float) + 0.5) * scale - 0.5
            for points_of_animal, sure in zip(points, likelihood, strict=True):
                _draw(image, points_of_animal, sure, [*trail], pairs, colors, drawing.pcutoff)
            trail.append((points[0], likelihood[0]))
            yield frame.time - start, np.asarray(image)


def _pairs(bodyparts: Sequence[str], skeleton: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    unknown = [name for pair in skeleton for name in pair if name not in bodyparts]
    if unknown:
        raise InputError(f"the skeleton names '{unknown[0]}', which is none of {', '.join(bodyparts)}: correct it")
    return [(bodyparts.index(a), bodyparts.index(b)) for a, b in skeleton]


def _draw(
    image: Image.Image,
    points: np.ndarray,
    likelihood: np.ndarray,
    trail: list[tuple[np.ndarray, np.ndarray]],
    pairs: list[tuple[int, int]],
    colors: list[tuple[int, ...]],
    pcutoff: float,
) -> None:
    """Draws one animal, with points [K, 2] in pixels of the image, onto it."""
    draw = ImageDraw.Draw(image, "RGBA")
    radius = max(2.5, np.hypot(*image.size) / 220)
    shown = (likelihood >= pcutoff) & np.isfinite(points).all(axis=1)

    def opacity(sure: float, share: float = 1.0) -> int:
        return round(255 * share * max(FAINTEST, min(1.0, float(sure))))

    for age, (before, sure) in enumerate(reversed(trail), 1):
        for k in np.flatnonzero((sure >= pcutoff) & np.isfinite(before).all(axis=1)):
            _disc(draw, before[k], radius / 2, (*colors[k], opacity(sure[k], 0.6 * (1 - age / (len(trail) + 1)))))
    for a, b in pairs:
        if shown[a] and shown[b]:
            fill = (*LINE, opacity(min(likelihood[a], likelihood[b]), 0.7))
            draw.line([*points[a], *points[b]], fill=fill, width=max(1, round(radius / 2)))
    for k in np.flatnonzero(shown):
        _disc(draw, points[k], radius + 1, (0, 0, 0, opacity(likelihood[k], 0.6)))
        _disc(draw, points[k], radius, (*colors[k], opacity(likelihood[k])))


def _disc(draw: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, fill: tuple[int, ...]) -> None:
    x, y = centre
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill)


def _even(pixels: np.ndarray) -> np.ndarray:
    """Repeats the last row or column of an odd size, which H.264 with half-size chroma cannot hold."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
