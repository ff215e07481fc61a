"""python -m pawjax.predict --workdir=RUN[,RUN ...] VIDEO_FOLDER_OR_GLOB ... [--out=FOLDER] [--batch=8]
                         [--crop=x,y,w,h] [--track_window=PX] [--formats=dlc,lp,sleap,coco,nwb,movement]
                         [--filter=median|savgol|kalman|ensemble_kalman|viterbi]
                         [--labelled_video] [--page] [--plots] [--shard=1/4]
python -m pawjax.predict --snapshot=PROJECT/dlc-models-pytorch/.../snapshot-best.pt VIDEO_FOLDER_OR_GLOB ...

Writes the tracks of every video: VIDEOpawjax_RUN_STEP.tracks.h5, which also holds each frame's presentation time, each
point's covariance and the next best place, and from it the files of each format, e.g. VIDEODLC_pawjax_RUN_STEP.csv and
.h5 of DeepLabCut. They lie beside the video, or in --out. --filter writes filtered tracks beside the raw ones, in the
same formats, with names in _filtered. The same command again goes on where a killed one was, and skips what is done;
with other formats or another filter it predicts nothing again. A folder of pictures is one video.

Several runs are one ensemble: the tracks are the means of theirs, and hold their disagreement. With
--filter=ensemble_kalman, frames in which they disagree count little. --filter=viterbi puts a point at its next best
place where that fits the frames before and after.

--snapshot takes a network that DeepLabCut trained, as it is.

To look at: --labelled_video writes _pCUTOFF_labeled.mp4, --page an HTML file to review the tracks in a browser, and
--plots pictures into plot-poses/, all beside the tracks; of the filtered tracks if there are any. --truth prints the
errors of one video against a table of its true points.

--animals=2 finds two animals in each frame, with a run that was trained on frames of one. Frames are independent: which
of the two is the first is arbitrary in each frame. What needs to know one and the same animal over time is refused.

--shard=2/4 predicts the second of four equal parts of the videos; launch/predict.sbatch does so on a SLURM cluster.

A video that cannot be predicted is reported, and the others go on; the exit code is then 1.
"""

import sys

from absl import flags

from pawjax import cli
from pawjax.errors import InputError
from pawjax.files import user_path

