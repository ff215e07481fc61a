"""Numbers that say how far points in space can be believed, and what seems wrong with the recording."""

from typing import Any

import numpy as np

from pawjax.data.sides import guess_sides
from pawjax.errors import listed
from pawjax.pose3d.convergence import effective_size, r_hat
from pawjax.pose3d.diagnostics import Swap, errors_by_shift, find_shift, find_swaps, merged
from pawjax.pose3d.gibbs import Samples
from pawjax.pose3d.settings import Settings
from pawjax.reconstruction.recording import Recording
from pawjax.tracks.points3d import Points

MOST_SHIFT = 10  # frames, to either side
FEWEST_FRAMES = 4 * MOST_SHIFT  # to look for shifts
OFTEN = 0.1  # share of a camera's frames in which left and right are at the same place, that is told
NAMED = 20  # stretches of swapped frames that are listed
FAR = 30  # px, of a camera's median error, that is told
WORST = 5  # bodyparts in the printed table
CONVERGED = 1.05  # R-hat above which chains have not met


def diagnose(recording: Recording, points: Points, settings: Settings, samples: Samples | None) -> dict[str, Any]:
    """What diagnostics.json holds.

    error_px (of the points used: mean and median; of every camera, bodypart and both, medians over all points, used or
    not), not_used (shares of the tracked points), missing (shares of frames without a position), swaps and merged (left
    and right), shift (of cameras in time), and with samples convergence (R-hat and effective sample size, the worst
    over frames and axes of each bodypart).
    """
    cameras, bodyparts = points.cameras, points.bodyparts
    found = np.isfinite(points.residual)
    left_out = np.where(found, ~points.used, np.nan)
    used = np.where(points.used, points.residual, np.nan)
    pairs = [tuple(map(bodyparts.index, pair)) for pair in guess_sides(bodyparts).pairs]
    swaps = find_swaps(recording.cameras, recording.pixels, points.mean, pairs)
    shares = merged(recording.pixels, pairs)
    result = {
        "model": settings.model,
        "frames": len(points.times),
        "error_px": {
            "mean": _number(_mean(used)),
            "median": _number(_median(used)),
            "by_camera": _named(cameras, [_median(each) for each in points.residual]),
            "by_bodypart": _named(bodyparts, [_median(each) for each in np.moveaxis(points.residual, -1, 0)]),
            "by_camera_and_bodypart": _table(points, [[_median(each) for each in own.T] for own in points.residual]),
        },
        "not_used": _table(points, [[_mean(each) for each in own.T] for own in left_out]),
        "missing": _named(bodyparts, np.isnan(points.mean[..., 0]).mean(0)),
        "few_views": {
            "points": int(points.few_views.sum()),
            "of": points.few_views.size,
            "filled": int((points.few_views & np.isfinite(points.mean[..., 0])).sum()),
            "by_bodypart": _named(bodyparts, points.few_views.mean(0)),
        },
        "swaps": [_swap(swap, points) for swap in swaps],
        "merged": [
            {"left": bodyparts[left], "right": bodyparts[right], "cameras": _named(cameras, own)}
            for (left, right), own in zip(pairs, shares.T, strict=True)
            if own.max() > OFTEN
        ],
        "shift": _shift(recording, settings),
    }
    if samples is not None:
        result["convergence"] = {
            "r_hat": _named(bodyparts, r_hat(samples.positions).max((0, 2))),
            "effective_size": _named(bodyparts, effective_size(samples.positions).min((0, 2))),
            "draws": int(np.prod(samples.positions.shape[:2])),
        }
    return result


def summary(diagnostics: dict[str, Any]) -> str:
    """A short table of the diagnostics, and sentences about what seems wrong."""
    errors, left_out = diagnostics["error_px"], diagnostics["not_used"]
    width = max(map(len, [*errors["by_camera"], *errors["by_bodypart"]]))
    lines = [f"{'':{width}}  error (median)  not used"]

    def row(name: str, error: float | None, shares: list[float | None]) -> str:
        known = [share for share in shares if share is not None]
        share = f"{100 * np.mean(known):6.1f} %" if known else "     -"
        return f"{name:{width}}  {'-' if error is None else format(error, '.2f'):>11} px  {share}"

    for camera, error in errors["by_camera"].items():
        lines.append(row(camera, error, list(left_out[camera].values())))
    worst = sorted(errors["by_bodypart"].items(), key=lambda item: -(item[1] or 0))
    lines.append(f"bodyparts, the worst of {len(worst)}:" if len(worst) > WORST else "bodyparts:")
    for bodypart, error in worst[:WORST]:
        lines.append(row(bodypart, error, [own[bodypart] for own in left_out.values()]))
    return "\n".join([*lines, *_sentences(diagnostics)])


