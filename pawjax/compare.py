"""python -m pawjax.compare RUN RUN ... --out=FOLDER [--published=FILE] [--evaluate] [--data=FOLDER]

Writes the final comparison of training runs: FOLDER/index.html, a self-contained page (the table, what the errors cost,
the learning curves, the cumulative errors and each run's worst frames), the same table as table.md and table.csv, and
the pictures. The runs must be finished and share their data and split.

The test frames are included on purpose: compare only after all choices are made. Existing eval/train, eval/dev and
eval/test of each run are reused; missing and damaged ones, or all with --evaluate, are made from the best checkpoint on
dev. Nothing else in a run folder changes. --data names the folder of the runs' data if it is elsewhere now.
"""

from absl import flags

from pawjax import cli
from pawjax.files import user_path


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Compares the runs named by the arguments. Raises InputError for runs that cannot be compared."""
    from pawjax.inference.comparison import collect_runs  # imported after the process is set up
    from pawjax.report.comparison import CSV_COLUMNS, NOTHING, check_out, write_comparison
    from pawjax.report.published import read_published

    out, *workdirs = map(user_path, (values.out, *arguments))
    check_out(out, workdirs)
    published = NOTHING
    if values.published:
        published = read_published(user_path(values.published), CSV_COLUMNS)
    runs = collect_runs(workdirs, values.evaluate, values.data)
    print(write_comparison(out, runs, published))
    print(f"-> {out / 'index.html'}")


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("out", None, "Output folder of the comparison.", flag_values=values)
    flags.DEFINE_string("published", "", "CSV of published results to add to the table.", flag_values=values)
    flags.DEFINE_string("data", "", "Folder of the runs' data, if it is elsewhere now.", flag_values=values)
    text = "Evaluate every run again, even if it has been evaluated."
    flags.DEFINE_bool("evaluate", False, text, flag_values=values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.compare",
    usage=__doc__,
    examples=("python -m pawjax.compare runs/dlc_r50 runs/frcnn_r50 --out=runs/comparison",),
    main=main,
    define_flags=define_flags,
    required=("out",),
    renamed={"sources": "--published=launch/published.csv"},
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
