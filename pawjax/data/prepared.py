"""The cache of prepared datasets: each is built in a private folder and published atomically."""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pawjax.errors import InputError
from pawjax.files import lock, need_space

NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
ABANDONED_AFTER_S = 24 * 3600
UNFINISHED = ".unfinished-"


def prepare_once(folder: Path, n_bytes: int, make: Callable[[Path], None]) -> None:
    """Builds `folder` with make(private folder beside it), unless it exists.

    A killed process leaves no `folder`. Of two processes that prepare the same dataset, one waits for the other; on a
    file system without locks, the first to finish wins. Raises InputError if the location cannot be written to or has
    less than `n_bytes` free.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.parent / ".lock", wait=True):
            if folder.is_dir():
                return
            _remove_abandoned(folder.parent)
            need_space(folder.parent, n_bytes)
            private = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{folder.name}-", dir=folder.parent))
            try:
                make(private)
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


def _publish(private: Path, folder: Path) -> None:
    private.chmod(0o755)
    try:
        private.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process published the same dataset first
            raise


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{UNFINISHED}*"):
        try:
            old = time.time() - path.stat().st_mtime > ABANDONED_AFTER_S
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
