"""The training time of a run, across resumptions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of training without evaluations and checkpoints, added to those before a resumption."""

    def __init__(self, seconds: float):
        self._before, self._start = seconds, time.perf_counter()
        self._last = seconds

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._start

    def rate(self, n: float) -> float:
        """n divided by the seconds since the last call."""
        now = self.seconds
        self._last, elapsed = now, now - self._last
        return n / max(elapsed, 1e-9)

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start
