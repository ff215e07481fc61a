"""What a user asks `pawjax.triangulate` for, and the checks that need no computation."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pawjax.data.video import LABELLED, open_video
from pawjax.errors import InputError, did_you_mean, listed
from pawjax.files import user_path
from pawjax.pose3d.cameras import Cameras
from pawjax.pose3d.parameters import Prior
from pawjax.pose3d.settings import MODELS, WITH_LIMBS, Settings
from pawjax.pose3d.skeleton import limbs_of, parents_of
from pawjax.reconstruction.recording import Recording
from pawjax.reconstruction.triangulated import NAMES
from pawjax.report.looks import parse_skeleton


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


class Tree(NamedTuple):
    """Limbs, pairs of bodyparts; for models the parents [K] and the spine, indices of its rear and front."""

    limbs: tuple[tuple[str, str], ...]
    parents: tuple[int, ...] | None = None
    spine: tuple[int, int] | None = None


def tree_of(recording: Recording, request: Request, prior: Prior | None) -> Tree:
    """The limbs of the request, or of its prior. Raises InputError for those that the model cannot take."""
    model, bodyparts = request.settings.model, recording.bodyparts
    limbs = parse_skeleton(request.skeleton, bodyparts) if request.skeleton else ()
    if prior is not None:
        _check_prior(request, prior, recording)
        if not limbs and prior.limbs is not None:
            limbs = limbs_of(bodyparts, prior.limbs.parents)
        return Tree(limbs)
    if model not in WITH_LIMBS:
        return Tree(limbs)
    return Tree(limbs, parents_of(bodyparts, limbs), _spine(request.spine, bodyparts) if model == "gimbal" else None)


def check_out(request: Request) -> None:
    """Raises InputError if `out` is a file, or holds some of ours already, unless they are to be overwritten."""
    if request.out.exists() and not request.out.is_dir():
        raise InputError(f"--out={request.out} is a file: give the name of a folder")
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
