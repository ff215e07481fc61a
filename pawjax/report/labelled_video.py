"""A video with its tracks drawn on it: points, skeleton and trail, each as opaque as its likelihood."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pawjax.data.video import FrameReader, Video
from pawjax.errors import InputError
from pawjax.progress import track
from pawjax.report.mp4 import write_mp4
from pawjax.report.style import bodypart_colors
from pawjax.tracks.tracks import Tracks

SMALLEST_SIDE = 480  # px; smaller videos are magnified, so that points do not hide the animal
LARGEST_SIDE = 1920  # px; but not beyond it
QUALITY, PRESET = "20", "veryfast"  # of x264; slower presets take most of the time and save a fifth of the bytes
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


def write_labelled_video(
    path: Path, video: Video, pieces: Iterable[Tracks], drawing: Drawing = Drawing(), circles: np.ndarray | None = None
) -> None:
    """Writes an H.264 mp4 of the frames that have tracks, each at its own time, replacing the file atomically.

    Args:
      path: of the mp4.
      video: the tracks' video.
      pieces: its tracks from the first frame on, in one or several pieces.
      drawing: what is drawn.
      circles: [T, A, K, 2], px: other places of the same points, drawn as open circles that thin lines join to them;
        NaN where there is none.

    Raises InputError if the video has another size than the tracks, or a pair of the skeleton names no bodypart.
    """
    sides = video.height, video.width
    scale = max(1, min(-(-SMALLEST_SIDE // min(sides)), LARGEST_SIDE // max(sides)))
    frames = track(_drawn(video, pieces, drawing, scale, circles), f"drawing {video.path.name}", video.n_frames or None)
    size = video.height * scale, video.width * scale
    write_mp4(path, frames, size, video.frames_per_second, {"crf": QUALITY, "preset": PRESET})


def _drawn(
    video: Video, pieces: Iterable[Tracks], drawing: Drawing, scale: int, circles: np.ndarray | None
) -> Iterable[tuple[float, np.ndarray]]:
    """Time since the first frame and drawn pixels of each frame."""
    frames = iter(FrameReader(video, 3))
    start, trail = None, deque(maxlen=drawing.trail)
    others = iter(() if circles is None else circles)
    for piece in pieces:
        check_size(video, piece)
        pairs = pairs_of(piece.bodyparts, drawing.skeleton)
        colors = [tuple(round(255 * part) for part in color) for color in bodypart_colors(len(piece.bodyparts))]
        for keypoints, likelihood, frame in zip(piece.keypoints, piece.likelihood, frames, strict=False):
            start = frame.time if start is None else start
            image = Image.fromarray(frame.pixels)
            if scale > 1:
                image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
            points = (keypoints.astype(float) + 0.5) * scale - 0.5
            for points_of_animal, sure in zip(points, likelihood, strict=True):
                _draw(image, points_of_animal, sure, [*trail], pairs, colors, drawing.pcutoff)
            for points_of_animal, places in zip(points, next(others, ()), strict=False):
                _draw_circles(image, points_of_animal, (places.astype(float) + 0.5) * scale - 0.5, colors)
            if len(points) == 1:  # the order of several animals is arbitrary in each frame
                trail.append((points[0], likelihood[0]))
            yield frame.time - start, np.asarray(image)


def check_size(video: Video, tracks: Tracks) -> None:
    """Raises InputError if the tracks are of frames of another size."""
    if tracks.size != (video.height, video.width):
        raise InputError(
            f"{video.path} has {video.width}x{video.height} frames, unlike its tracks ({tracks.size[1]}x"
            f"{tracks.size[0]}): give their video"
        )


def pairs_of(bodyparts: Sequence[str], skeleton: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Indices of the pairs of a skeleton. Raises InputError for a name that is no bodypart."""
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
    radius = _radius(image)
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


def _draw_circles(image: Image.Image, points: np.ndarray, places: np.ndarray, colors: list[tuple[int, ...]]) -> None:
    """Draws open circles at `places` [K, 2], px of the image, and lines from there to the points."""
    draw = ImageDraw.Draw(image, "RGBA")
    radius = 1.4 * _radius(image)
    for k in np.flatnonzero(np.isfinite(places).all(axis=1)):
        x, y = places[k]
        if np.isfinite(points[k]).all():
            draw.line([x, y, *points[k]], fill=(*colors[k], 200), width=1)
        draw.ellipse(
            [x - radius, y - radius, x + radius, y + radius], outline=colors[k], width=max(2, round(radius / 4))
        )


def _radius(image: Image.Image) -> float:
    """Of a point, px."""
    return max(2.5, np.hypot(*image.size) / 220)


def _disc(draw: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, fill: tuple[int, ...]) -> None:
    x, y = centre
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill)
