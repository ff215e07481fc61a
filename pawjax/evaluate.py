"""python -m pawjax.evaluate --workdir=RUN [--split=dev,test] [--checkpoint=best|last|STEP]
                          [--data=FOLDER] [--decode=votes --structure=tree --flip --scales=1,1.2] [--proposals=10]
                          [--boxes]

Writes RUN/eval/SPLIT/: metrics.json, predictions.csv and pictures; another checkpoint or prediction flags write to a
folder of their own, e.g. RUN/eval/dev-checkpoint=last-flip=True/. The test frames are used only with --split=test.
--data names the folder of the run's data if it is elsewhere now; the data themselves must be the same.

--boxes, for Faster R-CNN, adds boxes.json (COCO's average precision of the detections, how well anchors and proposals
fit the labelled boxes) and proposals.png. Average precision depends on the pixel error and on the box size set by
config.faster_rcnn.box: compare it only between runs with the same box size, otherwise compare errors in pixels.
"""

from pathlib import Path
from typing import Any

from absl import flags

from pawjax import cli
from pawjax.data.splits import SPLITS
from pawjax.files import user_path


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Evaluates as the flags specify and prints the result. Raises InputError for user errors."""
    from pawjax.inference.evaluation import evaluate_run, evaluation_folder  # imported after the process is set up

    cli.no_arguments(arguments)
    workdir, prediction = user_path(values.workdir), cli.prediction_of_flags(values)
    extra = ("boxes",) if values.boxes else ()
    for split in values.split:
        folder = evaluation_folder(workdir, split, values.checkpoint, prediction)
        summary = evaluate_run(workdir, split, values.checkpoint, extra, values.data, **prediction)
        print(errors_line(split, summary, folder))
        if values.boxes:
            print(boxes_line(summary["boxes"], folder / "boxes.json"))


def errors_line(split: str, numbers: dict[str, Any], folder: Path) -> str:
    """A summary of metrics.json in one line."""
    rmse, mean, median = (_shown(numbers[f"{name}_px"], 2) for name in ("rmse", "mean_error", "median"))
    return (
        f"{split}: {numbers['n_images']} frames, RMSE {rmse} px, mean error {mean} px, median {median} px, "
        f"{numbers['n_over_50px']} over 50 px{_absent_words(numbers)}, {numbers['images_per_second']:.1f} images/s "
        f"-> {folder}"
    )


def _absent_words(numbers: dict[str, Any]) -> str:
    """What to say of bodyparts that are not there; '' if there are none."""
    if not (absent := numbers["absent"]):
        return ""
    found = f"{absent['n_found']} of {absent['n_points']} absent points above {numbers['pcutoff']:g}"
    return f", {found}, ROC AUC {_shown(absent['roc_auc'])}"


def boxes_line(numbers: dict[str, Any], path: Path) -> str:
    """A summary of boxes.json in one line."""
    anchors, proposals = numbers["anchors"], numbers["proposals"]

    return (
        f"{numbers['split']}: {numbers['n_boxes']} boxes, AP {_shown(numbers['AP'])}, AP50 {_shown(numbers['AP50'])}, "
        f"AP75 {_shown(numbers['AP75'])}, {proposals['n']} proposals recall {_shown(proposals['recall'])} "
        f"at IoU {proposals['iou']:g}, best anchor IoU {_shown(anchors['mean_iou'])} "
        f"(least {_shown(anchors['min_iou'])}) -> {path}"
    )


def _shown(value: float | None, digits: int = 3) -> str:
    """A number, or a dash if there was nothing to measure."""
    return "-" if value is None else f"{value:.{digits}f}"


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("workdir", None, "Run folder.", flag_values=values)
    flags.DEFINE_list("split", "dev", f"Of {', '.join(SPLITS)}: those to evaluate.", flag_values=values)
    message = f"must be one or several of {', '.join(SPLITS)}, divided by commas"
    flags.register_validator("split", lambda names: names and set(names) <= set(SPLITS), message, flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_string("data", "", "Folder of the run's data, if it is elsewhere now.", flag_values=values)
    flags.DEFINE_bool("boxes", False, "Also evaluate the boxes of Faster R-CNN.", flag_values=values)
    cli.define_prediction_flags(values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.evaluate",
    usage=__doc__,
    examples=("python -m pawjax.evaluate --workdir=runs/quickstart --split=test",),
    main=main,
    define_flags=define_flags,
    required=("workdir",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
