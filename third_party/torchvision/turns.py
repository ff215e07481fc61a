"""Running processes that make calls in turns: changes of the machine's speed affect neighbouring calls alike."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(step: Callable[[], object]) -> None:
    """Like `pawjax.benchmark --turns`: warms up, prints 'ready', then makes one call for each line it reads."""
    step(), step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def alternate(sides: dict[str, tuple[list[str], Path]], n: int) -> dict[str, list[float]]:
    """Seconds of `n` calls of every side, a command and its working folder; the order alternates."""
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
    """A row for each side: its median images/s, and how many times as long as the first side's its calls took."""
    first, rows = next(iter(seconds.values())), []
    for name, own in seconds.items():
        ratios = sorted(call / first_call for call, first_call in zip(own, first, strict=True))
        low, middle, high = (ratios[round(share * (len(ratios) - 1))] for share in (0.25, 0.5, 0.75))
        rows.append(f"{name} | {batch / statistics.median(own):.2f} | {middle:.2f} ({low:.2f}, {high:.2f})")
    return rows