SOME_FAILED = 1  # exit code if some of several videos failed
OF_ONE_ANIMAL = ("track_window", "filter", "page", "plots", "truth")  # flags


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Predicts the videos that the arguments name. Raises InputError for user errors."""
    from pawjax.data.video import find_videos  # imported after the process is set up
    from pawjax.inference.job import Job, shard_of
    from pawjax.inference.opening import open_predictor
    from pawjax.inference.videos import Options
    from pawjax.tracks.formats import check_formats, check_scorer

    formats = [name for name in values.formats.split(",") if name]
    check_formats(formats, values.animals)
    for name in OF_ONE_ANIMAL if values.animals > 1 else ():
        if values[name].value:
            raise InputError(f"--{name} needs one and the same animal in all frames, not --animals: leave one out")
    check_scorer(values.dlc_scorer)
    if not arguments:
        raise InputError("no video to predict: python -m pawjax.predict --workdir=RUN VIDEO_FOLDER_OR_GLOB ...")
    videos = find_videos(arguments)
    if values.shard:
        videos = shard_of(videos, *numbers_of_shard(values.shard))
    if values.truth and len(videos) > 1:
        raise InputError(f"--truth={values.truth} is of one video, not of {len(videos)}: give that video alone")
    options = Options(values.batch, crop_of(values.crop), values.track_window)
    if bool(values.workdir) == bool(values.snapshot):
        raise InputError("give either --workdir=RUN or --snapshot=FILE, and not both")
    chosen = cli.prediction_of_flags(values)
    predictor = open_predictor(values.workdir or [], values.checkpoint, values.snapshot, values.animals, **chosen)
    job = Job(
        predictor,
        options,
        user_path(values.out) if values.out else None,
        formats,
        values.filter,
        values.dlc_scorer,
        looks_of(values, predictor),
        user_path(values.truth) if values.truth else None,
        values.overwrite,
    )
    failed = job.predict_all(videos)
    if failed:
        names = ", ".join(map(str, failed))
        print(f"pawjax: {len(failed)} of {len(videos)} videos failed: {names}", file=sys.stderr)
        sys.exit(SOME_FAILED if len(videos) > 1 else 2)


def looks_of(values: flags.FlagValues, predictor):  # noqa: ANN001, ANN201
    """What --labelled_video, --page, --plots and --skeleton ask for. Raises InputError for a wrong skeleton."""
    from pawjax.report.looks import Looks, parse_skeleton, project_skeleton

    if values.skeleton:
        skeleton = parse_skeleton(values.skeleton, predictor.bodyparts)
    else:
        skeleton = project_skeleton(predictor.project)
    return Looks(values.labelled_video, values.page, values.plots, predictor.pcutoff, skeleton)


def numbers_of_shard(text: str) -> tuple[int, int]:
    """(2, 4) of '2/4'. Raises InputError for anything but two such numbers."""
    number, _, n_shards = text.partition("/")
    if number.isdecimal() and n_shards.isdecimal() and 1 <= int(number) <= int(n_shards):
        return int(number), int(n_shards)
    raise InputError(f"--shard={text} must be a part and the number of parts, from 1/4 to 4/4 for four")


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
    flags.DEFINE_list("workdir", None, "Run folder; several are one ensemble.", flag_values=values)
    flags.DEFINE_string("snapshot", "", "Weights that DeepLabCut trained (.pt, .npz), instead.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_string("out", "", "Folder of the tracks; beside each video if empty.", flag_values=values)
    flags.DEFINE_integer("batch", 8, "Frames per call of the network.", lower_bound=1, flag_values=values)
    text = "Animals in each frame, up to 4; in each frame, their order is arbitrary."
    flags.DEFINE_integer("animals", 1, text, flag_values=values)
    flags.DEFINE_string("crop", "", "Predict only this rectangle of the frames: x,y,width,height.", flag_values=values)
    text = "Follow the animal with a window of this side, px: faster where it is small. 0 predicts whole frames."
    flags.DEFINE_integer("track_window", 0, text, lower_bound=0, flag_values=values)
    text = "What to write besides pawjax's own file, separated by commas: dlc, lp, sleap, coco, nwb, movement."
    flags.DEFINE_string("formats", "dlc", text, flag_values=values)
    text = "Also write tracks filtered over time; empty for none."
    filters = ["", "median", "savgol", "kalman", "ensemble_kalman", "viterbi"]
    flags.DEFINE_enum("filter", "", filters, text, flag_values=values)
    text = "Scorer in DeepLabCut's files, e.g. that of a network of your project, whose later steps then find them."
    flags.DEFINE_string("dlc_scorer", "", text, flag_values=values)
    flags.DEFINE_bool("labelled_video", False, "Also write a video with the points drawn on it.", flag_values=values)
    flags.DEFINE_bool("page", False, "Also write a page to review the tracks in a browser.", flag_values=values)
    flags.DEFINE_bool("plots", False, "Also draw trajectories, courses over time and histograms.", flag_values=values)
    text = "Bodyparts that lines join, e.g. snout-neck,neck-tail; empty takes the skeleton of the DeepLabCut project."
    flags.DEFINE_string("skeleton", "", text, flag_values=values)
    flags.DEFINE_string("truth", "", "Table of true points (.csv, .h5) of the one video.", flag_values=values)
    text = "Predict only a part of the videos, e.g. 2/4, the second of four."
    flags.DEFINE_string("shard", "", text, flag_values=values)
    flags.DEFINE_bool("overwrite", False, "Predict again what is done.", flag_values=values)
    cli.define_prediction_flags(values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.predict",
    usage=__doc__,
    examples=("python -m pawjax.predict --workdir=runs/mine videos/ --out=tracks",),
    main=main,
    define_flags=define_flags,
    required=(),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
