"""Files of a run or a cache: atomic replacement, clear read errors, locks, and a check for free space."""

import errno
import fcntl
import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pawjax.errors import InputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; moved to `path` if the block succeeds, removed if it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text, replacing the file atomically.

    A byte of a file's name that is not UTF-8 becomes an escape, which in JSON is read as the same name again.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, values: dict) -> None:
    """Writes a dict of plain and numpy values as indented JSON, replacing the file atomically.

    Raises:
      ValueError: a number that is not finite, named by its key: JSON has no NaN.
    """
    write_text(path, json.dumps(_plain(values, ""), indent=2, ensure_ascii=False) + "\n")


def regular(path: Path) -> Path:
    """The same path. Raises InputError if it is a folder, or a pipe or device, which could be read for ever.

    A path that does not exist is left to whoever opens it.
    """
    try:
        mode = path.stat().st_mode
    except ValueError as error:  # a NUL in the path
        raise InputError(f"{str(path)!r} is not the name of a file: correct the path") from error
    except OSError:
        return path
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise InputError(f"{path} is {kind}, not a file: give the path of a file")
    return path


def read_json(path: Path) -> Any:
    """The content of a JSON file that pawjax wrote. Raises InputError if it is damaged, OSError if it is missing."""
    try:
        return json.loads(regular(path).read_text(encoding="utf-8"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # RecursionError: nested thousands deep
        raise InputError(f"{path} is damaged ({error}): restore it from a copy, or use another folder") from error


def need_space(folder: Path, n_bytes: int) -> None:
    """Raises OSError (ENOSPC) if the disk of `folder` has fewer than `n_bytes` free."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(errno.ENOSPC, f"{n_bytes / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")


def lock(path: Path, wait: bool) -> TextIO:
    """Locks the file `path` for this process until the returned file is closed or the process dies.

    On a file system without locks, nothing is locked. Without `wait`, raises BlockingIOError if another process holds
    the lock.
    """
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        raise
    except OSError:
        pass
    return file


def _plain(value: Any, key: str) -> Any:
    """Converts numpy values and tuples to plain Python. Raises ValueError for a number that is not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(item, f"{key}.{name}" if key else str(name)) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), key)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{key}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} is {value}, which JSON cannot represent")
    return value
