"""python -m pawjax.triangulate --calibration=FILE --tracks=CAMERA=FILE,CAMERA=FILE,...
                             --model=median|ransac|model0|model1|model2|gimbal --out=FOLDER

Puts the points that several cameras track into space. --calibration is of anipose, DeepLabCut, DANNCE, OpenCV or numpy,
and --tracks of DeepLabCut, Lightning Pose, SLEAP (analysis.h5) or pawjax, one file for each camera of the calibration;
CAMERA= without a file leaves a camera out. All files begin at the same time, or --offsets=CAMERA=N says that frame
t + N of this camera was taken at the time of the others' frame t.

median and ransac look at each frame by itself. model0 adds that bodyparts move little from frame to frame, model1 that
some points are outliers, model2 that limbs keep their lengths (--skeleton), and gimbal that animals turn and take poses
(--skeleton and --spine; z points up). They learn what they need to know from the recording, and write it as
FOLDER/prior.npz, which --prior takes for other recordings. --config=configs/pose3d_MODEL.py has the settings of a
model, which --config.FIELD=VALUE changes.

FOLDER holds points3d.csv and .h5 in DeepLabCut's columns, points3d.anipose.csv, points3d.npz with covariances, outlier
probabilities, errors and views, diagnostics.json and .png with the errors of each camera and bodypart, left and right
that seem swapped and cameras that seem shifted in time, and points3d.html, to look at it all in a browser.
--skeleton_video and --videos write videos too.

Models place a point that fewer than two cameras see as well. The column ncams and the array views tell which these are;
DeepLabCut's columns have no room for that and leave them empty. Positions are millimetres in the calibration's world.
Covariances are right as far as a tracker's errors are independent in cameras and frames, which those of one network are
not.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from pawjax import cli, config_file
from pawjax.errors import InputError, did_you_mean
from pawjax.files import user_path

MODELS = ("median", "ransac", "model0", "model1", "model2", "gimbal")
SEPARATE = ("--model", "-model", "--config", "-config")  # whose value may be the next word


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Triangulates the tracks that --tracks names. Raises InputError for user errors."""
    from pawjax.reconstruction.request import Request
    from pawjax.reconstruction.triangulating import triangulate_files  # imported after the process is set up

    cli.no_arguments(arguments)
    request = Request(
        user_path(values.calibration),
        pairs_of("tracks", values.tracks, "FILE"),
        user_path(values.out),
        settings_of(values),
        values.bodyparts,
        offsets_of(values.offsets),
        values.unit_mm,
        values.fps,
        values.skeleton,
        values.spine,
        user_path(values.prior) if values.prior else None,
        values.samples,
        values.page,
        values.skeleton_video,
        pairs_of("videos", values.videos, "FILE"),
        values.overwrite,
    )
    print(triangulate_files(request))
    print(f"-> {request.out}")


def settings_of(values: flags.FlagValues):  # noqa: ANN201
    """The settings of --config, with --cut. Raises InputError for a config that is none of the model."""
    from pawjax.pose3d.settings import Settings, check_fields

    check_fields(values.config)
    settings = Settings.of(values.config)
    if settings.model != values.model:
        raise InputError(
            f"--model={values.model} does not go with --config={cli.config_name(values)}, which is of "
            f"{settings.model}: give one of them"
        )
    return settings if values.cut is None else dataclasses.replace(settings, cut=values.cut)


def with_config(words: list[str]) -> list[str]:
    """The words, the command first, and pawjax's own config of the model if they name none.

    Raises InputError for an unknown model, which has no config either.
    """
    joined = [word.lstrip("-") for word in words if word.startswith("-")]
    joined += [f"{flag.lstrip('-')}={value}" for flag, value in itertools.pairwise(words) if flag in SEPARATE]
    named = {name: value for name, is_set, value in (word.partition("=") for word in joined) if is_set}
    model = named.get("model", "")
    if model and model not in MODELS:
        hint = did_you_mean(model, MODELS, f"it is one of {', '.join(MODELS)}")
        raise InputError(f"--model={model}: there is no such model; {hint}")
    if "config" in named or not model:
        return words
    own = config_file.shipped()[Path("configs") / f"pose3d_{model}.py"]
    return [words[0], f"--config={own}", *words[1:]]


