"""python -m pawjax.evaluate --workdir=RUN [--split=dev] [--checkpoint=best|last|STEP]
                          [--refine=votes --flip --scales=1,1.2]

Writes RUN/eval/SPLIT/: metrics.json, predictions.csv and pictures. The test frames are looked at only with
--split=test.
"""

from pathlib import Path

from absl import flags

from pawjax import cli
from pawjax.errors import InputError


def main(arguments: list[str]) -> None:
    """Evaluates what the flags say and prints the result. Raises InputError for anything that cannot work."""
    from pawjax.engine.evaluation import evaluate_run, evaluation_folder  # after the process is set up

    cli.no_arguments(arguments)
    values = flags.FLAGS
    workdir = Path(values.workdir)
    prediction = {
        name: values[name].value for name in ("refine", "flip", "temperature") if values[name].value is not None
    }
    if values.scales:
        try:
            prediction["scales"] = tuple(map(float, values.scales))
        except ValueError as error:
            raise InputError(f"--scales={','.join(values.scales)} must be numbers, as 0.8,1,1.25") from error
    summary = evaluate_run(workdir, values.split, values.checkpoint, **prediction)
    print(
        f"{values.split}: {summary['n_images']} frames, RMSE {summary['rmse_px']:.2f} px, "
        f"mean error {summary['mean_error_px']:.2f} px, median {summary['median_px']:.2f} px, "
        f"{summary['n_over_50px']} over 50 px, {summary['images_per_second']:.1f} images/s "
        f"-> {evaluation_folder(workdir, values.split, prediction)}"
    )


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Run folder of a training.", required=True)
    flags.DEFINE_enum("split", "dev", ["train", "dev", "test"], "Part to evaluate; test only by name.")
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.")
    flags.DEFINE_string("refine", None, "locref, votes, soft_argmax or taylor, instead of the run's own.")
    flags.DEFINE_bool("flip", None, "Look at the mirrored frames too.")
    flags.DEFINE_float("temperature", None, "Divide the logits of likelihoods by this.")
    flags.DEFINE_list("scales", None, "Look at the frames at each of these sizes, as 0.8,1,1.25.")
    cli.run(main)
