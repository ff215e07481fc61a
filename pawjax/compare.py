"""python -m pawjax.compare RUN RUN ... --out=FOLDER [--published=FILE] [--evaluate]

The final comparison of training runs: FOLDER/index.html, one page that needs no other file (the table, the learning
curves, the cumulative errors and each run's worst frames), the same table as table.md and table.csv, and the two
pictures. The runs have to be finished and to share their data and their split.

The test frames are part of it on purpose: this is what they were kept for, so compare when the choosing is over. Of
each run eval/train, eval/dev and eval/test are taken as they lie there, and made where they are missing, from the best
checkpoint on dev; --evaluate makes all of them anew. Nothing else in a run folder is touched.
"""

from pathlib import Path

from absl import flags

from pawjax import cli


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Compares the runs named by the arguments. Raises InputError for anything that cannot be compared."""
    from pawjax.inference.comparison import collect_runs  # after the process is set up
    from pawjax.report.comparison import CSV_COLUMNS, NOTHING, check_out, write_comparison
    from pawjax.report.published import read_published

    out, *workdirs = (Path(path).expanduser() for path in (values.out, *arguments))
    check_out(out, workdirs)
    published = NOTHING
    if values.published:
        published = read_published(Path(values.published).expanduser(), CSV_COLUMNS)
    runs = collect_runs(workdirs, evaluate=values.evaluate)
    print(write_comparison(out, runs, published))
    print(f"-> {out / 'index.html'}")


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("out", None, "Folder for the comparison.", flag_values=values)
    flags.DEFINE_string("published", "", "CSV of published results to add to the table.", flag_values=values)
    text = "Evaluate every run again, even if its evaluation is there."
    flags.DEFINE_bool("evaluate", False, text, flag_values=values)


DOOR = cli.Door(
    command="python -m pawjax.compare",
    usage=__doc__,
    examples=("python -m pawjax.compare runs/dlc_r50 runs/frcnn_r50 --out=runs/comparison",),
    main=main,
    define_flags=define_flags,
    required=("out",),
    renamed={"sources": "--published=launch/published.csv"},
)

if __name__ == "__main__":
    cli.run(DOOR)
