"""python -m pawjax.train --config=configs/NAME.py[:smoke] [--workdir=RUN] [--config.FIELD=VALUE ...]

Trains a run; the same command again resumes it. Ctrl-C, SIGTERM and SIGHUP save a checkpoint and end it with exit code
3; a second signal ends it at once. More --config.steps lengthen a run whose schedule allows it. The folder defaults to
runs/NAME. --config=RUN/config.json repeats a run, in runs/RUN_repeat. With --draw_augmented=FILE.png it only draws
augmented frames with their keypoints.

Several processes, one per machine, train one run: add --coordinator=HOST:PORT --num_processes=N --process_id=I to the
same command, with a --workdir that all can reach; under SLURM's srun these flags are not needed.
"""

import sys
from pathlib import Path

from absl import flags

from pawjax import cli
from pawjax.files import user_path
from pawjax.interruptions import STOPPED


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Trains as the flags specify. Raises InputError for user errors."""
    from pawjax.engine.loop import train_and_evaluate  # imported after the process is set up
    from pawjax.engine.preview import draw_augmented
    from pawjax.engine.processes import connect, ending_with_the_others, is_main
    from pawjax.engine.runlog import read_config, read_run

    cli.no_arguments(arguments)
    config, workdir = values.config, user_path(values.workdir or default_workdir(values))
    if config.deterministic:
        cli.use_deterministic_operations()
    connect(values.coordinator, values.num_processes, values.process_id)
    if values.draw_augmented:
        draw_augmented(config, user_path(values.draw_augmented))
        return
    with ending_with_the_others():
        step = int(train_and_evaluate(config, workdir).step)
    if not is_main():  # may end before the last checkpoint is written
        return
    steps, stopped = read_config(workdir).steps, "steps" not in read_run(workdir)
    print(f"step {step} of {steps}{', stopped: the same command resumes it' * stopped} -> {workdir}")
    if stopped:
        sys.exit(STOPPED)


def default_workdir(values: flags.FlagValues) -> Path:
    """runs/NAME for configs/NAME.py, runs/RUN_repeat for RUN/config.json, with _ARGUMENT for FILE:ARGUMENT."""
    name, _, argument = cli.config_name(values).partition(":")
    path = user_path(name).absolute()
    name = f"{path.parent.name}_repeat" if path.name == "config.json" else path.stem
    return Path("runs") / "_".join(filter(None, [name, argument]))


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point, other than --config."""
    text = "Run folder; runs/NAME if empty, runs/RUN_repeat for --config=RUN/config.json."
    flags.DEFINE_string("workdir", "", text, flag_values=values)
    flags.DEFINE_string("draw_augmented", "", "Draw augmented frames to this PNG and stop.", flag_values=values)
    text = "HOST:PORT of process 0, if several processes train one run."
    flags.DEFINE_string("coordinator", "", text, flag_values=values)
    flags.DEFINE_integer("num_processes", 1, "Number of processes.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("process_id", -1, "Index of this process, from 0.", flag_values=values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.train",
    usage=__doc__,
    examples=(
        "python -m pawjax.train --config=configs/quickstart.py",
        "python -m pawjax.train --config=configs/dlc_r50.py --config.data.source=deeplabcut "
        "--config.data.path=PROJECT --workdir=runs/mine",
    ),
    main=main,
    define_flags=define_flags,
    required=("config",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
