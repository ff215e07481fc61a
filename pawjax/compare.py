"""python -m pawjax.compare RUN RUN ... --out=FOLDER [--sources] [--evaluate]

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


def main(arguments: list[str]) -> None:
    """Compares the runs named by the arguments. Raises InputError for anything that cannot be compared."""
    from pawjax.inference.comparison import collect_runs  # after the process is set up
    from pawjax.report.comparison import check_out, write_comparison

    values = flags.FLAGS
    out, *workdirs = (Path(path).expanduser() for path in (values.out, *arguments))
    check_out(out, workdirs)
    runs = collect_runs(workdirs, evaluate=values.evaluate)
    print(write_comparison(out, runs, sources=values.sources))
    print(f"-> {out / 'index.html'}")


if __name__ == "__main__":
    flags.DEFINE_string("out", None, "Folder for the comparison.", required=True)
    flags.DEFINE_bool("sources", False, "Add the four rows that the sources published, of other frames.")
    flags.DEFINE_bool("evaluate", False, "Evaluate every run again, also where an evaluation is there.")
    cli.run(main)
