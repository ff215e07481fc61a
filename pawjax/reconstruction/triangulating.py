"""From files of tracks and a calibration to files of points in space, as one call."""

import numpy as np

from pawjax.errors import warn
from pawjax.files import need_output, write_json
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.fitting import check_draws, draw, fit_views, learn_prior, triangulate_views
from pawjax.pose3d.parameters import Prior
from pawjax.pose3d.prior_file import read_prior
from pawjax.pose3d.settings import MODELS, Settings
from pawjax.pose3d.views import residuals
from pawjax.progress import announced
from pawjax.reconstruction.diagnosing import diagnose, summary
from pawjax.reconstruction.recording import Recording, read_recording
from pawjax.reconstruction.request import Request, Tree, check_out, check_samples, check_videos, tree_of
from pawjax.reconstruction.triangulated import NAMES, Triangulation, write_pictures, write_points
from pawjax.report.triangulation import draw_diagnostics
from pawjax.tracks.points3d import Points

SURELY_OUTLIER = 0.5  # probability from which a point is not counted as used


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
    check_draws(request.samples, len(recording.times), len(recording.bodyparts))
    tree = tree_of(recording, request, prior)
    need_output(request.out, NAMES)
    made = triangulate_recording(recording, request.settings, tree, prior, request.samples)
    with announced("looking for swaps and shifts"):
        diagnostics = diagnose(recording, made.points, request.settings, made.samples)
    for name in NAMES:  # nothing of an earlier model stays
        (request.out / name).unlink(missing_ok=True)
    write_points(request.out, request.settings.model, made)
    write_json(request.out / "diagnostics.json", diagnostics)
    draw_diagnostics(request.out / "diagnostics.png", diagnostics)
    looks = request.page, request.skeleton_video, request.videos
    write_pictures(request.out, request.settings.model, made, *looks)
    return summary(diagnostics)


def triangulate_recording(
    recording: Recording, settings: Settings, tree: Tree, prior: Prior | None = None, samples: int = 0
) -> Triangulation:
    """The points of a recording by the model of the settings; without a prior, one is learned from the recording.

    Args:
      recording: what cameras saw.
      settings: how.
      tree: with parents for Model 2 and GIMBAL, and the spine for GIMBAL, unless there is a prior.
      prior: of the model.
      samples: draws of each chain; 0 for none.

    Raises InputError where nothing is seen by two cameras, or where there is too little to learn a prior from.
    """
    seen, limbs = (recording.cameras, recording.pixels, recording.likelihood), tree.limbs
    with announced("triangulating, and compiling that before"):
        start = triangulate_views(*seen, settings)
    if settings.model not in MODELS:
        used = start.used
        missing = np.full(used.swapaxes(0, 1).shape, np.nan)
        points = _points(recording, start.points, start.covariance, missing, used)
        return Triangulation(recording, limbs, start, points)
    if settings.model == "gimbal":
        _warn_of_world(recording.cameras)
    if prior is None:
        with announced("learning the prior from the recording"):
            body = recording.bodyparts, tree.parents, tree.spine
            prior = learn_prior(*seen, recording.covariance, start, settings, *body)
    with announced(f"fitting {settings.model}, and compiling that before"):
        fit, posed = fit_views(*seen, recording.covariance, settings, prior, start)
    if not np.all(fit.converged):
        warn(f"{settings.model} has not converged everywhere: look at the points before you use them")
    outlier = np.asarray(fit.outliers)
    used = np.isfinite(outlier) & ~(outlier > SURELY_OUTLIER)
    points = _points(recording, fit.mean, fit.covariance, outlier, used.swapaxes(0, 1))
    drawn = None
    if samples:
        with announced(f"drawing from {settings.model}, and compiling that before"):
            drawn = draw(posed, fit, samples, settings.seed)
    return Triangulation(recording, limbs, start, points, prior, fit, drawn)


def _points(
    recording: Recording, mean: np.ndarray, covariance: np.ndarray, outlier: np.ndarray, used: np.ndarray
) -> Points:
    mean = np.asarray(mean, np.float64)
    residual = np.linalg.norm(residuals(recording.cameras, recording.pixels, mean), axis=-1)
    names = recording.bodyparts, recording.cameras.names, recording.times
    return Points(*names, mean, np.asarray(covariance), outlier, residual, used, recording.likelihood)


def _warn_of_world(cameras: Cameras) -> None:
    """GIMBAL's animal turns about z."""
    off = np.abs(cameras.rotation).max(-1) + np.abs(cameras.translation).max(-1)
    if off.min() < 1e-6:
        name = cameras.names[int(off.argmin())]
        warn(
            f"the world is the frame of the camera '{name}', so z is no vertical about which animals turn: gimbal is "
            "better with a world whose z points up, as pawjax.calibrate --world gives"
        )
