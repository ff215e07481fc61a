"""Device time by kind of operation, from a trace of a few calls."""

import collections
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.profiler import ProfileData


def trace_calls(step: Callable[[], Any], folder: Path, calls: int) -> dict[str, float]:
    """Records `calls` calls in a new trace under `folder`, which TensorBoard and Perfetto can open too.

    Returns:
      Seconds per call by kind of operation, longest first; kinds are the compiler's names without their numbers.
      Operations that run in parallel each count in full, so on a CPU the sum may exceed the wall time.
    """
    with jax.profiler.trace(str(folder)):
        for _ in range(calls):
            step()
    newest = max(folder.glob("**/*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    sums = collections.Counter()
    for plane in ProfileData.from_file(str(newest)).planes:
        for line in plane.lines:
            for event in line.events:
                operation = dict(event.stats).get("hlo_op")
                if operation:
                    sums[kind_of(str(operation))] += event.duration_ns / 1e9 / calls
    return dict(sums.most_common())


def kind_of(operation: str) -> str:
    """'loop_add_fusion.12.clone' -> 'loop_add_fusion'."""
    return re.sub(r"(\.(\d+|clone|remat))+$", "", operation)
