"""python -m pawjax.predict --workdir=RUN VIDEO_FOLDER_OR_GLOB ... [--out=FOLDER] [--batch=8]
                         [--crop=x,y,w,h] [--track_window=PX] [--formats=dlc,lp,sleap,coco,nwb,movement]
                         [--filter=median|savgol|kalman] [--labelled_video] [--page] [--plots]

Writes the tracks of every video: VIDEOpawjax_RUN_STEP.tracks.h5, which also holds each frame's presentation time, each
point's covariance and the next best place, and from it the files of each format, e.g. VIDEODLC_pawjax_RUN_STEP.csv and
.h5 of DeepLabCut. They lie beside the video, or in --out. --filter writes filtered tracks beside the raw ones, in the
same formats, with names in _filtered. The same command again goes on where a killed one was, and skips what is done;
with other formats or another filter it predicts nothing again. A folder of pictures is one video.

To look at: --labelled_video writes _pCUTOFF_labeled.mp4, --page an HTML file to review the tracks in a browser, and
--plots pictures into plot-poses/, all beside the tracks. Delete one to have it drawn again.

A video that cannot be predicted is reported, and the others go on; the exit code is then 1.
"""

import sys
from pathlib import Path

from absl import flags

from pawjax import cli
from pawjax.errors import InputError, warn
from pawjax.files import user_path

SOME_FAILED = 1  # exit code if some of several videos failed


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Predicts the videos that the arguments name. Raises InputError for user errors."""
    from pawjax.data.video import find_videos  # imported after the process is set up
    from pawjax.inference.predictors import predictor_of_run, scorer_of
    from pawjax.inference.run import open_run
    from pawjax.inference.videos import Options
    from pawjax.tracks.formats import check_formats

    formats = [name for name in values.formats.split(",") if name]
    check_formats(formats)
    if not arguments:
        raise InputError("no video to predict: python -m pawjax.predict --workdir=RUN VIDEO_FOLDER_OR_GLOB ...")
    videos = find_videos(arguments)
    options = Options(values.batch, crop_of(values.crop), values.track_window)
    run = open_run(values.workdir, values.checkpoint, **cli.prediction_of_flags(values))
    predictor, looks = predictor_of_run(run), looks_of(values, run)
    failed = []
    for number, path in enumerate(videos, 1):
        folder = user_path(values.out) if values.out else path.parent
        try:
            line, tracks = predict_one(predictor, path, folder, options, values.overwrite)
            write_files(tracks, path.stem, scorer_of(predictor), formats, values)
            looks.write(path, tracks)
            print(f"{number}/{len(videos)} {line}")
        except InputError as error:
            print(f"pawjax: {error}", file=sys.stderr, flush=True)
            failed.append(path)
    if failed:
        names = ", ".join(map(str, failed))
        print(f"pawjax: {len(failed)} of {len(videos)} videos failed: {names}", file=sys.stderr)
        sys.exit(SOME_FAILED if len(videos) > 1 else 2)


def predict_one(predictor, path: Path, folder: Path, options, overwrite: bool):  # noqa: ANN001, ANN201
    """Predicts one video into `folder` and returns a line about it and the file of its tracks."""
    from pawjax.data.video import open_video
    from pawjax.inference.pipeline import Stages
    from pawjax.inference.predictors import scorer_of
    from pawjax.inference.videos import is_done, predict_video
    from pawjax.tracks.file import ENDING

    target = folder / f"{path.stem}{scorer_of(predictor)}{ENDING}"
    if not is_done(predictor, path, target) or overwrite:
        video, stages = open_video(path), Stages()
        broken = predict_video(predictor, video, target, options, stages)
        if broken:
            warn(f"{path} broke off early ({broken}): the tracks hold the frames before")
        text = str(stages)
    else:
        text = "was done before"
    return f"{path}: {text} -> {target}", target


def write_files(tracks: Path, video: str, scorer: str, formats: list[str], values: flags.FlagValues) -> None:
    """Writes what --formats and --filter ask for from a file of tracks."""
    from pawjax.tracks.formats import write_filtered, write_formats

    options = dict(overwrite=values.overwrite, dlc=values.dlc_scorer)
    write_formats(tracks, video, scorer, formats, **options)
    if values.filter:
        write_formats(write_filtered(tracks, values.filter, values.overwrite), video, scorer, formats, **options)


def looks_of(values: flags.FlagValues, run):  # noqa: ANN001, ANN201
    """What --labelled_video, --page, --plots and --skeleton ask for. Raises InputError for a wrong skeleton."""
    from pawjax.report.looks import Looks, parse_skeleton, project_skeleton

    if values.skeleton:
        skeleton = parse_skeleton(values.skeleton, run.bodyparts)
    else:
        skeleton = project_skeleton(run.config.data.source, run.config.data.path)
    return Looks(values.labelled_video, values.page, values.plots, run.config.pcutoff, skeleton)


def crop_of(text: str):  # noqa: ANN201
    """The rectangle that --crop names, or None. Raises InputError for anything but four numbers."""
    from pawjax.inference.videos import Crop

    if not text:
        return None
    try:
        x, y, width, height = map(int, text.split(","))
    except ValueError as error:
        raise InputError(f"--crop={text} must be four whole numbers x,y,width,height, e.g. 100,50,320,240") from error
    return Crop(x, y, width, height)


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("workdir", None, "Run folder.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_string("out", "", "Folder of the tracks; beside each video if empty.", flag_values=values)
    flags.DEFINE_integer("batch", 8, "Frames per call of the network.", lower_bound=1, flag_values=values)
    flags.DEFINE_string("crop", "", "Predict only this rectangle of the frames: x,y,width,height.", flag_values=values)
    text = "Follow the animal with a window of this side, px: faster where it is small. 0 predicts whole frames."
    flags.DEFINE_integer("track_window", 0, text, lower_bound=0, flag_values=values)
    text = "What to write besides pawjax's own file, separated by commas: dlc, lp, sleap, coco, nwb, movement."
    flags.DEFINE_string("formats", "dlc", text, flag_values=values)
    text = "Also write tracks filtered over time; empty for none."
    flags.DEFINE_enum("filter", "", ["", "median", "savgol", "kalman"], text, flag_values=values)
    text = "Scorer in DeepLabCut's files, e.g. that of a network of your project, whose later steps then find them."
    flags.DEFINE_string("dlc_scorer", "", text, flag_values=values)
    flags.DEFINE_bool("labelled_video", False, "Also write a video with the points drawn on it.", flag_values=values)
    flags.DEFINE_bool("page", False, "Also write a page to review the tracks in a browser.", flag_values=values)
    flags.DEFINE_bool("plots", False, "Also draw trajectories, courses over time and histograms.", flag_values=values)
    text = "Bodyparts that lines join, e.g. snout-neck,neck-tail; empty takes the skeleton of the DeepLabCut project."
    flags.DEFINE_string("skeleton", "", text, flag_values=values)
    flags.DEFINE_bool("overwrite", False, "Predict again what is done.", flag_values=values)
    cli.define_prediction_flags(values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.predict",
    usage=__doc__,
    examples=("python -m pawjax.predict --workdir=runs/mine videos/ --out=tracks",),
    main=main,
    define_flags=define_flags,
    required=("workdir",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
