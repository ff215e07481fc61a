"""From a run and a video to frames worth labelling, in a DeepLabCut project: the loop back to labels."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pawjax.data.names import nfc
from pawjax.data.project import Project, frame_name
from pawjax.data.video import FrameReader, Video, open_video, video_name
from pawjax.errors import InputError, warn
from pawjax.files import need_output
from pawjax.inference.opening import scorer_of
from pawjax.inference.parts import is_done
from pawjax.inference.predictor import Predictor
from pawjax.inference.videos import Options, origin_of_tracks, predict_video
from pawjax.report.gallery import points_grid
from pawjax.tracks.choice import Choice, rank, vary
from pawjax.tracks.deeplabcut import write_machine_labels
from pawjax.tracks.file import ENDING, read_tracks
from pawjax.tracks.formats import FORMATS, dlc_scorer
from pawjax.tracks.tracks import Tracks

THUMBNAIL = 32  # px, the width of the small pictures that are compared
TRACKS = "tracks"  # folder of tracks in the project


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
      n_frames: of each video.
      pcutoff: a lower likelihood is in doubt.
      seed: of the clusters.
      tracks: folder of the videos' tracks; None for those beside the videos.
    """

    n_frames: int
    pcutoff: float
    seed: int = 0
    tracks: Path | None = None


def check_extra() -> None:
    """Raises InputError if the extra that writes machine labels is not installed."""
    (file,) = (file for file in FORMATS["dlc"] if file.ending == ".h5")
    if file.missing:
        raise InputError(f"DeepLabCut's labelling tools open HDF5 files of pandas, which need {file.missing}")


def refine_video(predictor: Predictor, path: Path, project: Project, request: Request, options: Options) -> str:
    """Adds frames of a video that are worth labelling to a project, and returns a line about them.

    The files are labeled-data/VIDEO/imgNNNN.png, the network's points in machinelabels-iterN.h5 and .csv beside them,
    and refine_VIDEO.png, a picture to look at. Tracks by this predictor are used; without them the video is predicted.

    Args:
      predictor: finds the points.
      path: of the video.
      project: it is written to.
      request: what is asked for.
      options: how a video is fed to the network.

    Raises InputError for a video that cannot be read, or a project that its video cannot be added to.
    """
    video, name = open_video(path), path.stem
    config = project.config_with(video)
    source = _tracks_of(predictor, video, project, request, options)
    tracks = read_tracks(source)
    if broken := tracks.origin.get("broken"):
        warn(f"{path} broke off early ({broken}): frames are chosen among those before")
    ranked = rank(tracks, request.pcutoff, request.n_frames, project.labelled_frames(name))
    if not ranked:
        return f"{path}: every frame is labelled, or close in time to one that is"
    thumbnails = _frames(video, 1, [choice.frame for choice in ranked], _thumbnail)
    shown = np.stack([thumbnails[choice.frame] for choice in ranked])
    chosen = vary(ranked, shown, request.n_frames, request.seed)
    if len(chosen) < request.n_frames:
        warn(f"{path}: only {len(chosen)} frames are far enough apart in time from each other and from labelled ones")
    pixels = _frames(video, 1 if video.gray else 3, [choice.frame for choice in chosen])
    _write(project, name, config, tracks, pixels, scorer_of(predictor))
    picture = _draw(project.folder, name, tracks, chosen, pixels)
    return f"{path}: {len(chosen)} frames -> {project.folder / 'labeled-data' / name}, shown in {picture}"


def _tracks_of(predictor: Predictor, video: Video, project: Project, request: Request, options: Options) -> Path:
    """The file of the video's tracks by this predictor, predicted into the project if there is none."""
    name = f"{video_name(video.path)}{scorer_of(predictor)}{ENDING}"
    beside = (request.tracks or video.path.parent) / name
    origin = origin_of_tracks(predictor, video.path, options)
    if request.tracks is None and not _is_ours(origin, beside):
        beside = project.folder / TRACKS / name
    if not is_done(origin, beside):
        predict_video(predictor, video, beside, options)
    return beside


def _is_ours(origin: dict[str, str], path: Path) -> bool:
    try:
        return is_done(origin, path)
    except InputError:  # of the same name, but predicted otherwise: it is not needed
        return False


def _frames(
    video: Video, channels: int, numbers: Sequence[int], made: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> dict[int, np.ndarray]:
    """What is made of the pixels uint8 [H, W, C] of some frames, by their numbers, in the order of the video."""
    wanted, last = set(numbers), max(numbers)

    def read() -> Iterator[tuple[int, np.ndarray]]:
        for number, frame in enumerate(FrameReader(video, channels)):
            if number in wanted:
                yield number, made(frame.pixels)
            if number == last:
                return

    found = dict(read())
    if len(found) < len(wanted):
        raise InputError(f"{video.path}: has fewer frames than its tracks: predict it again")
    return found


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A frame uint8 [H, W, 1] at THUMBNAIL px width."""
    height, width = pixels.shape[:2]
    size = min(THUMBNAIL, width), max(1, round(height * min(THUMBNAIL, width) / width))
    return np.asarray(Image.fromarray(pixels[..., 0]).resize(size, Image.Resampling.BOX))


def _write(
    project: Project, name: str, config: str, tracks: Tracks, pixels: Mapping[int, np.ndarray], scorer: str
) -> None:
    """Writes pictures and machine labels into a hidden folder, and moves them to the project when all are there."""
    made = project.folder / "labeled-data" / f".{name}.refine"
    shutil.rmtree(made, ignore_errors=True)  # of a killed call
    need_output(made, ())
    pictures = [frame_name(number, len(tracks)) for number in pixels]
    for picture, frame in zip(pictures, pixels.values(), strict=True):
        Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).save(made / picture)
    labels = made / f"{project.labels_name(name)}.h5"
    write_machine_labels(labels, _for_project(tracks, [*pixels], project), pictures, name, dlc_scorer(scorer))
    project.add(name, made, config)


def _for_project(tracks: Tracks, frames: Sequence[int], project: Project) -> Tracks:
    """The tracks of some frames with all bodyparts of the project, NaN for those that the network does not predict."""
    known = {nfc(name): k for k, name in enumerate(tracks.bodyparts)}
    columns = np.array([known.get(nfc(name), -1) for name in project.bodyparts])

    def filled(values: np.ndarray) -> np.ndarray:
        values = values[frames][:, :, columns]
        values[:, :, columns < 0] = np.nan
        return values

    arrays = {name: filled(getattr(tracks, name)) for name in ("keypoints", "likelihood", "covariance", "second")}
    arrays["disagreement"] = filled(tracks.disagreement)
    return dataclasses.replace(tracks, **arrays, times=tracks.times[frames], bodyparts=project.bodyparts)


def _draw(folder: Path, name: str, tracks: Tracks, chosen: Sequence[Choice], pixels: Mapping[int, np.ndarray]) -> Path:
    """The chosen frames with their points and the reasons, in refine_VIDEO.png or the next name that is free."""
    names = (f"refine_{name}{number and f'_{number}' or ''}.png" for number in range(10**6))
    path = next(folder / one for one in names if not (folder / one).exists())
    frames = [choice.frame for choice in chosen]
    points = tracks.keypoints[frames]
    titles = [f"{choice.frame}: {choice.reason(tracks.bodyparts)}" for choice in chosen]
    shown = np.isfinite(points).all(-1)
    points_grid([pixels[frame] for frame in frames], points, shown, path, titles, 5, tracks.bodyparts)
    return path
