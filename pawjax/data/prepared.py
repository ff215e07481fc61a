"""The cache of prepared datasets: each is built in a private folder, published atomically and checked before use."""

import contextlib
import errno
import hashlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pawjax.errors import InputError, warn
from pawjax.files import lock, need_space, read_json, regular, write_json

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_PLACE = (*FULL, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
ABANDONED_AFTER_S = 24 * 3600  # on a file system without locks
UNFINISHED = ".unfinished-"
KEY = "[0-9a-f]" * 16  # pattern of the names of prepared folders
LOCK = ".lock"
HASHES = "hashes.json"


def prepare_once(folder: Path, n_bytes: int, make: Callable[[Path], None]) -> None:
    """Builds `folder`, <cache>/<data set>/<key>, with make(private folder beside it), unless it is there and whole.

    The folder keeps a hash of each file. If one was changed or lost, a warning says so and the folder is built anew. A
    killed process leaves no `folder`, and what it leaves is removed by the next. Of two processes that prepare the same
    dataset, one waits for the other; on a file system without locks, the first to finish wins. Raises InputError if the
    location cannot be written to or has less than `n_bytes` free.
    """
    if folder.is_dir() and not damage(folder):
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.parent / LOCK, wait=True):
            if folder.is_dir():
                if not (reason := damage(folder)):
                    return
                warn(f"{folder}: the prepared data is made anew from its source, because {reason}")
            _remove_abandoned(folder.parent, f"{UNFINISHED}*")
            for other in folder.parent.parent.glob(f"*/{LOCK}"):
                if other.parent != folder.parent:
                    _remove_abandoned_elsewhere(other.parent)
            need_space(folder.parent, n_bytes)
            private = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{folder.name}-", dir=folder.parent))
            try:
                make(private)
                write_json(private / HASHES, {name: _hash(private / name) for name in _files(private)})
                _publish(private, folder)
            finally:
                shutil.rmtree(private, ignore_errors=True)
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise InputError(
            f"{folder.parent}: the prepared data cannot be written there ({error.strerror or error}); "
            f"make room, or name another folder in config.data.cache or PAWJAX_CACHE"
        ) from error


def damage(folder: Path) -> str:
    """What is wrong with a prepared folder, e.g. 'x.json was changed'; '' if every file is as it was written."""
    try:
        hashes = read_json(folder / HASHES, "it is made anew")
    except (OSError, InputError):
        hashes = None
    if not isinstance(hashes, dict) or not hashes:
        return f"it has no valid {HASHES} (older versions wrote none)"
    for name, expected in hashes.items():
        try:
            if _hash(folder / name) != expected:
                return f"{name} was changed"
        except (OSError, ValueError):  # ValueError: a damaged name
            return f"{name} is missing or not readable"
    return ""


def _hash(path: Path) -> str:
    with regular(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _publish(private: Path, folder: Path) -> None:
    """Moves `private` to `folder`, in the place of a damaged one."""
    private.chmod(0o755)
    if folder.is_dir() and damage(folder):
        damaged = folder.with_name(f"{UNFINISHED}{folder.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):  # without locks, another process moved it first
            folder.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        private.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process published the same dataset first
            raise


def _remove_abandoned_elsewhere(parent: Path) -> None:
    """Removes what killed preparations of another data set left, unless a process prepares that set now."""
    if any(parent.glob(f"{UNFINISHED}{KEY}-*")):
        with contextlib.suppress(OSError), lock(parent / LOCK, wait=False):  # BlockingIOError: it is being prepared
            _remove_abandoned(parent, f"{UNFINISHED}{KEY}-*")


def _remove_abandoned(parent: Path, pattern: str) -> None:
    """Removes unfinished folders: all, as no other process can be at work while this one holds the lock of `parent`.

    On a file system without locks, only old ones.
    """
    for path in parent.glob(pattern):
        try:
            abandoned = _is_locked(parent) or time.time() - path.stat().st_mtime > ABANDONED_AFTER_S
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(path, ignore_errors=True)


def _is_locked(parent: Path) -> bool:
    """Whether locks work here, given that this process holds the lock of `parent`."""
    try:
        lock(parent / LOCK, wait=False).close()
    except BlockingIOError:
        return True
    return False
