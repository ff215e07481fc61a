"""Progress display on stderr: a live line on a terminal, plain lines in a log file."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

T = TypeVar("T")

PLAIN_EVERY = 10.0  # seconds between the plain lines of `track`
WINDOW = 20  # updates over which the rate is averaged
_END = object()

_live: list[Progress] = []  # the display on the terminal; nested tasks share it, one line each


def _on_terminal() -> bool:
    """Whether stderr supports control characters."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


@contextmanager
def _display() -> Iterator[Progress]:
    """The live display: the one already running, or a new one that ends with the block."""
    if _live:
        yield _live[-1]
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        console=Console(file=sys.stderr),
        expand=True,
        redirect_stdout=sys.stdout.isatty(),  # leave piped stdout as it is
    )
    with progress:
        _live.append(progress)
        try:
            yield progress
        finally:
            _live.remove(progress)


@contextmanager
def announced(message: str, after: float = 2.0) -> Iterator[None]:
    """Prints a line on stderr if the block takes more than `after` seconds."""
    timer = threading.Timer(after, print, (message,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class TrainingProgress:
    """The line of a training run: bar, step of total, loss, images/s, time left, last dev error.

    The rate is averaged over the last 20 updates, without the time in `paused()`; it appears with the second
    update, so that the compilation before the first never counts. Off a terminal, the start and each update with a
    loss or a dev error print one plain line.

    Args:
      total_steps: the run's last step.
      first_step: the step it starts from; more than 0 after a resume.
      images_per_step: global batch size.
      quiet: show nothing, in all processes but the one that reports.
    """

    def __init__(self, total_steps: int, first_step: int, images_per_step: int, quiet: bool = False):
        self._quiet = quiet
        self._total = total_steps
        self._step = first_step
        self._images_per_step = images_per_step
        self._paused_seconds = 0.0
        self._marks: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)  # (active seconds, step)
        self._loss: float | None = None
        self._dev: float | None = None

    def __enter__(self) -> "TrainingProgress":
        self._context = _display() if _on_terminal() and not self._quiet else None
        self._bar = self._context.__enter__() if self._context else None
        if self._bar:
            self._task = self._bar.add_task("train", total=self._total, completed=self._step, text="compiling")
        elif not self._quiet:
            print("compiling a training step", file=sys.stderr, flush=True)
        return self

    def __exit__(self, *error) -> None:
        if self._context:
            self._bar.stop_task(self._task)
            self._context.__exit__(*error)

    @property
    def images_per_second(self) -> float | None:
        """Images per second over the last updates; None before the second."""
        if len(self._marks) < 2:
            return None
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) * self._images_per_step / max(end - start, 1e-9)

    def update(self, step: int, *, loss: float | None = None, dev: float | None = None) -> None:
        """Reports that `step` steps are done, with a new loss or a new dev error (px), if any."""
        self._step = step
        self._loss = self._loss if loss is None else float(loss)
        self._dev = self._dev if dev is None else float(dev)
        if not self._marks or step > self._marks[-1][1]:
            self._marks.append((time.monotonic() - self._paused_seconds, step))
        if self._bar:
            self._bar.update(self._task, completed=step, text="  ".join(self._words()))
        elif not self._quiet and (loss is not None or dev is not None):
            print("  ".join((f"step {step}/{self._total}", *self._words())), file=sys.stderr, flush=True)

    @contextmanager
    def paused(self, doing: str = "evaluating") -> Iterator[None]:
        """Excludes the time within this block from the rate and the time left."""
        start = time.monotonic()
        if self._bar:
            self._bar.update(self._task, text="  ".join((*self._words(), doing)))
        try:
            yield
        finally:
            self._paused_seconds += time.monotonic() - start
            if self._bar:
                self._bar.update(self._task, text="  ".join(self._words()))

    def _words(self) -> list[str]:
        words = [] if self._loss is None else [f"loss {self._loss:.4g}"]
        rate = self.images_per_second
        if rate is not None:
            words.append(f"{rate:.3g} images/s" if rate < 1000 else f"{rate:.0f} images/s")
            left = (self._total - self._step) * self._images_per_step / max(rate, 1e-9)
            words.append(f"ETA {clock(left)}")
        return words if self._dev is None else [*words, f"dev {self._dev:.2f} px"]


def announced_first(items: Iterable[T], message: str) -> Iterator[T]:
    """Yields the items; prints a line on stderr if the first takes long, as a compilation does."""
    iterator = iter(items)
    with announced(message):
        first = next(iterator, _END)
    if first is not _END:
        yield first
        yield from iterator


def track(
    iterable: Iterable[T],
    description: str,
    total: int | None = None,
    *,
    count: Callable[[T], int] = lambda item: 1,
    first: int = 0,
    text: Callable[[int], str] = lambda done: "",
) -> Iterator[T]:
    """Yields the items and shows progress, for waits of more than a few seconds.

    On a terminal a bar; elsewhere one plain line every ten seconds, none for a short wait.

    Args:
      iterable: the items.
      description: a word or two on what is being done.
      total: how much there is to count; by default len(iterable), if it has one.
      count: how much an item counts.
      first: how much was done before.
      text: what to add to the display, given how much is done.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    counted = _counted(iterable, count, first)
    shown = _track_live if _on_terminal() else _track_plain
    return shown(counted, description, total, first, text)


def _counted(iterable: Iterable[T], count: Callable[[T], int], done: int) -> Iterator[tuple[int, T]]:
    for item in iterable:
        done += count(item)
        yield done, item


def _track_live(
    counted: Iterable[tuple[int, T]], description: str, total: int | None, first: int, text: Callable[[int], str]
) -> Iterator[T]:
    start = time.monotonic()
    with _display() as bar:
        task = bar.add_task(description, total=total, completed=first, text="")
        try:
            for done, item in counted:
                yield item
                bar.update(task, completed=done, text=_words(start, first, done, total, text))
        finally:
            if len(bar.tasks) > 1:
                bar.remove_task(task)


def _track_plain(
    counted: Iterable[tuple[int, T]], description: str, total: int | None, first: int, text: Callable[[int], str]
) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in counted:
        yield item
        if time.monotonic() - last >= PLAIN_EVERY:
            last = time.monotonic()
            number = f"{done}/{total}" if total else f"{done}"
            line = f"{description} {number}  {_words(start, first, done, total, text)}".rstrip()
            print(line, file=sys.stderr, flush=True)


def _words(start: float, first: int, done: int, total: int | None, text: Callable[[int], str]) -> str:
    left = ""
    if total and first < done < total:
        left = f"ETA {clock((time.monotonic() - start) * (total - done) / (done - first))}"
    return "  ".join(filter(None, [left, text(done)]))
