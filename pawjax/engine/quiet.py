"""Silences what Orbax's threads print beside the exception that Orbax raises: hundreds of lines for a damaged file."""

import functools
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

# Words of these messages: of a log record's file, and of TensorStore's errors.
MARKS = ("/orbax/", "TensorStore", "tensorstore", "OCDBT")
# Raised in TensorStore's threads: after one failed read or write Orbax closes the loop to which the others report.
CLOSED = "Event loop is closed"


@functools.cache
def silence_orbax() -> None:
    """From now on, Orbax's threads and its log print no errors; Orbax raises those that matter."""
    for name in ("absl", "asyncio"):  # asyncio logs each failed task that Orbax no longer waits for
        logging.getLogger(name).addFilter(_is_not_of_orbax)
    warnings.filterwarnings("ignore", "coroutine '.*' was never awaited", RuntimeWarning)
    sys.unraisablehook = functools.partial(_show_unless_of_orbax, sys.unraisablehook)


def _is_not_of_orbax(record: logging.LogRecord) -> bool:
    words = f"{record.pathname} {record.getMessage()}"
    return not any(mark in words for mark in MARKS)


def _show_unless_of_orbax(show: Callable[[Any], None], error: Any) -> None:
    words = str(error.exc_value)
    if not any(mark in words for mark in (CLOSED, *MARKS)):
        show(error)
