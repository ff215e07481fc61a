"""python -m pawjax.train --config=configs/NAME.py[:smoke] [--workdir=RUN] [--config.FIELD=VALUE ...]

Trains a run; the same command again resumes it. The folder defaults to runs/NAME. With --draw_augmented=FILE.png it
draws a batch as the network would see it instead, points and all, and trains nothing.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from pawjax import cli


def main(arguments: list[str]) -> None:
    """Trains what the flags say. Raises InputError for anything that cannot work."""
    from pawjax.engine.loop import train_and_evaluate  # these after the process is set up
    from pawjax.engine.preview import draw_augmented

    cli.no_arguments(arguments)
    if flags.FLAGS.draw_augmented:
        draw_augmented(cli.chosen_config(), Path(flags.FLAGS.draw_augmented))
        return
    train_and_evaluate(cli.chosen_config(), flags.FLAGS.workdir or default_workdir())


def default_workdir() -> Path:
    """runs/NAME for configs/NAME.py, runs/NAME_ARGUMENT for configs/NAME.py:ARGUMENT."""
    name, _, argument = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    return Path("runs") / "_".join(filter(None, [Path(name).stem, argument]))


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", None, "Experiment: configs/NAME.py or configs/NAME.py:smoke.")
    flags.DEFINE_string("workdir", "", "Run folder; default runs/NAME.")
    flags.DEFINE_string("draw_augmented", "", "Draw augmented frames to this PNG and stop.")
    flags.mark_flag_as_required("config")
    cli.run(main)
