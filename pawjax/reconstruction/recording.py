"""A recording by several cameras: one calibration and the tracks of each camera, checked to belong together."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pawjax.errors import InputError, did_you_mean, listed, warn
from pawjax.files import user_path
from pawjax.pose3d.calibration_files import read_calibration
from pawjax.pose3d.cameras import Cameras, camera_places, select
from pawjax.tracks.formats import read
from pawjax.tracks.tracks import Tracks

OUTSIDE = 0.05  # of a frame's sides, or of the points: more than that outside of the frame is another frame
APART = 1e-3  # mm, of cameras that are not at the same place
ROUNDED = 0.01  # by which likelihoods may lie outside of 0 to 1


@dataclasses.dataclass(frozen=True)
class Recording:
    """What C cameras saw of K bodyparts in T frames.

    Attributes:
      cameras: C of them.
      bodyparts: the K names.
      times: [T], seconds; frames if no file says how many there are in a second.
      pixels: float64 [C, T, K, 2], (x, y) of each camera's frames, as its lens puts them; NaN where missing.
      likelihood: float64 [C, T, K], 0 to 1; 0 where the point is missing, 1 where a point has none.
      covariance: float64 [C, T, K, 2, 2], px^2, of the points by their score maps, 0 where it is not known; None where
        no file has it.
      offsets: {camera: n} that were applied, see `read_recording`.
    """

    cameras: Cameras
    bodyparts: tuple[str, ...]
    times: np.ndarray
    pixels: np.ndarray
    likelihood: np.ndarray
    covariance: np.ndarray | None
    offsets: Mapping[str, int] = dataclasses.field(default_factory=dict)


def read_recording(
    calibration: Path,
    tracks: Mapping[str, str],
    bodyparts: Sequence[str] = (),
    offsets: Mapping[str, int] | None = None,
    unit_mm: float | None = None,
    rate: float | None = None,
) -> Recording:
    """Reads a calibration and the tracks of its cameras.

    Args:
      calibration: a file of any format of `pawjax.pose3d.calibration_files`.
      tracks: {camera: file of tracks of any format of `pawjax.tracks.formats`}; '' leaves a camera out.
      bodyparts: those to take; all if empty.
      offsets: {camera: n}: the camera's frame t + n was taken at the time of the others' frame t.
      unit_mm: see `read_calibration`.
      rate: frames per second; None: as the files say.

    Raises InputError, which names the file or camera, for whatever does not belong together: another camera, a camera
    without tracks, another image size, other bodyparts, another number of frames, no points.
    """
    cameras = read_calibration(calibration, unit_mm)
    offsets = dict(offsets or {})
    cameras = _chosen(calibration, cameras, tracks)
    for name in offsets:
        if name not in cameras.names:
            hint = did_you_mean(name, cameras.names, f"they are {', '.join(cameras.names)}")
            raise InputError(f"--offsets={name}: there are no tracks of such a camera: {hint}")
    files = {name: tracks[name] for name in cameras.names}
    read_in = {name: read(file) for name, file in files.items()}
    for (name, own), size in zip(read_in.items(), cameras.sizes, strict=True):
        _check_points(files[name], name, own, size)
    bodyparts = _common_bodyparts(files, read_in, bodyparts)
    frames = _common_length(files, read_in, offsets)
    parts = [_arrays(own, bodyparts, offsets.get(name, 0), frames) for name, own in read_in.items()]
    pixels, likelihood, covariance = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return Recording(
        cameras,
        bodyparts,
        _times(read_in, offsets, frames) if rate is None else np.arange(frames) / rate,
        pixels,
        likelihood,
        np.nan_to_num(covariance) if np.isfinite(covariance).any() else None,
        offsets,
    )


def _chosen(calibration: Path, cameras: Cameras, tracks: Mapping[str, str]) -> Cameras:
    """The cameras that have tracks, in the calibration's order."""
    for name in tracks:
        if name not in cameras.names:
            hint = did_you_mean(name, cameras.names, f"its cameras are {', '.join(cameras.names)}")
            raise InputError(f"--tracks={name}=...: {calibration} has no camera '{name}': {hint}")
    if without := [name for name in cameras.names if name not in tracks]:
        raise InputError(
            f"there are no tracks of the camera '{without[0]}' of {calibration}: add {without[0]}=FILE to --tracks, or "
            f"{without[0]}= to leave the camera out"
        )
    names = [name for name in cameras.names if tracks[name]]
    if len(names) < 2:
        raise InputError(
            f"--tracks has tracks of {len(names)} camera{'s' * (len(names) != 1)}: a point in space needs two or more"
        )
    paths = [user_path(tracks[name]).resolve() for name in names]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            one, other = names[paths.index(path)], names[number]
            raise InputError(f"--tracks: {path} is given for '{one}' and for '{other}': each camera has its own tracks")
    chosen = select(cameras, names)
    if np.ptp(camera_places(chosen), axis=0).max() < APART:
        raise InputError(
            f"{calibration}: the cameras {', '.join(names)} all stand at the same place, from where no depth can be "
            f"seen: give a calibration with their rotations and translations, which calibrates them together"
        )
    return chosen


