"""python -m pawjax.evaluate --workdir=RUN [--split=dev] [--checkpoint=best|last|STEP]

Writes RUN/eval/SPLIT/: metrics.json, predictions.csv and pictures. The test frames are looked at only with
--split=test.
"""

from pathlib import Path

from absl import flags

from pawjax import cli


def main(arguments: list[str]) -> None:
    """Evaluates what the flags say and prints the result. Raises InputError for anything that cannot work."""
    from pawjax.engine.evaluation import evaluate_run  # after the process is set up

    cli.no_arguments(arguments)
    values = flags.FLAGS
    summary = evaluate_run(Path(values.workdir), values.split, values.checkpoint)
    print(
        f"{values.split}: {summary['n_images']} frames, RMSE {summary['rmse_px']:.2f} px, "
        f"mean error {summary['mean_error_px']:.2f} px, median {summary['median_px']:.2f} px, "
        f"{summary['n_over_50px']} over 50 px, {summary['images_per_second']:.1f} images/s "
        f"-> {Path(values.workdir) / 'eval' / values.split}"
    )


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Run folder of a training.", required=True)
    flags.DEFINE_enum("split", "dev", ["train", "dev", "test"], "Part to evaluate; test only by name.")
    flags.DEFINE_string("checkpoint", "best", "best (on dev), last, or a step's number.")
    cli.run(main)
