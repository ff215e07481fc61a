"""What may end training early: a signal or a full disk."""

import errno
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pawjax.errors import InputError


@contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether SIGTERM or Ctrl-C arrived; restores the handlers on exit."""
    received = []
    previous = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            previous[number] = signal.signal(number, lambda *_: received.append(True))
        except ValueError:  # not the main thread: the caller handles signals
            pass
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def disk_errors(workdir: Path) -> Iterator[None]:
    """Raises InputError if the disk is full."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if getattr(cause, "errno", None) == errno.ENOSPC or "No space left" in str(cause):
                raise InputError(
                    f"no space left on the disk of {workdir}: the last good checkpoint is kept; free some "
                    "space and run the same command again"
                ) from error
            cause = cause.__cause__ or cause.__context__
        raise
