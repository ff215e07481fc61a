"""One HTML file in which a person turns, plays and compares positions in 3D.

The file holds everything and reads nothing from a network. Its parts lie in `space/` and `browser/`; what they read is
written by `_content`. Positions keep 16 bits of each coordinate, errors and standard deviations are within 3 %: 10,000
frames of 20 bodyparts in four ways fit into 10 MB.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex

from pawjax.files import write_text
from pawjax.pose3d.cameras import Cameras, camera_places, camera_rotations
from pawjax.report.browser_page import fill
from pawjax.report.packed import LEAST, MISSING_POSITION, MOST, covariances, logarithms, pack, shares
from pawjax.report.scene import Scene, reprojection_error
from pawjax.report.scene_view import sizes_of, up_axis
from pawjax.report.style import FAINT, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, bodypart_colors

COLORS = (FAINT, ORANGE, SKY, GREEN, VERMILION, PURPLE, YELLOW)  # of the ways, on a dark ground
MOST_POSITIONS = 1_000_000  # in the page, all ways together
WORST = 200  # frames of a long recording that are in the page whatever their number
FAR = 5  # positions are kept up to so many times the distance that holds 99 % of them


def write_scene_page(scene: Scene, path: Path, title: str) -> None:
    """Writes the page, replacing the file atomically.

    A page holds at most MOST_POSITIONS positions: of a longer recording every n-th frame and those of the largest
    errors. Its curves show the largest error of the frames that it leaves out, and a note says so.

    Args:
      scene: what is shown.
      path: of the page, .html.
      title: of the page.
    """
    errors = [reprojection_error(scene, one) for one in scene.positions]
    shown, step = _choose_frames(scene, errors)
    content, packed = _content(scene, errors, shown, step)
    write_text(path, fill("space", content | {"title": title}, packed=packed))


def _choose_frames(scene: Scene, errors: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """The frames of a page, int64 [N] ascending from 0, and n if they are every n-th and the worst."""
    n_frames, most = len(scene.times), MOST_POSITIONS // (len(scene.bodyparts) * len(scene.positions))
    if n_frames <= most:
        return np.arange(n_frames), 1
    worst = np.nan_to_num(np.stack(errors)).max((0, 2))
    n_worst = min(WORST, most // 2)
    step = -(-n_frames // max(most - n_worst, 1))
    return np.union1d(np.arange(0, n_frames, step), np.argsort(-worst, kind="stable")[:n_worst]), step


def _content(scene: Scene, errors: list[np.ndarray], shown: np.ndarray, step: int) -> tuple[dict, str]:
    """What the page reads: plain values, and the packed arrays [N, K, ...] of the shown frames."""
    means = np.stack([one.mean[shown] for one in scene.positions])
    origin, unit = _grid_of(means)
    with np.errstate(invalid="ignore"):
        steps = np.rint((means - origin) / unit)
    known = np.isfinite(steps).all(-1)
    n_far = int((known & (np.abs(steps) > 32767).any(-1)).sum())
    codes = np.where(known[..., None], np.clip(np.nan_to_num(steps), -32767, 32767), MISSING_POSITION).astype(np.int16)
    arrays, ways = {}, []
    for number, (one, error) in enumerate(zip(scene.positions, errors, strict=True)):
        arrays[f"mean{number}"] = codes[number]
        arrays[f"error{number}"] = logarithms(np.fmax.reduceat(error, shown))
        if one.covariance is not None:
            arrays[f"covariance{number}"] = covariances(one.covariance[shown])
        if one.outlier is not None:
            arrays[f"outlier{number}"] = shares(np.fmax.reduceat(_mean_of_cameras(one.outlier), shown))
        ways.append({"name": one.name, "color": to_hex(COLORS[number % len(COLORS)])})
    layout, packed = pack(arrays)
    times = np.asarray(scene.times, np.float64)
    distance = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    facts = [f"{len(times)} frames", f"{len(scene.cameras)} cameras", f"{len(scene.bodyparts)} bodyparts"]
    if distance > 0:
        facts.insert(1, f"{1 / distance:.4g} frames/s")
    return {
        "facts": facts,
        "note": " ".join(_notes(len(shown), step, n_far)),
        "bodyparts": scene.bodyparts,
        "colors": [to_hex(color) for color in bodypart_colors(len(scene.bodyparts))],
        "edges": [[int(a), int(b)] for a, b in scene.edges],
        "rate": 1 / distance if distance > 0 else 1.0,
        "numbers": shown.tolist(),
        "times": np.round(times[shown], 6).tolist(),
        "cameras": _cameras(scene.cameras),
        "up": up_axis(scene.cameras, origin).tolist(),
        "origin": origin.tolist(),
        "unit": unit,
        "logarithms": [LEAST, MOST],
        "ways": ways,
        "layout": layout,
    }, packed


def _notes(n_shown: int, step: int, n_far: int) -> list[str]:
    notes = []
    if step > 1:
        which = f"those of the largest errors, and every {step}th of the others"
        notes.append(f"The page shows {n_shown} frames: {which}. The curves show the largest error of those between.")
    if n_far:
        distance = f"{FAR} times the distance that holds 99 % of them"
        notes.append(f"{n_far} positions lie farther off than {distance}, and are drawn there.")
    return notes


def _grid_of(means: np.ndarray) -> tuple[np.ndarray, float]:
    """Origin [3] and unit, mm, of 16-bit coordinates for positions [..., 3], a few of which may be far off."""
    known = means[np.isfinite(means).all(-1)].astype(np.float64)
    if not len(known):
        return np.zeros(3), 1.0
    origin = np.median(known, axis=0)
    reach = np.abs(known - origin).max(-1)
    return origin, max(min(float(reach.max()), FAR * float(np.quantile(reach, 0.99))), 1.0) / 32767


def _mean_of_cameras(outlier: np.ndarray) -> np.ndarray:
    """Means [T, K] over cameras of probabilities [T, C, K], of those that are known; NaN where none is."""
    known = np.isfinite(outlier)
    with np.errstate(invalid="ignore"):
        return np.where(known, outlier, 0).sum(1) / known.sum(1)


def _cameras(cameras: Cameras) -> list[dict]:
    """Of each camera: its pose, and its lens as a pinhole's."""
    rotations, places = camera_rotations(cameras), camera_places(cameras)
    matrix = np.asarray(cameras.matrix, np.float64)
    return [
        {
            "name": name,
            "turn": rotation.tolist(),
            "place": place.tolist(),
            "focal": [k[0, 0], k[1, 1]],
            "principal": k[:2, 2].tolist(),
            "size": size.tolist(),
        }
        for name, rotation, place, k, size in zip(
            cameras.names, rotations, places, matrix, sizes_of(cameras), strict=True
        )
    ]
