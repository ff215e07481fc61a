"""Videos of a scene in 3D: the moving skeleton, and the positions as the cameras see them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter1d

from pawjax.data.video import LABELLED, Video, open_video
from pawjax.errors import InputError, did_you_mean
from pawjax.pose3d.cameras import Cameras
from pawjax.progress import track
from pawjax.report.labelled_video import Drawing, write_labelled_video
from pawjax.report.mp4 import write_mp4
from pawjax.report.scene import Positions, Scene, reprojected
from pawjax.report.scene_view import View, ground_axes, overview, up_axis
from pawjax.report.style import bodypart_colors
from pawjax.tracks.tracks import Tracks

PANEL = 560  # px, the side of a panel of the video of the skeleton
FINER = 2  # the factor at which it is drawn, then averaged: smooth lines
QUALITY, PRESET = "23", "superfast"  # of x264; a slower preset takes most of the time
SECONDS = 1.0  # over which the view that follows the animal is averaged
GROUND, PALE, LINE = (12, 14, 16), (44, 50, 58), (216, 222, 228)
SQUARES = 8  # of the grid on the ground, on either side of the animal


def write_skeleton_video(scene: Scene, name: str, path: Path) -> None:
    """Writes an H.264 mp4 of the skeleton in 3D, the raw triangulation beside it, replacing the file atomically.

    The view follows the animal; the ground is where its lowest points are. Each frame has its own time. Missing points
    are not drawn, and their number is said.

    Args:
      scene: what is shown.
      name: of the positions; those of the raw triangulation, the first ones, are shown alone.
      path: of the mp4.
    """
    chosen = scene.named(name)
    panels = [chosen] if chosen is scene.positions[0] else [scene.positions[0], chosen]
    size = PANEL, PANEL * len(panels)
    times = np.asarray(scene.times, np.float64)
    distance = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rate = 1 / distance if distance > 0 else 25.0
    frames = track(_drawn(scene, chosen, panels, rate), f"drawing {path.name}", len(times))
    pictures = ((time - times[0], pixels) for time, pixels in zip(times, frames, strict=True))
    write_mp4(path, pictures, size, rate, {"crf": QUALITY, "preset": PRESET})


def write_reprojections(scene: Scene, name: str, videos: Mapping[str, Path], folder: Path) -> list[Path]:
    """Writes, for each camera, its video with reprojected positions as discs and tracked points as open circles.

    Args:
      scene: what is shown; its first frame is that of the videos.
      name: of the positions.
      videos: {camera's name: its video}, of all or some cameras.
      folder: for CAMERA_NAME_reprojected_labeled.mp4; files are replaced atomically.

    Returns the paths of the files. Raises InputError for an unknown camera, and for a video whose frames have another
    size than the camera's.
    """
    points = reprojected(scene.cameras, scene.named(name).mean)
    pairs = tuple((scene.bodyparts[a], scene.bodyparts[b]) for a, b in scene.edges)
    for camera in videos.keys() - set(scene.cameras.names):
        hint = did_you_mean(camera, scene.cameras.names, f"the cameras are {', '.join(scene.cameras.names)}")
        raise InputError(f"{videos[camera]} is a video of the camera '{camera}', which the scene lacks: {hint}")
    written = []
    for camera, file in videos.items():
        number, video = scene.cameras.names.index(camera), open_video(file)
        path = folder / f"{camera}_{name}_reprojected{LABELLED}.mp4".replace("/", "_")
        tracks = _as_tracks(scene, points[number], scene.cameras.sizes[number], video)
        circles = np.asarray(scene.pixels[number], np.float32)[:, None]
        write_labelled_video(path, video, [tracks], Drawing(trail=0, skeleton=pairs), circles)
        written.append(path)
    return written


def _drawn(scene: Scene, chosen: Positions, panels: list[Positions], rate: float) -> Iterator[np.ndarray]:
    """Pixels uint8 [PANEL, PANEL times panels, 3] of each frame."""
    centres, reach, level, up = _course(chosen.mean, scene.cameras, rate)
    view = overview(up, reach, (FINER * PANEL, FINER * PANEL))
    colors = [tuple(round(255 * part) for part in color) for color in bodypart_colors(len(scene.bodyparts))]
    step = _round_up(reach / 3)
    font = ImageFont.load_default(FINER * 13)
    for number, (centre, time) in enumerate(zip(centres, scene.times, strict=True)):
        image = Image.new("RGB", (FINER * PANEL * len(panels), FINER * PANEL))
        ground = Image.new("RGB", (FINER * PANEL, FINER * PANEL), GROUND)
        for ends in _grid(view, centre, up, level, step):
            ImageDraw.Draw(ground).line([*ends.ravel()], fill=PALE, width=FINER)
        for place, one in enumerate(panels):
            panel = ground.copy()
            draw = ImageDraw.Draw(panel)
            _draw_skeleton(draw, view.project(one.mean[number] - centre), scene.edges, colors)
            missing = int((~np.isfinite(one.mean[number]).all(-1)).sum())
            words = f"{one.name}" + (f", {missing} missing" if missing else "")
            draw.text((FINER * 12, FINER * 10), words, fill=LINE, font=font)
            if place == 0:
                below = f"frame {number}, {time:.3f} s; squares of {step:g} mm"
                draw.text((FINER * 12, FINER * (PANEL - 26)), below, fill=LINE, font=font)
            image.paste(panel, (FINER * PANEL * place, 0))
        yield np.asarray(image.reduce(FINER))


def _course(mean: np.ndarray, cameras: Cameras, rate: float) -> tuple[np.ndarray, float, float, np.ndarray]:
    """Where the view looks [T, 3] mm, the animal's reach around it, the ground's height along up, and up [3]."""
    known = np.isfinite(mean).all(-1)
    frames = np.flatnonzero(known.any(1))
    if not len(frames):
        return np.zeros((len(mean), 3)), 100.0, 0.0, up_axis(cameras, np.zeros(3))
    seen = np.nanmedian(mean[frames], axis=1)
    filled = np.stack([np.interp(np.arange(len(mean)), frames, values) for values in seen.T], axis=-1)
    centres = uniform_filter1d(filled, max(1, round(SECONDS * rate)), axis=0, mode="nearest")
    away = np.linalg.norm(mean - centres[:, None], axis=-1)[known]
    up = up_axis(cameras, np.median(seen, axis=0))
    return centres, max(float(np.quantile(away, 0.98)), 1e-3), float(np.quantile(mean[known] @ up, 0.02)), up


def _grid(view: View, centre: np.ndarray, up: np.ndarray, level: float, step: float) -> list[np.ndarray]:
    """Ends [2, 2], px, of the lines on the ground around a centre [3], at multiples of `step` mm."""
    lines = []
    axes = ground_axes(up)
    middle = np.array([round(float(centre @ axis) / step) * step for axis in axes])
    half = SQUARES * step
    for along, across in ((0, 1), (1, 0)):
        for offset in np.arange(-SQUARES, SQUARES + 1) * step:
            at = middle[across] + offset
            ends = [axes[across] * at + axes[along] * (middle[along] + end) + up * level for end in (-half, half)]
            pixels = view.project(np.stack(ends) - centre)
            if np.isfinite(pixels).all():
                lines.append(pixels)
    return lines


def _draw_skeleton(draw: ImageDraw.ImageDraw, points: np.ndarray, edges: tuple, colors: list[tuple[int, ...]]) -> None:
    """Draws points [K, 2], px, and the lines that join them."""
    shown = np.isfinite(points).all(-1) & (np.abs(points) < 1e5).all(-1)
    radius = FINER * 4.0
    for a, b in edges:
        if shown[a] and shown[b]:
            draw.line([*points[a], *points[b]], fill=LINE, width=FINER * 2)
    for k in np.flatnonzero(shown):
        x, y = points[k]
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors[k])


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten, at least `value`."""
    ten = 10.0 ** np.floor(np.log10(value))
    return next(n * ten for n in (1, 2, 5, 10) if n * ten >= value * (1 - 1e-9))


def _as_tracks(scene: Scene, points: np.ndarray, size: tuple[int, int] | None, video: Video) -> Tracks:
    """Reprojected points [T, K, 2] of one camera, whose size is (width, height), as the tracks of its video."""
    n, k, _ = points.shape
    return Tracks(
        keypoints=np.asarray(points, np.float32)[:, None],
        likelihood=np.ones((n, 1, k), np.float32),
        covariance=np.full((n, 1, k, 2, 2), np.nan, np.float32),
        second=np.full((n, 1, k, 3), np.nan, np.float32),
        times=np.asarray(scene.times, np.float64),
        bodyparts=scene.bodyparts,
        size=(size[1], size[0]) if size else (video.height, video.width),
        frames_per_second=video.frames_per_second,
        origin={"video": video.path.name},
    )
