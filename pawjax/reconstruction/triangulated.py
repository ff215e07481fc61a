"""What a triangulation is, and its files: tables of points, the prior, the page and the videos."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pawjax.errors import warn
from pawjax.files import user_path
from pawjax.pose3d.gibbs import Samples
from pawjax.pose3d.parameters import Fit, Prior
from pawjax.pose3d.prior_file import save_prior
from pawjax.pose3d.settings import MODELS
from pawjax.pose3d.triangulation import Triangulated
from pawjax.reconstruction.recording import Recording
from pawjax.report.scene import Positions, Scene
from pawjax.report.scene_page import write_scene_page
from pawjax.report.scene_pictures import write_reprojections, write_skeleton_video
from pawjax.tracks import points3d
from pawjax.tracks.formats import FORMATS
from pawjax.tracks.points3d import Points

NAMES = ("points3d.csv", "points3d.h5", "points3d.anipose.csv", "points3d.npz", "prior.npz")
NAMES += ("diagnostics.json", "diagnostics.png", "points3d.html", "skeleton.mp4")


@dataclasses.dataclass(frozen=True)
class Triangulation:
    """What came out.

    Attributes:
      recording: what it was made from.
      limbs: pairs of bodyparts.
      start: the triangulation of each frame by itself.
      points: of the model.
      prior: of the model, or None.
      fit: of the model, or None.
      samples: draws of the model, or None.
    """

    recording: Recording
    limbs: tuple[tuple[str, str], ...]
    start: Triangulated
    points: Points
    prior: Prior | None = None
    fit: Fit | None = None
    samples: Samples | None = None


def write_points(out: Path, model: str, made: Triangulation) -> None:
    """Writes the points in all formats, and the prior."""
    scorer = f"pawjax_{model}"
    points3d.write_dlc_csv(out / "points3d.csv", made.points, scorer)
    if missing := FORMATS["dlc"][1].missing:
        warn(f"points3d.h5 is not written: it needs {missing}")
    else:
        points3d.write_dlc_h5(out / "points3d.h5", made.points, scorer)
    points3d.write_anipose_csv(out / "points3d.anipose.csv", made.points)
    more = {"model": np.asarray(model), "triangulated": made.start.points}
    if made.fit is not None and made.fit.states is not None:
        more |= {"heading": made.fit.heading, "states": made.fit.states}
    if made.samples is not None:
        drawn = {name: getattr(made.samples, name) for name in ("positions", "mean", "covariance", "outliers")}
        more |= {f"drawn_{name}": values for name, values in drawn.items()}
    points3d.write_npz(out / "points3d.npz", made.points, more)
    if made.prior is not None:
        save_prior(out / "prior.npz", made.prior)


def write_pictures(
    out: Path, model: str, made: Triangulation, page: bool, skeleton_video: bool, videos: Mapping[str, str]
) -> None:
    """Writes what is asked for: the page, the video of the skeleton, videos {camera: file} with reprojected points."""
    if not (page or skeleton_video or videos):
        return
    scene = scene_of(made, model)
    if page:
        write_scene_page(scene, out / "points3d.html", f"{model}: {', '.join(made.recording.cameras.names)}")
    if skeleton_video:
        write_skeleton_video(scene, model, out / "skeleton.mp4")
    if videos:
        write_reprojections(scene, model, {camera: user_path(file) for camera, file in videos.items()}, out)


def scene_of(made: Triangulation, model: str) -> Scene:
    """What the pictures show: the triangulation of each frame by itself, the model, and the mean of its draws."""
    recording = made.recording
    ways = [Positions("ransac", made.start.points, made.start.covariance, None)]
    if model == "median":
        ways = [Positions("median", made.points.mean, made.points.covariance, None)]
    elif model in MODELS:
        ways.append(Positions(model, made.points.mean, made.points.covariance, made.points.outlier))
    if made.samples is not None:
        ways.append(Positions(f"{model}, drawn", made.samples.mean, made.samples.covariance, made.samples.outliers))
    places = {name: place for place, name in enumerate(recording.bodyparts)}
    edges = tuple((places[a], places[b]) for a, b in made.limbs)
    seen = recording.pixels, recording.likelihood
    return Scene(recording.bodyparts, edges, recording.times, recording.cameras, *seen, tuple(ways))