def pairs_of(flag: str, words: Sequence[str], what: str) -> dict[str, str]:
    """{name: value} of words NAME=VALUE. Raises InputError for another word, or a name that comes twice."""
    pairs = {}
    for word in words:
        name, is_set, value = word.partition("=")
        if not name or not is_set:
            raise InputError(f"--{flag}={word} must be CAMERA={what}, several separated by commas")
        if name in pairs:
            raise InputError(f"--{flag}: the camera '{name}' is named twice: name it once")
        pairs[name] = value
    return pairs


def offsets_of(words: Sequence[str]) -> dict[str, int]:
    """{camera: frames} of words CAMERA=FRAMES. Raises InputError for anything else."""
    pairs = pairs_of("offsets", words, "FRAMES")
    try:
        return {name: int(value) for name, value in pairs.items()}
    except ValueError as error:
        raise InputError(f"--offsets={','.join(words)} must be whole numbers of frames, as side=3,top=-1") from error


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("calibration", None, "File of the calibrated cameras.", flag_values=values)
    flags.DEFINE_list("tracks", None, "CAMERA=FILE of each camera.", flag_values=values)
    flags.DEFINE_enum("model", None, MODELS, "How positions are found.", flag_values=values)
    flags.DEFINE_string("out", None, "Folder to write to.", flag_values=values)
    text = "Likelihood below which points are not used; by default as in the config."
    flags.DEFINE_float("cut", None, text, lower_bound=0.0, upper_bound=1.0, flag_values=values)
    flags.DEFINE_list("bodyparts", [], "Bodyparts to take; all if empty.", flag_values=values)
    flags.DEFINE_list("offsets", [], "CAMERA=FRAMES by which a camera's frames are ahead.", flag_values=values)
    text = "Millimetres in the calibration's unit; 1000 for metres."
    flags.DEFINE_float("unit_mm", None, text, lower_bound=1e-6, flag_values=values)
    text = "Frames per second, where the files of tracks do not say; frames are counted without."
    flags.DEFINE_float("fps", None, text, lower_bound=0.001, flag_values=values)
    flags.DEFINE_string("skeleton", "", "Limbs, as snout-neck,neck-tail; the first is the root.", flag_values=values)
    flags.DEFINE_string("spine", "", "REAR,FRONT: bodyparts that say where the animal heads.", flag_values=values)
    flags.DEFINE_string("prior", "", "Prior by an earlier call; learned if empty.", flag_values=values)
    text = "Also draw so many positions in each of four chains, for R-hat and honest covariances."
    flags.DEFINE_integer("samples", 0, text, lower_bound=0, flag_values=values)
    flags.DEFINE_bool("page", True, "Write points3d.html, to look at the points in a browser.", flag_values=values)
    flags.DEFINE_bool("skeleton_video", False, "Also write skeleton.mp4, the points in space.", flag_values=values)
    text = "CAMERA=FILE of videos into which the tracked and the reprojected points are drawn."
    flags.DEFINE_list("videos", [], text, flag_values=values)
    flags.DEFINE_bool("overwrite", False, "Replace what is in --out.", flag_values=values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.triangulate",
    usage=__doc__,
    examples=(
        "python -m pawjax.triangulate --calibration=calibration.toml --tracks=left=left.csv,right=right.csv "
        "--model=ransac --out=points",
        "python -m pawjax.triangulate --calibration=c.toml --tracks=l=l.csv,r=r.csv --out=out --model=gimbal "
        "--skeleton=neck-nose,neck-tail --spine=tail,neck",
    ),
    main=main,
    define_flags=define_flags,
    required=("calibration", "tracks", "model", "out"),
    configs="pawjax.pose3d.settings",
    config_help="Settings of the model; configs/pose3d_MODEL.py if not given.",
    prepare=with_config,
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
