"""Files of a run or a cache: atomic replacement, clear read errors, locks, and a check for free space."""

import errno
import fcntl
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pawjax.errors import InputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; moved to `path` if the block succeeds, removed if it fails.

    Raises InputError if `path` is a folder. An OSError of writing, e.g. that the disk is full, names `path`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the path of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Names may be as long as the file system allows, and this one is longer; 50 characters are at most 200 bytes.
    temporary = path.with_name(f".{path.name[:50]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
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


def user_path(text: str | Path) -> Path:
    """The path that a user wrote, with the home folder for `~` or `~NAME`.

    Raises InputError if that folder is not known, or for a NUL, which no path can have.
    """
    if "\0" in str(text):
        raise InputError(f"{str(text)!r} is not a path: remove the character \\0 from it")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{text}: this machine knows no such home folder; write the path without '~'") from error


def printable(name: str) -> str:
    """A file's name as text that every encoding of Unicode can hold: a byte that is not UTF-8 becomes an escape."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


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


def read_json(path: Path, fix: str) -> Any:
    """The content of a JSON file that pawjax wrote.

    Raises InputError, which ends with `fix`, if it is damaged, and OSError if it is missing.
    """
    try:
        return json.loads(regular(path).read_text(encoding="utf-8"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # RecursionError: nested thousands deep
        raise InputError(f"{path} is damaged ({error}): {fix}") from error


def need_output(folder: Path, names: Sequence[str]) -> None:
    """Creates a folder. Raises InputError if files of these names cannot be written in it."""
    for name in names:
        if (folder / name).is_dir():
            raise InputError(f"{folder / name} is a folder in the place of a file: remove or rename it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"nothing can be written in {folder} ({error.strerror}): correct that first") from error


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
    file = path.open("a")  # not "w", which changes the time of a file that another process has locked
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        raise
    except OSError:
        pass
    return file


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Holds a lock on a folder, for which other processes wait. On a file system without locks, nothing is locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
