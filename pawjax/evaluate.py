"""python -m pawjax.evaluate --workdir=RUN [--split=dev] [--checkpoint=best|last|STEP]
                          [--refine=votes --flip --scales=1,1.2] [--proposals=10] [--boxes]

Writes RUN/eval/SPLIT/: metrics.json, predictions.csv and pictures; what is not the best checkpoint's plain prediction
goes to a folder of its own, as RUN/eval/dev-checkpoint=last-flip=True/. The test frames are looked at only with
--split=test.

--boxes, for Faster R-CNN, adds boxes.json (COCO's average precision of the detections, how well anchors and proposals
reach the labelled boxes) and proposals.png. Average precision is a function of the pixel error and of the box size that
config.detector.box chose: compare it between runs with one size of box alone, and errors in pixels otherwise.
"""

from pathlib import Path
from typing import Any

from absl import flags

from pawjax import cli
from pawjax.errors import InputError


def main(arguments: list[str]) -> None:
    """Evaluates what the flags say and prints the result. Raises InputError for anything that cannot work."""
    from pawjax.inference.evaluation import evaluate_run, evaluation_folder  # after the process is set up

    cli.no_arguments(arguments)
    values = flags.FLAGS
    workdir = Path(values.workdir).expanduser()
    prediction = {
        name: values[name].value
        for name in ("refine", "proposals", "flip", "temperature")
        if values[name].value is not None
    }
    if values.scales:
        try:
            prediction["scales"] = tuple(map(float, values.scales))
        except ValueError as error:
            raise InputError(f"--scales={','.join(values.scales)} must be numbers, as 0.8,1,1.25") from error
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


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Run folder of a training.", required=True)
    flags.DEFINE_enum("split", "dev", ["train", "dev", "test"], "Part to evaluate; test only by name.")
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.")
    flags.DEFINE_string("refine", None, "locref, votes, soft_argmax or taylor, instead of the run's own.")
    flags.DEFINE_integer("proposals", None, "Regions that a detector's head looks at.", lower_bound=1)
    flags.DEFINE_bool("flip", None, "Look at the mirrored frames too.")
    flags.DEFINE_float("temperature", None, "Divide the logits of likelihoods by this.")
    flags.DEFINE_bool("boxes", False, "Evaluate the boxes of Faster R-CNN too.")
    flags.DEFINE_list("scales", None, "Look at the frames at each of these sizes, as 0.8,1,1.25.")
    cli.run(main)
