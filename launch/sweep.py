"""Runs a sweep: trains every setting of a file with every seed, evaluates all runs, and writes a table and a picture.

    python launch/sweep.py launch/experiment2.py --out=runs/experiment2 --seeds=3 -- --config.data.source=... [flags]

Flags after `--` go to every `python -m pawjax.train`; where a setting sets the same field, the setting wins. `{seed}`
in a setting's flag becomes the run's seed. The same command again resumes stopped runs and skips finished ones. Every
run is evaluated on train, dev and test: choose among settings by dev. All runs share the split of the first. With
--slurm=N nothing runs here: a SLURM array of at most N jobs at a time is written to OUT/array.sbatch, and the same
command without --slurm makes the table when the array has finished.
"""

import argparse
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from pawjax import run_files
from pawjax.data.splits import SPLITS
from pawjax.errors import InputError
from pawjax.report.sweep import write_sweep


def read_sweep(path: Path) -> dict[str, list[str]]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_sweep()


def folder_of(out: Path, name: str, seed: int) -> Path:
    return out / re.sub(r"[^A-Za-z0-9.]+", "_", name) / f"seed{seed}"


def flags_of(settings: dict[str, list[str]], common: list[str]) -> dict[str, list[str]]:
    """Flags of each setting: its config file, the common flags, then its own, which override them."""
    return {
        name: sorted([*common, *flags], key=lambda flag: not flag.startswith("--config="))
        for name, flags in settings.items()
    }


def keep_flags(path: Path, flags: dict[str, list[str]]) -> None:
    """Writes the settings of a sweep to its folder; exits with a message if the sweep began with other flags."""
    saved = json.loads(path.read_text()) if path.exists() else {}
    if other := [name for name in flags if saved.get(name, flags[name]) != flags[name]]:
        changed = sorted(set(saved[other[0]]) ^ set(flags[other[0]]))
        sys.exit(
            f"{path}: this sweep began with other flags for {', '.join(other)} ({' '.join(changed)}): use another --out"
        )
    path.write_text(json.dumps(saved | flags, indent=1) + "\n")


def commands(flags: list[str], workdir: Path, seed: int, split: Path | None) -> list[list[str]]:
    """Commands that one run still needs: training, then evaluation. Raises InputError for a damaged run.json."""
    run = workdir / "run.json"
    left = []
    if not run.exists() or "steps" not in run_files.read_run(run):
        flags = [flag.replace("{seed}", str(seed)) for flag in flags]
        train = [sys.executable, "-m", "pawjax.train", *flags, f"--workdir={workdir}", f"--config.seed={seed}"]
        left.append(train + ([f"--config.data.split_file={split}"] if split else []))
    if splits := [name for name in SPLITS if left or not is_evaluated(workdir / "eval" / name)]:
        left.append([sys.executable, "-m", "pawjax.evaluate", f"--workdir={workdir}", f"--split={','.join(splits)}"])
    return left


def is_evaluated(folder: Path) -> bool:
    try:
        run_files.read_evaluation(folder)
    except run_files.Damaged:
        return False
    return True


def result_of(workdir: Path) -> dict[str, Any]:
    """What a sweep shows of a finished run."""
    metrics = {split: run_files.read_evaluation(workdir / "eval" / split) for split in SPLITS}
    return metrics | {"seconds": run_files.read_run(workdir / "run.json")["seconds"]}


def write_array(out: Path, jobs: list[list[list[str]]], at_once: int) -> Path:
    lines = [" && ".join(shlex.join(command) for command in job) for job in jobs]
    (out / "jobs.txt").write_text("\n".join(lines) + "\n")
    script = out / "array.sbatch"
    script.write_text(
        "#!/bin/bash\n#SBATCH --job-name=pawjax-sweep\n#SBATCH --gpus=1\n#SBATCH --requeue\n"
        f"#SBATCH --array=1-{len(jobs)}%{at_once}\n#SBATCH --output={out}/job-%a.log\n"
        f'eval "$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {shlex.quote(str(out / "jobs.txt"))})"\n'
    )
    return script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slurm", type=int, default=0, metavar="N")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options, common = parser.parse_args(sys.argv[1:at]), sys.argv[at + 1 :]
    settings = flags_of(read_sweep(options.sweep), common)
    options.out.mkdir(parents=True, exist_ok=True)
    keep_flags(options.out / "sweep.json", settings)
    runs = [(name, seed) for seed in range(options.seeds) for name in settings]
    first = folder_of(options.out, *runs[0])
    given = any(flag.startswith("--config.data.split_file=") for flag in common)

    def left_of(name: str, seed: int) -> list[list[str]]:
        workdir = folder_of(options.out, name, seed)
        split = None if given or workdir == first else first / "split.json"
        return commands(settings[name], workdir, seed, split)

    if options.slurm:
        if not given:
            parser.error("--slurm needs --config.data.split_file=FILE after --, because the runs start in any order")
        jobs = [job for job in (left_of(*run) for run in runs) if job]
        print(f"{len(jobs)} runs to do: sbatch {write_array(options.out, jobs, options.slurm)}")
        return
    for number, (name, seed) in enumerate(runs, 1):
        for command in left_of(name, seed):
            print(f"[{number}/{len(runs)}] {name}, seed {seed}: {command[2]}", file=sys.stderr, flush=True)
            if code := subprocess.run(command).returncode:
                print(f"{name}, seed {seed}: {command[2]} ended with exit code {code}: see above", file=sys.stderr)
                sys.exit(code)
    results = {
        name: [result_of(folder_of(options.out, name, seed)) for seed in range(options.seeds)] for name in settings
    }
    print(write_sweep(options.out, results))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"sweep: {error}")
