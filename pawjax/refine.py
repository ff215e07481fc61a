"""python -m pawjax.refine --workdir=RUN[,RUN...] VIDEO_FOLDER_OR_GLOB ... --out=PROJECT [--frames=20]

Chooses the frames of each video that are most worth labelling, and writes them as a DeepLabCut project that its
labelling tools and the next training read: labeled-data/VIDEO/imgNNNN.png, and the network's points in
machinelabels-iterN.h5 and .csv for you to correct. refine_VIDEO.png shows the frames and why each was chosen: a point
jumps, has a low likelihood, a second place or a wide spread, or the networks of --workdir=RUN,RUN (or the views of
--flip and --scales) disagree. Frames close in time are taken once, and of frames that look alike one is chosen.

--out is a new folder, or a DeepLabCut project, e.g. your own: nothing that is there is changed, except that config.yaml
also lists the video. Frames of that project and of the one that the run was trained on are not chosen again. Tracks by
the same run beside the video, or in --tracks, are used; without them the video is predicted into PROJECT/tracks.

A network's points are no labels: frames count for training once you have saved them in the labelling tool.
"""

import sys
from pathlib import Path

from absl import flags

from pawjax import cli
from pawjax.errors import InputError, listed
from pawjax.files import user_path

SOME_FAILED = 1  # exit code if some of several videos failed


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Writes frames of the videos that the arguments name. Raises InputError for user errors."""
    from pawjax.data.project import open_project  # imported after the process is set up
    from pawjax.data.video import find_videos
    from pawjax.inference.opening import open_predictor
    from pawjax.inference.refinement import Request, check_extra, refine_video
    from pawjax.inference.videos import Options

    check_extra()
    if not arguments:
        raise InputError("no video to choose frames of: python -m pawjax.refine --workdir=RUN VIDEO ... --out=PROJECT")
    videos = find_videos(arguments)
    refuse_equal_names(videos)
    predictor = open_predictor(values.workdir, values.checkpoint, **cli.prediction_of_flags(values))
    project = open_project(user_path(values.out), predictor.bodyparts, source_of(predictor), values.scorer)
    project.create()
    tracks = user_path(values.tracks) if values.tracks else None
    request = Request(values.frames, predictor.pcutoff, values.seed, tracks)
    failed = []
    for number, path in enumerate(videos, 1):
        try:
            print(f"{number}/{len(videos)} {refine_video(predictor, path, project, request, Options(values.batch))}")
        except InputError as error:
            print(f"pawjax: {error}", file=sys.stderr, flush=True)
            failed.append(str(path))
    if failed:
        print(f"pawjax: {len(failed)} of {len(videos)} videos failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(SOME_FAILED if len(videos) > 1 else 2)


def refuse_equal_names(videos: list[Path]) -> None:
    """Raises InputError for videos that would share a folder of the project."""
    names = [path.stem for path in videos]
    if same := [path for path in videos if names.count(path.stem) > 1]:
        raise InputError(
            f"{listed([str(path) for path in same], 3)} have the same name, so their frames would share a folder: "
            "rename all but one, or give them one after another with another --out"
        )


def source_of(predictor):  # noqa: ANN001, ANN201
    """The config of the DeepLabCut project that a network was trained on; None if there is none, or not readable."""
    from pawjax.data.deeplabcut import project_folder, read_project_config

    try:
        return read_project_config(project_folder(user_path(predictor.project))) if predictor.project else None
    except InputError:
        return None


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_list("workdir", None, "Run folder; several are one ensemble.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_string("out", None, "Folder of the DeepLabCut project to write or to add to.", flag_values=values)
    flags.DEFINE_integer("frames", 20, "Frames of each video.", lower_bound=1, flag_values=values)
    flags.DEFINE_string("tracks", "", "Folder of the videos' tracks; beside each video if empty.", flag_values=values)
    text = "Who will label, in a new project; empty takes the scorer of the project that the run was trained on."
    flags.DEFINE_string("scorer", "", text, flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of the choice among frames.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("batch", 8, "Frames per call of the network.", lower_bound=1, flag_values=values)
    cli.define_prediction_flags(values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.refine",
    usage=__doc__,
    examples=("python -m pawjax.refine --workdir=runs/mine videos/m1.mp4 --out=more_frames",),
    main=main,
    define_flags=define_flags,
    required=("workdir", "out"),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
