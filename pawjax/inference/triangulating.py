"""From files of tracks and a calibration to files of points in space, as one call."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pawjax.data.video import LABELLED, open_video
from pawjax.errors import InputError, did_you_mean, listed, warn
from pawjax.files import need_output, user_path, write_json
from pawjax.inference.diagnosing import diagnose, summary
from pawjax.inference.recording import Recording, read_recording
from pawjax.inference.triangulated import NAMES, Triangulation, write_pictures, write_points
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.fitting import Posed, draw, fit_views, learn_prior, triangulate_views
from pawjax.pose3d.gibbs import Samples
from pawjax.pose3d.parameters import Fit, Prior
from pawjax.pose3d.prior_file import read_prior
from pawjax.pose3d.settings import MODELS, WITH_LIMBS, Settings
from pawjax.pose3d.skeleton import limbs_of, parents_of
from pawjax.pose3d.views import residuals
from pawjax.progress import announced
from pawjax.report.looks import parse_skeleton
from pawjax.report.triangulation import draw_diagnostics
from pawjax.tracks.points3d import Points

SURELY_OUTLIER = 0.5  # probability from which a point is not counted as used


@dataclasses.dataclass(frozen=True)
class Request:
    """What to triangulate, and where to.

    Attributes:
      calibration: file of the cameras.
      tracks: {camera: file of its tracks}; '' leaves the camera out.
      out: folder of what is written.
      settings: how.
      bodyparts: those to take; all if empty.
      offsets: {camera: n}: its frame t + n was taken at the time of the others' frame t.
      unit_mm: millimetres in the calibration's unit; None: millimetres.
      rate: frames per second; None: as the files say.
      skeleton: limbs, as 'snout-neck,neck-tail'; '' for none.
      spine: 'REAR,FRONT', the bodyparts that GIMBAL's first heading follows; '' for none.
      prior: file of a prior; None: learned from the recording.
      samples: draws of each chain; 0 for none.
      page: also write points3d.html, to look at the points in a browser.
      skeleton_video: also write skeleton.mp4.
      videos: {camera: its video}, into which the points are drawn.
      overwrite: replace what is in `out`.
    """

    calibration: Path
    tracks: Mapping[str, str]
    out: Path
    settings: Settings
    bodyparts: Sequence[str] = ()
    offsets: Mapping[str, int] = dataclasses.field(default_factory=dict)
    unit_mm: float | None = None
    rate: float | None = None
    skeleton: str = ""
    spine: str = ""
    prior: Path | None = None
    samples: int = 0
    page: bool = False
    skeleton_video: bool = False
    videos: Mapping[str, str] = dataclasses.field(default_factory=dict)
    overwrite: bool = False


def triangulate_files(request: Request) -> str:
    """Reads, triangulates and writes all files, and returns a short table of the diagnostics.

    Raises InputError for anything that does not fit, before it writes.
    """
    check_out(request)
    check_samples(request)
    prior = read_prior(request.prior) if request.prior else None
    about = request.bodyparts, request.offsets, request.unit_mm, request.rate
    recording = read_recording(request.calibration, request.tracks, *about)
    check_videos(request, recording.cameras)
    made = triangulate_recording(recording, request, prior)
    need_output(request.out, NAMES)
    for name in NAMES:  # nothing of an earlier model stays
        (request.out / name).unlink(missing_ok=True)
    write_points(request.out, request.settings.model, made)
    with announced("looking for swaps and shifts"):
        diagnostics = diagnose(recording, made.points, request.settings, made.samples)
    write_json(request.out / "diagnostics.json", diagnostics)
    draw_diagnostics(request.out / "diagnostics.png", diagnostics)
    looks = request.page, request.skeleton_video, request.videos
    write_pictures(request.out, request.settings.model, made, *looks)
    return summary(diagnostics)


def triangulate_recording(recording: Recording, request: Request, prior: Prior | None = None) -> Triangulation:
    """The points of a recording by the model of the request's settings; without a prior, one is learned from it."""
    settings = request.settings
    limbs = parse_skeleton(request.skeleton, recording.bodyparts) if request.skeleton else ()
    parents = spine = None
    if prior is not None:
        _check_prior(request, prior, recording)
    elif settings.model in WITH_LIMBS:
        parents = parents_of(recording.bodyparts, limbs)
        spine = _spine(request.spine, recording.bodyparts) if settings.model == "gimbal" else None
    if not limbs and prior is not None and prior.limbs is not None:
        limbs = limbs_of(recording.bodyparts, prior.limbs.parents)
    seen = recording.cameras, recording.pixels
    with announced("triangulating, and compiling that before"):
        start = triangulate_views(*seen, recording.likelihood, settings)
    if settings.model not in MODELS:
        used = start.used
        missing = np.full(used.swapaxes(0, 1).shape, np.nan)
        points = _points(recording, start.points, start.covariance, missing, used)
        return Triangulation(recording, limbs, start, points)
    if settings.model == "gimbal":
        _warn_of_world(recording.cameras)
    if prior is None:
        with announced("learning the prior from the recording"):
            seen_as = recording.likelihood, recording.covariance
            prior = learn_prior(*seen, *seen_as, start, settings, recording.bodyparts, parents, spine)
    with announced(f"fitting {settings.model}, and compiling that before"):
        fit, posed = fit_views(*seen, recording.likelihood, recording.covariance, settings, prior, start)
    if not np.all(fit.converged):
        warn(f"{settings.model} has not converged everywhere: look at the points before you use them")
    outlier = np.asarray(fit.outliers)
    used = np.isfinite(outlier) & ~(outlier > SURELY_OUTLIER)
    points = _points(recording, fit.mean, fit.covariance, outlier, used.swapaxes(0, 1))
    samples = _draw(posed, fit, request) if request.samples else None
    return Triangulation(recording, limbs, start, points, prior, fit, samples)


