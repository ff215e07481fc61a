"""python -m pawjax.evaluate --workdir=RUN [--split=dev] [--checkpoint=best|last|STEP]
                          [--decode=votes --flip --scales=1,1.2] [--proposals=10] [--boxes]

Writes RUN/eval/SPLIT/: metrics.json, predictions.csv and pictures; what is not the best checkpoint's plain prediction
goes to a folder of its own, as RUN/eval/dev-checkpoint=last-flip=True/. The test frames are looked at only with
--split=test.

--boxes, for Faster R-CNN, adds boxes.json (COCO's average precision of the detections, how well anchors and proposals
reach the labelled boxes) and proposals.png. Average precision is a function of the pixel error and of the box size that
config.faster_rcnn.box chose: compare it between runs with one size of box alone, and errors in pixels otherwise.
"""

from pathlib import Path
from typing import Any

from absl import flags

from pawjax import cli


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Evaluates what the flags say and prints the result. Raises InputError for anything that cannot work."""
    from pawjax.inference.evaluation import evaluate_run, evaluation_folder  # after the process is set up

    cli.no_arguments(arguments)
    workdir, prediction = Path(values.workdir).expanduser(), cli.prediction_of_flags(values)
    folder = evaluation_folder(workdir, values.split, values.checkpoint, prediction)
    extra = ("boxes",) if values.boxes else ()
    summary = evaluate_run(workdir, values.split, values.checkpoint, extra, **prediction)
    print(errors_line(values.split, summary, folder))
    if values.boxes:
        print(boxes_line(summary["boxes"], folder / "boxes.json"))


def errors_line(split: str, numbers: dict[str, Any], folder: Path) -> str:
    """What metrics.json says, in a line."""
    rmse, mean, median = (_shown(numbers[f"{name}_px"], 2) for name in ("rmse", "mean_error", "median"))
    return (
        f"{split}: {numbers['n_images']} frames, RMSE {rmse} px, mean error {mean} px, median {median} px, "
        f"{numbers['n_over_50px']} over 50 px, {numbers['images_per_second']:.1f} images/s -> {folder}"
    )


def boxes_line(numbers: dict[str, Any], path: Path) -> str:
    """What boxes.json says, in a line."""
    anchors, proposals = numbers["anchors"], numbers["proposals"]

    return (
        f"{numbers['split']}: {numbers['n_boxes']} boxes, AP {_shown(numbers['AP'])}, AP50 {_shown(numbers['AP50'])}, "
        f"AP75 {_shown(numbers['AP75'])}, {proposals['n']} proposals recall {_shown(proposals['recall'])} "
        f"at IoU {proposals['iou']:g}, best anchor IoU {_shown(anchors['mean_iou'])} "
        f"(least {_shown(anchors['min_iou'])}) -> {path}"
    )


def _shown(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there was nothing to measure."""
    return "-" if value is None else f"{value:.{digits}f}"


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("workdir", None, "Run folder of a training.", flag_values=values)
    splits = ["train", "dev", "test"]
    flags.DEFINE_enum("split", "dev", splits, "Part to evaluate; test only by name.", flag_values=values)
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.", flag_values=values)
    flags.DEFINE_bool("boxes", False, "Evaluate the boxes of Faster R-CNN too.", flag_values=values)
    cli.define_prediction_flags(values)


DOOR = cli.Door(
    command="python -m pawjax.evaluate",
    usage=__doc__,
    examples=("python -m pawjax.evaluate --workdir=runs/quickstart --split=test",),
    main=main,
    define_flags=define_flags,
    required=("workdir",),
)

if __name__ == "__main__":
    cli.run(DOOR)