def _check_points(file: str, camera: str, tracks: Tracks, size: tuple[int, int] | None) -> None:
    """Raises InputError for tracks of several animals, without a point, without likelihoods, or of other frames."""
    points = tracks.keypoints[np.isfinite(tracks.keypoints).all(-1)]
    if tracks.likelihood.shape[1] != 1:
        raise InputError(f"{file}: holds tracks of several animals: give tracks of one")
    if not len(points):
        raise InputError(
            f"{file}: the tracks of the camera '{camera}' have no point in any frame: track its video again"
        )
    likelihood = tracks.likelihood[np.isfinite(tracks.likelihood)]
    if likelihood.size and not -ROUNDED <= likelihood.min() <= likelihood.max() <= 1 + ROUNDED:
        raise InputError(
            f"{file}: the likelihoods of the camera '{camera}' go from {likelihood.min():g} to {likelihood.max():g}: "
            f"give them as numbers from 0 to 1, or leave them empty where there are none"
        )
    if size is None:
        return
    if 0 not in tracks.size and tracks.size != size[::-1]:
        height, width = tracks.size
        raise InputError(
            f"{file}: the frames are {width}x{height} px, but the camera '{camera}' was calibrated with "
            f"{size[0]}x{size[1]}: give tracks in pixels of that size, or calibrate with frames of the video's"
        )
    margin = OUTSIDE * np.array(size)
    outside = ((points < -margin) | (points > np.array(size) + margin)).any(-1).mean()
    if outside > OUTSIDE:
        raise InputError(
            f"{file}: {outside:.0%} of the points lie outside the {size[0]}x{size[1]} px with which the camera "
            f"'{camera}' was calibrated: give tracks in pixels of that size, or calibrate with frames of the video's"
        )


def _common_bodyparts(files: Mapping[str, str], tracks: Mapping[str, Tracks], wanted: Sequence[str]) -> tuple[str, ...]:
    first, *_ = tracks
    for name in wanted:
        if without := [camera for camera, own in tracks.items() if name not in own.bodyparts]:
            choices = tracks[without[0]].bodyparts
            hint = did_you_mean(name, choices, f"its bodyparts are {listed(choices, 10)}")
            raise InputError(f"--bodyparts: {files[without[0]]} has no bodypart '{name}': {hint}")
    if wanted:
        return tuple(dict.fromkeys(wanted))
    bodyparts = tracks[first].bodyparts
    for camera, own in tracks.items():
        if set(own.bodyparts) != set(bodyparts):
            more = [name for name in bodyparts if name not in own.bodyparts]
            having, lacking = (first, camera) if more else (camera, first)
            name = more[0] if more else next(name for name in own.bodyparts if name not in bodyparts)
            raise InputError(
                f"{files[lacking]} has no bodypart '{name}', but {files[having]} has: name those to take, which all "
                f"have, with --bodyparts=A,B,..."
            )
    return bodyparts


def _common_length(files: Mapping[str, str], tracks: Mapping[str, Tracks], offsets: Mapping[str, int]) -> int:
    """Number of frames of the cameras that have no offset, or of the shortest if all have one."""
    for camera, offset in offsets.items():
        if abs(offset) >= len(tracks[camera]):
            raise InputError(
                f"--offsets={camera}={offset}: {files[camera]} has {len(tracks[camera])} frames, none of which would "
                "be left: an offset is a few frames"
            )
    lengths = {camera: len(own) for camera, own in tracks.items() if camera not in offsets}
    if not lengths:
        return min(map(len, tracks.values()))
    (long, most), (short, least) = (extreme(lengths.items(), key=lambda item: item[1]) for extreme in (max, min))
    if most != least:
        raise InputError(
            f"{files[long]} has {most} frames, but {files[short]} has {least}: give tracks of the same frames, or say "
            f"with --offsets={short}=N that frame t + N of '{short}' was taken at the time of the others' frame t"
        )
    return most


def _arrays(
    tracks: Tracks, bodyparts: Sequence[str], offset: int, frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, likelihoods and covariances of the frames from `offset` on, missing where there are none."""
    order = [tracks.bodyparts.index(name) for name in bodyparts]
    place = np.arange(frames) + offset
    inside = (place >= 0) & (place < len(tracks))
    place = np.clip(place, 0, len(tracks) - 1)
    pixels = tracks.keypoints[place, 0][:, order].astype(np.float64)
    found = np.isfinite(pixels).all(-1) & inside[:, None]
    likelihood = np.nan_to_num(tracks.likelihood[place, 0][:, order].astype(np.float64), nan=1.0)
    covariance = tracks.covariance[place, 0][:, order].astype(np.float64)
    pixels, covariance = (
        np.where(found[..., None], pixels, np.nan),
        np.where(found[..., None, None], covariance, np.nan),
    )
    return pixels, np.where(found, likelihood, 0), covariance


def _times(tracks: Mapping[str, Tracks], offsets: Mapping[str, int], frames: int) -> np.ndarray:
    """Times of the first camera that knows them and is not shifted; else numbers of frames."""
    rates = {camera: own.frames_per_second for camera, own in tracks.items() if own.size != (0, 0)}
    if rates and max(rates.values()) > 1.01 * min(rates.values()):
        fast, slow = max(rates, key=rates.get), min(rates, key=rates.get)
        warn(
            f"the camera '{fast}' took {rates[fast]:g} frames a second and '{slow}' {rates[slow]:g}: are they matched?"
        )
    for camera in rates:
        if camera not in offsets and len(tracks[camera]) == frames:
            return tracks[camera].times
    return np.arange(frames) / next(iter(rates.values()), 1.0)