def check_out(request: Request) -> None:
    """Raises InputError if files are there already, unless they are to be overwritten."""
    videos = [f"{camera}_{request.settings.model}_reprojected{LABELLED}.mp4" for camera in request.videos]
    there = [name for name in (*NAMES, *videos) if (request.out / name).exists()]
    if there and not request.overwrite:
        raise InputError(
            f"{request.out} holds {listed(there, 3)} already: give another --out, or --overwrite to replace them"
        )


def check_videos(request: Request, cameras: Cameras) -> None:
    """Raises InputError for a video of no camera, or of one that is shifted, or whose frames have another size."""
    for camera, file in request.videos.items():
        words = f"--videos={camera}={file}:"
        if camera not in cameras.names:
            hint = did_you_mean(camera, cameras.names, f"they are {', '.join(cameras.names)}")
            raise InputError(f"{words} --tracks names no such camera: {hint}")
        if request.offsets.get(camera):
            raise InputError(f"{words} no video of a camera with --offsets can be drawn: leave it out")
        video, size = open_video(user_path(file)), cameras.sizes[cameras.names.index(camera)]
        if size not in (None, (video.width, video.height)):
            raise InputError(
                f"{words} its frames are {video.width}x{video.height} px, but the camera was calibrated with "
                f"{size[0]}x{size[1]}: give the video that was tracked"
            )


def check_samples(request: Request) -> None:
    """Raises InputError for draws of what is no model, or of a form of one that the sampler does not have."""
    settings = request.settings
    if request.samples and settings.model not in MODELS:
        raise InputError(
            f"--samples={request.samples}: {settings.model} is no model to draw from: use {listed(MODELS, 4)}"
        )
    usual = Settings()
    for field in ("noise", "form"):
        if request.samples and getattr(settings, field) != getattr(usual, field):
            raise InputError(
                f"--samples={request.samples}: only config.{field} = {getattr(usual, field)!r} can be drawn "
                f"from: set it"
            )


def _points(
    recording: Recording, mean: np.ndarray, covariance: np.ndarray, outlier: np.ndarray, used: np.ndarray
) -> Points:
    mean = np.asarray(mean, np.float64)
    residual = np.linalg.norm(residuals(recording.cameras, recording.pixels, mean), axis=-1)
    names = recording.bodyparts, recording.cameras.names, recording.times
    return Points(*names, mean, np.asarray(covariance), outlier, residual, used, recording.likelihood)


def _spine(text: str, bodyparts: Sequence[str]) -> tuple[int, int]:
    names = text.split(",") if text else []
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(bodyparts):
        raise InputError(
            f"--spine={text}: gimbal needs two bodyparts, REAR,FRONT, whose direction is where the animal heads; the "
            f"bodyparts are {listed(bodyparts, 10)}"
        )
    return bodyparts.index(names[0]), bodyparts.index(names[1])


def _check_prior(request: Request, prior: Prior, recording: Recording) -> None:
    """Raises InputError for a prior of other bodyparts or cameras, or without what the model needs."""
    if tuple(prior.bodyparts) != recording.bodyparts:
        raise InputError(
            f"{request.prior}: the prior is of the bodyparts {listed(prior.bodyparts, 10)}, the tracks of "
            f"{listed(recording.bodyparts, 10)}: give --bodyparts={','.join(prior.bodyparts)} or another prior"
        )
    if (count := np.shape(prior.noise.inlier)[-2]) != len(recording.cameras):
        raise InputError(
            f"{request.prior}: the prior is of {count} cameras, the recording of {len(recording.cameras)}: give a "
            f"prior of these, or none"
        )
    lacks = {"model2": prior.limbs is None, "gimbal": prior.limbs is None or prior.states is None}
    if lacks.get(request.settings.model):
        raise InputError(
            f"{request.prior}: the prior has no {'limbs' if prior.limbs is None else 'pose states'}, which "
            f"{request.settings.model} needs: give one that was learned for it"
        )


def _warn_of_world(cameras: Cameras) -> None:
    """GIMBAL's animal turns about z."""
    off = np.abs(cameras.rotation).max(-1) + np.abs(cameras.translation).max(-1)
    if off.min() < 1e-6:
        name = cameras.names[int(off.argmin())]
        warn(
            f"the world is the frame of the camera '{name}', so z is no vertical about which animals turn: gimbal is "
            "better with a world whose z points up, as pawjax.calibrate --world gives"
        )


def _draw(posed: Posed, fit: Fit, request: Request) -> Samples:
    with announced(f"drawing from {request.settings.model}, and compiling that before"):
        return draw(posed, fit, request.samples, request.settings.seed)
