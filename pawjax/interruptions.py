"""What may end a command early: a signal, or a disk that takes no more."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pawjax.errors import InputError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 3  # exit code of a command that a signal ended
TWICE_SECONDS = 1.0  # a signal that follows another one faster is the same: `timeout` and terminals send two
AGAIN_SECONDS = 0.05  # until an interruption that was swallowed is raised again
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
MAKE_ROOM = "free some space, or raise the quota or the limit (ulimit -f), and run the same command again"


@contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether SIGINT (Ctrl-C), SIGTERM or SIGHUP arrived; for a training.

    The signal is announced at once, also during a compilation. A second one ends the process at once.
    """
    received = []
    with _handling(lambda *_: received.append(True), "stopping with a checkpoint after this step"):
        yield lambda: bool(received)


@contextmanager
def stopping_at_once() -> Iterator[Callable[[], bool]]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does; each is announced at once.

    Code that C calls, e.g. of a garbage collector, swallows exceptions: then KeyboardInterrupt is raised again soon
    after. While a module is imported, which an exception would leave half made, the process ends at once with STOPPED.

    Yields a function that returns whether a signal arrived.
    """
    received, swallowed = [], threading.Event()
    former_hook = sys.unraisablehook

    def interrupt(number: int, frame: FrameType | None) -> None:
        first = not received
        received.append(number)
        if first and _imports(frame):
            announced.wait(TWICE_SECONDS)
            os._exit(STOPPED)
        if first or swallowed.is_set():  # another signal would disturb what the first has to clean up
            swallowed.clear()
            raise KeyboardInterrupt

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if received and issubclass(unraisable.exc_type, KeyboardInterrupt):
            swallowed.set()
            again = threading.Timer(AGAIN_SECONDS, lambda: swallowed.is_set() and signal.raise_signal(received[0]))
            again.daemon = True
            again.start()
        else:
            former_hook(unraisable)

    with _handling(interrupt, "stopping") as announced:
        sys.unraisablehook = hook
        try:
            yield lambda: bool(received)
        finally:
            swallowed.clear()
            sys.unraisablehook = former_hook


def ending_at_once() -> None:
    """From now on a signal ends the process with one line and STOPPED: for the time before there is work to stop."""

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, f"pawjax: {signal.Signals(number).name}: stopping\n".encode())
        os._exit(STOPPED)

    for number in SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, end)


@contextmanager
def disk_errors(workdir: Path) -> Iterator[None]:
    """Raises InputError if the disk of a run's folder is full or fails."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if words := disk_error(error):
            raise InputError(f"{words}: cannot write to {workdir}, whose checkpoints are kept: {MAKE_ROOM}") from error
        raise


def disk_error(error: BaseException | None) -> str:
    """What the disk reported, if that is what caused an error, else an empty string."""
    while error is not None:
        if getattr(error, "errno", None) in DISK_ERRORS:
            return os.strerror(error.errno)
        for number in DISK_ERRORS:  # libraries report it in their own words
            if os.strerror(number) in str(error):
                return os.strerror(number)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ""


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], words: str) -> Iterator[threading.Event]:
    """Handles the signals, and says so at once; restores the former handlers on exit. Yields the event of saying so.

    Ignored signals stay ignored (nohup). Only the main thread can handle signals; in others this does nothing.
    """
    announced = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield announced
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    former = {number: old for number, old in former.items() if old not in (signal.SIG_IGN, None)}
    # Python calls handlers between its own instructions, so not during a compilation; this pipe is written to at once.
    heard, signals = os.pipe()
    os.set_blocking(signals, False)
    former_pipe = signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    listener = threading.Thread(target=_announce, args=(heard, words, announced), daemon=True)
    listener.start()
    for number in former:
        signal.signal(number, handler)
    try:
        yield announced
    finally:
        for number, old in former.items():
            signal.signal(number, old)
        signal.set_wakeup_fd(former_pipe)
        os.close(signals)
        listener.join()


def _imports(frame: FrameType | None) -> bool:
    """Whether a frame, or one that called it, imports a module."""
    while frame is not None and "importlib._bootstrap" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def _announce(pipe: int, words: str, announced: threading.Event) -> None:
    """Prints the first signal that arrives by the pipe, and ends the process at a later one."""
    first = 0.0
    while data := os.read(pipe, 1):
        if data[0] not in SIGNALS:
            continue
        name = signal.Signals(data[0]).name
        if not first:
            first = time.monotonic()
            print(f"pawjax: {name}: {words}; a second signal ends it at once", file=sys.stderr, flush=True)
            announced.set()
        elif time.monotonic() - first > TWICE_SECONDS:
            print(f"pawjax: {name}: ended at once", file=sys.stderr, flush=True)
            os._exit(128 + data[0])
    os.close(pipe)
