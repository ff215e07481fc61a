"""What becomes of damaged and unusual inputs: projects, run folders and weight files, damaged at random.

    python -m tests.fuzz                                  # 1,000 projects, 200 run folders, 1,000 weight files
    python -m tests.fuzz --projects=50 --run_folders=0 --weights=0
    python -m tests.fuzz --tree=../old                    # another checkout of pawjax, with these cases
    python -m tests.fuzz --only=weights:17                # one case, with all that it printed

`tests/fuzz/foreign_bytes.py` does the same with pickles, weight files and HDF5 that are hostile rather than damaged.

Each case is drawn from its number and `--seed`. A worker reads many cases, so that libraries are imported once; one
that dies or hangs is started again behind the case. Prints a table of verdicts and every bad case, and exits with 1 if
there is one.
"""

import argparse
import collections
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"projects": 1000, "run_folders": 200, "weights": 1000}
GOOD = ("read as before", "refused", "read, cannot be known", "changed with a warning")
BAD = ("changed silently", "refused, though valid", "unclear", "traceback", "hang", "signal")
VERDICTS = GOOD + BAD
SECONDS = 60.0  # without a line from the worker


def run(kind: str, n: int, seed: int, tree: Path, folder: Path, first: int = 0) -> Iterator[tuple[int, str, str, str]]:
    """Yields (case, verdict, what was done, message) for the cases `first` to `first` + n - 1."""
    good, stop = folder / f"{kind}-good", first + n
    if not good.exists():
        good.mkdir(parents=True)
        subprocess.run(_command(tree, kind, good, folder, seed, -1, -1), check=True, env=_environment(folder))
    case, words = first, ""
    while case < stop:
        command = _command(tree, kind, good, folder, seed, case, stop)
        with (folder / "stderr").open("wb") as errors:
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=_environment(folder))
        lines = _lines(worker.stdout)
        begun = False
        while (line := _next(lines)) is not None:
            record = json.loads(line)
            if "words" in record:
                begun, words = True, record["words"]
            else:
                yield case, record["verdict"], words, record["message"]
                case, begun = case + 1, False
        hangs = worker.poll() is None and not _ended(worker)
        worker.kill()
        code = worker.wait()
        if hangs:
            yield case, "hang", words, ""
        elif code < 0:
            yield case, "signal", words, signal.Signals(-code).name
        elif case < stop:
            raise RuntimeError(f"the worker of {kind} ended at case {case}: {(folder / 'stderr').read_text()[-3000:]}")
        case += hangs or code < 0
        if not begun and (hangs or code < 0):
            raise RuntimeError(f"the worker of {kind} did not reach case {case}")


def _ended(worker: subprocess.Popen) -> bool:
    try:
        worker.wait(5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _command(tree: Path, kind: str, good: Path, folder: Path, *numbers: int) -> list[str]:
    words = (ROOT / "tests/fuzz/worker.py", tree, kind, good, folder, *numbers)
    return [sys.executable, *map(str, words)]


def _environment(folder: Path) -> dict[str, str]:
    ours = {"PAWJAX_CACHE": str(folder / "cache"), "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ours["JAX_COMPILATION_CACHE_DIR"] = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ours


def _lines(stream: object) -> queue.Queue:
    """The lines of a stream as they come, then None; read by a thread, so that waiting for one can time out."""
    found: queue.Queue = queue.Queue()

    def read() -> None:
        for line in stream:
            found.put(line.decode(errors="replace"))
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found


def _next(lines: queue.Queue) -> str | None:
    """The next line; None at the end or after SECONDS without one."""
    try:
        return lines.get(timeout=SECONDS)
    except queue.Empty:
        return None


def main() -> int:
    """Runs the kinds asked for and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, n in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, default=n)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tree", type=Path, default=ROOT)
    parser.add_argument("--only", default="", help="KIND:CASE")
    parser.add_argument("--json", type=Path, help="write every case there")
    values = parser.parse_args()
    kinds, first = {kind: getattr(values, kind) for kind in KINDS if getattr(values, kind)}, 0
    if values.only:
        kind, number = values.only.split(":")
        kinds, first = {kind: 1}, int(number)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, n in kinds.items():
            for case, verdict, words, message in run(kind, n, values.seed, values.tree.resolve(), Path(folder), first):
                records.append({"kind": kind, "case": case, "verdict": verdict, "words": words, "message": message})
                if verdict in BAD or values.only:
                    print(f"{kind}:{case} {verdict}: {words}\n    {message[-1000:]}", flush=True)
                if len(records) % 100 == 0:
                    print(f"{len(records)} cases", file=sys.stderr, flush=True)
    if values.json:
        values.json.write_text("\n".join(map(json.dumps, records)) + "\n")
    counts = collections.Counter((record["kind"], record["verdict"]) for record in records)
    print(f"{'':24}" + "".join(f"{kind:>14}" for kind in kinds))
    for verdict in VERDICTS:
        print(f"{verdict:24}" + "".join(f"{counts[kind, verdict]:14}" for kind in kinds))
    return int(any(record["verdict"] in BAD for record in records))


if __name__ == "__main__":
    sys.exit(main())
