"""One HTML file in which a person reviews the tracks of a video: frames, curves, and the moments that are in doubt.

The file holds everything, a small copy of the video included, and reads nothing from a network. Its parts lie in
`review/` and `browser/`; what they read is written by `_content`.
"""

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from pawjax.data.video import FrameReader, Video
from pawjax.files import write_text
from pawjax.progress import track
from pawjax.report.browser_page import fill
from pawjax.report.labelled_video import Drawing, check_size, pairs_of
from pawjax.report.mp4 import TICKS, write_mp4
from pawjax.report.style import bodypart_colors
from pawjax.tracks.moments import DISAGREEMENT, JUMP, LIKELIHOOD, Moment, find_moments, speeds_of
from pawjax.tracks.tracks import Tracks

LONGEST_SIDE = 800  # px, of the frames in the page
MOST_FRAMES = 6000  # in the page
MOST_BYTES = 12_000_000  # of its video; base64 adds a third
MOST_MOMENTS = 200  # of each kind
AROUND = 5  # frames on either side of a moment, in the page of a long video
X264 = {"crf": "20", "preset": "veryfast", "g": "20", "bf": "0"}  # short groups without B-frames: quick to seek in


def write_review_page(path: Path, video: Video, tracks: Tracks, drawing: Drawing) -> None:
    """Writes the page, replacing the file atomically.

    A page holds at most MOST_FRAMES frames: of a longer video the frames around the worst moments and every n-th of
    the others. Its curves show the lowest likelihood and the highest speed of the frames that it leaves out.

    Args:
      path: of the page, .html.
      video: the tracks' video.
      tracks: of all its frames.
      drawing: its pcutoff says which points are in doubt, its skeleton what is joined by lines.

    Raises InputError if the video has another size than the tracks, or a pair of the skeleton names no bodypart.
    """
    check_size(video, tracks)
    pairs = pairs_of(tracks.bodyparts, drawing.skeleton)
    moments = find_moments(tracks, drawing.pcutoff, MOST_MOMENTS)
    shown, step = choose_frames(len(tracks), moments)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.mp4"
        size, ticks = _write_small(small, video, tracks.times, shown)
        mp4 = small.read_bytes()
    content = _content(video, tracks, drawing.pcutoff, pairs, moments, shown[: len(ticks)], step)
    content |= {"videoSize": size, "seconds": _array(ticks / TICKS)}
    write_text(path, fill("review", content, mp4=base64.b64encode(mp4).decode()))


def choose_frames(n_frames: int, moments: Sequence[Moment]) -> tuple[np.ndarray, int]:
    """The frames of a page, int64 [N] ascending from 0, and n if they are those around moments and every n-th."""
    if n_frames <= MOST_FRAMES:
        return np.arange(n_frames), 1
    near = {moment.worst for moment in moments}
    for moment in moments:
        if len(near) > MOST_FRAMES // 2:
            break
        near |= {*range(max(0, moment.worst - AROUND), min(n_frames, moment.worst + AROUND + 1))}
    step = -(-n_frames // (MOST_FRAMES - len(near)))
    return np.array(sorted(near | {*range(0, n_frames, step)})), step


def _write_small(path: Path, video: Video, times: np.ndarray, shown: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """Writes the shown frames, downscaled; returns their size (height, width) and times in the file, in ticks."""
    scale = min(1, LONGEST_SIDE / max(video.height, video.width))
    size = max(1, round(video.height * scale)), max(1, round(video.width * scale))
    wanted = set(shown.tolist())

    def frames():  # noqa: ANN202
        numbered = enumerate(track(FrameReader(video, 3), f"page of {video.path.name}", video.n_frames or None))
        for (number, frame), time in zip(numbered, times, strict=False):
            if number in wanted:
                pixels = frame.pixels
                if scale < 1:
                    pixels = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BOX))
                yield time - times[0], pixels

    bits = 8 * MOST_BYTES * video.frames_per_second / len(shown)  # a second
    limit = str(min(round(bits), 10**9))
    return size, write_mp4(path, frames(), size, video.frames_per_second, {**X264, "maxrate": limit, "bufsize": limit})


def _content(
    video: Video,
    tracks: Tracks,
    pcutoff: float,
    pairs: Sequence[tuple[int, int]],
    moments: Sequence[Moment],
    shown: np.ndarray,
    step: int,
) -> dict:
    """What the page reads, but for its video: numbers, texts, and arrays [N, K, ...] of the shown frames."""
    likelihood, speed = tracks.likelihood[:, 0], speeds_of(tracks)[:, 0]
    second = tracks.second[shown, 0]
    facts = [f"{len(tracks)} frames of {video.width}\u00d7{video.height}, {video.frames_per_second:.4g} frames/s"]
    if "run" in tracks.origin:
        facts.append(f"run {Path(tracks.origin['run']).name}, checkpoint {tracks.origin.get('checkpoint', '?')}")
    note = f"The page shows {len(shown)} frames: those around the worst moments, and every {step}th of the others. The "
    note += "curves show the lowest likelihood and the highest speed of the frames between."
    return {
        "name": video.path.name,
        "facts": facts,
        "note": note if step > 1 else "",
        "bodyparts": tracks.bodyparts,
        "colors": [to_hex(color) for color in bodypart_colors(len(tracks.bodyparts))],
        "skeleton": pairs,
        "pcutoff": pcutoff,
        "size": tracks.size,
        "rate": video.frames_per_second,
        "most": MOST_MOMENTS,
        "moments": [_told(moment, tracks, shown) for moment in moments],
        "numbers": _array(shown),
        "times": _array(tracks.times[shown]),
        "points": _array(tracks.keypoints[shown, 0]),
        "likelihood": _array(likelihood[shown]),
        "lowest": _array(np.fmin.reduceat(likelihood, shown)),
        "highest": _array(np.fmax.reduceat(speed, shown)),
        "second": _array(second) if np.isfinite(second).any() else None,
    }


def _told(moment: Moment, tracks: Tracks, shown: np.ndarray) -> dict:
    """A moment as the page lists it; first, at and last count the shown frames."""
    if moment.kind == LIKELIHOOD:
        text = f"likelihood {moment.value:.2f}"
    elif moment.kind == JUMP:
        text = f"jump of {moment.value:.0f} px"
    elif moment.kind == DISAGREEMENT:
        text = f"networks or views disagree by {moment.value:.0f} px"
    else:
        of_second = tracks.second[moment.worst, 0, moment.bodypart, 2]
        text = f"second place {of_second:.2f}, first {tracks.likelihood[moment.worst, 0, moment.bodypart]:.2f}"
    n = moment.last - moment.first + 1
    text += f", {n} frames" if n > 1 else ""
    first, at, last = (_nearest(shown, frame) for frame in (moment.first, moment.worst, moment.last))
    return {"kind": moment.kind, "first": first, "at": at, "last": last, "k": moment.bodypart, "text": text}


def _nearest(shown: np.ndarray, frame: int) -> int:
    return int(np.abs(shown - frame).argmin())


def _array(values: np.ndarray) -> dict:
    """An array for the page: its shape, and float64 or float32 bytes in base64."""
    kind = "<f4" if values.dtype == np.float32 else "<f8"
    return {"kind": kind, "shape": values.shape, "base64": base64.b64encode(values.astype(kind).tobytes()).decode()}