def counted(frames: int) -> str:
    """'1 frame', '2 frames'."""
    return f"{frames} frame{'s' * (frames != 1)}"


def _sentences(diagnostics: dict[str, Any]) -> list[str]:
    lines = []
    if (few := diagnostics["few_views"])["points"]:
        of_all = f"{few['points']} of {few['of']} points have fewer than two views"
        shares = sorted(few["by_bodypart"].items(), key=lambda item: -item[1])
        where = listed([f"{name} in {share:.1%}" for name, share in shares if share], WORST)
        filled = f"were filled by {diagnostics['model']}, but are left empty in points3d.csv and .h5"
        lines.append(f"{of_all} ({where} of the frames) and {filled if few['filled'] else 'have no position'}")
    if far := [f"'{name}'" for name, error in diagnostics["error_px"]["by_camera"].items() if (error or 0) > FAR]:
        lines.append(
            f"half of the points of {listed(far, WORST)} lie more than {FAR} px from where the positions put them: "
            f"are these tracks of that camera and of the same time, and is the calibration of this rig?"
        )
    for swap in diagnostics["swaps"][:WORST]:
        lines.append(
            f"{swap['left']} and {swap['right']} seem swapped in '{swap['camera']}' in "
            f"{counted(swap['frames'])}: {listed(swap['stretches'], 3)}"
        )
    for pair in diagnostics["merged"][:WORST]:
        cameras = [f"'{name}' ({share:.0%})" for name, share in pair["cameras"].items() if share > OFTEN]
        lines.append(
            f"{pair['left']} and {pair['right']} are tracked at the same place in frames of {listed(cameras, 3)}: "
            f"their positions cannot both be right there"
        )
    suspected = diagnostics["shift"]["suspected"]
    if suspected and suspected["error_px"] <= FAR:  # a larger one has another reason
        camera, frames = suspected["camera"], suspected["frames"]
        lines.append(
            f"the camera '{camera}' seems to be {counted(abs(frames))} {'late' if frames > 0 else 'early'} (error "
            f"{suspected['error_px']:.2f} px instead of {suspected['error_px_unshifted']:.2f}): try "
            f"--offsets={camera}={suspected['offset']}, and look again"
        )
    if chains := diagnostics.get("convergence"):
        apart = [name for name, value in chains["r_hat"].items() if value is not None and value > CONVERGED]
        largest, least = (
            [value for value in chains[name].values() if value is not None] for name in ("r_hat", "effective_size")
        )
        if largest and least:
            lines.append(
                f"draws: R-hat up to {max(largest):.3f}, effective sizes from {min(least):.0f} of {chains['draws']}"
            )
        if apart:
            lines.append(f"chains have not met for {listed(apart, WORST)}: draw more, or do not trust their error bars")
    return lines


def _shift(recording: Recording, settings: Settings) -> dict[str, Any]:
    """Errors by the shift of each camera, and the camera that seems shifted."""
    if len(recording.times) < FEWEST_FRAMES:
        return {"suspected": None, "error_px": None}
    seen = recording.cameras, recording.pixels, recording.likelihood
    errors = errors_by_shift(*seen, settings.cut, settings.threshold, MOST_SHIFT)
    names, middle = recording.cameras.names, errors.shape[1] // 2
    suspected = None
    if found := find_shift(errors):
        camera, frames = found
        suspected = {
            "camera": names[camera],
            "frames": frames,
            "offset": recording.offsets.get(names[camera], 0) + frames,
            "error_px": _number(errors[camera, middle + frames]),
            "error_px_unshifted": _number(errors[camera, middle]),
        }
    shifts = list(map(str, range(-middle, middle + 1)))
    return {"suspected": suspected, "error_px": {n: _named(shifts, own) for n, own in zip(names, errors, strict=True)}}


def _swap(swap: Swap, points: Points) -> dict[str, Any]:
    parts = np.split(swap.frames, np.flatnonzero(np.diff(swap.frames) > 1) + 1)
    stretches = [f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts]
    return {
        "camera": points.cameras[swap.camera],
        "left": points.bodyparts[swap.left],
        "right": points.bodyparts[swap.right],
        "frames": len(swap.frames),
        "stretches": stretches[:NAMED],
    }


def _table(points: Points, values: list[list[float]]) -> dict[str, dict[str, float | None]]:
    return {camera: _named(points.bodyparts, own) for camera, own in zip(points.cameras, values, strict=True)}


def _named(names: Any, values: Any) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
