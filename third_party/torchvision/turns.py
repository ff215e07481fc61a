"""Living processes that make their calls in turns: what the machine does to one it does to its neighbour."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(step: Callable[[], object]) -> None:
    """What `pawjax.benchmark --turns` does: warms up and says so, then a call for each line that it reads."""
    step(), step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def alternate(sides: dict[str, tuple[list[str], Path]], n: int) -> dict[str, list[float]]:
    """Seconds of `n` calls of every side, a command and the folder it starts in: each round in the opposite order."""
    processes, seconds = {}, {name: [] for name in sides}
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for name, (command, folder) in sides.items():
        processes[name] = subprocess.Popen(command, cwd=folder, **pipes)
        if processes[name].stdout.readline().strip() != "ready":
            raise SystemExit(f"{' '.join(command)} did not start")
    names = list(sides)
    for index in range(n):
        for name in names if index % 2 == 0 else names[::-1]:
            process = processes[name]
            print(file=process.stdin, flush=True)
            seconds[name].append(float(process.stdout.readline()))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return seconds


def compare(seconds: dict[str, list[float]], batch: int) -> list[str]:
    """A row for each side: its median images/s, and how much less than its neighbouring call the first side's took."""
    first, rows = next(iter(seconds.values())), []
    for name, own in seconds.items():
        ratios = sorted(other / mine for other, mine in zip(own, first, strict=True))
        low, middle, high = (ratios[round(share * (len(ratios) - 1))] for share in (0.25, 0.5, 0.75))
        rows.append(f"{name} | {batch / statistics.median(own):.2f} | {middle:.2f} ({low:.2f}, {high:.2f})")
    return rows
