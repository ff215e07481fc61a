"""What may end a training early: a signal, or a full disk."""

import errno
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pawjax.errors import InputError


@contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGTERM or Ctrl-C came; the handlers are put back afterwards."""
    came = []
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            before[number] = signal.signal(number, lambda *_: came.append(True))
        except ValueError:  # not the main thread: whoever called decides
            pass
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def disk_errors(workdir: Path) -> Iterator[None]:
    """Turns a full disk into one sentence."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if getattr(cause, "errno", None) == errno.ENOSPC or "No space left" in str(cause):
                raise InputError(
                    f"no space left on the disk of {workdir}: the last good checkpoint stays; free some and run "
                    "the same command again"
                ) from error
            cause = cause.__cause__ or cause.__context__
        raise
