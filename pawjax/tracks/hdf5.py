"""HDF5 written so that the library never meets a full disk: on one, it crashes the process instead of failing."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py

from pawjax.files import replacing
from pawjax.tracks.tracks import Tracks


def write_pieces(path: Path, pieces: Iterable[Tracks], write: Callable[[h5py.File, Tracks], None]) -> None:
    """Writes tracks that come in pieces, replacing the file atomically; memory is bounded by a piece.

    Args:
      path: of the file.
      pieces: the tracks.
      write: adds a piece to the open file.

    Raises OSError if the disk takes no more.
    """
    with replacing(path) as temporary, _Patient(temporary) as disk:
        with h5py.File(disk, "w") as file:
            for piece in pieces:
                write(file, piece)
                disk.check()
        disk.check()


class _Patient(io.FileIO):
    """A new file that keeps what the disk refuses in memory, so that every write succeeds until `check` is called."""

    def __init__(self, path: Path):
        super().__init__(path, "w+")
        self._refused: list[tuple[int, bytes]] = []
        self._error: OSError | None = None

    def check(self) -> None:
        """Raises the first error of the disk."""
        if self._error is not None:
            raise self._error

    def write(self, data: bytes) -> int:
        """Writes all of the data, or keeps it."""
        start, left = self.tell(), memoryview(data).cast("B")
        n_bytes = len(left)
        try:
            while left and not self._refused:
                left = left[super().write(left) :]
        except OSError as error:
            self._error = error
        if left:
            self._refused.append((start + n_bytes - len(left), bytes(left)))
            self.seek(start + n_bytes)
        return n_bytes

    def readinto(self, buffer: memoryview) -> int:
        """Reads what was written, kept or not; zeros elsewhere."""
        start, view = self.tell(), memoryview(buffer).cast("B")
        n_bytes = super().readinto(view) or 0
        view[n_bytes:] = bytes(len(view) - n_bytes)
        for place, data in self._refused:
            first, end = max(start, place), min(start + len(view), place + len(data))
            if first < end:
                view[first - start : end - start] = data[first - place : end - place]
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Changes the size, which the disk may refuse too."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return self.tell() if size is None else size
