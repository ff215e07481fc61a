"""Stages that work side by side: a thread that reads ahead behind a bounded queue, and the time each stage takes."""

import contextlib
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_END = object()
PATIENCE = 0.2  # seconds between looks at whether the reader of a full queue has left


class Stages:
    """Frames done and seconds busy, by stage: 'decode', 'network' and 'write'."""

    def __init__(self) -> None:
        self.frames: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start

    def timed_items(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Yields the items and adds the time to make them to a stage."""
        iterator = iter(items)
        while True:
            with self.timed(stage):
                item = next(iterator, _END)
            if item is _END:
                return
            yield item

    def rate(self, stage: str) -> float:
        """Frames per second that a stage could do alone; 0 before its first."""
        return self.frames[stage] / self.seconds[stage] if self.seconds[stage] else 0.0

    @property
    def bottleneck(self) -> str:
        """The stage that was busy longest; '' before the first frame."""
        return max(self.seconds, key=self.seconds.__getitem__, default="")

    def __str__(self) -> str:
        """'decode 412, network 24.1, write 9000 frames/s; the network is the bottleneck'."""
        rates = ", ".join(f"{stage} {self.rate(stage):.3g}" for stage in self.seconds)
        return f"{rates} frames/s; bottleneck: {self.bottleneck}" if rates else ""


def ahead(items: Iterable[T], size: int) -> Iterator[T]:
    """Yields the items, which a thread makes up to `size` ahead. An exception of theirs is raised here, in its place.

    The thread ends when the items do or when this iterator is closed.
    """
    waiting: queue.Queue = queue.Queue(size)
    left = threading.Event()

    def put(item: object) -> bool:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=PATIENCE)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        thread.join()
