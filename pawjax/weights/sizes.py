"""Sizes that a weight file declares, checked before memory is taken for them."""

import zipfile
from collections.abc import Iterable
from typing import Any

MOST_AXES, LONGEST_AXIS = 32, 2**48
ALWAYS, MOST = 2**28, 2**32  # bytes of a file's arrays: always allowed; never exceeded
TIMES_FILE = 64  # between the two: times the size of the file, which may be compressed or share numbers


class BrokenWeights(ValueError):
    """The weight file is damaged, of another kind, or declares more than it holds."""


class NoTensors(BrokenWeights):
    """The weight file is whole, but it holds something else."""


def require_shape(shape: Any) -> tuple[int, ...]:
    """The shape as a tuple of whole numbers. Raises BrokenWeights if it is not one."""
    if not isinstance(shape, tuple | list) or len(shape) > MOST_AXES:
        raise BrokenWeights("an array has no shape")
    if not all(type(n) is int and 0 <= n < LONGEST_AXIS for n in shape):
        raise BrokenWeights("the shape of an array is not made of whole numbers")
    return tuple(shape)


def require_total(sizes: Iterable[int], file_size: int) -> None:
    """Raises BrokenWeights if arrays of these sizes are more than a file of this size holds; all in bytes."""
    most = min(max(ALWAYS, TIMES_FILE * file_size), MOST)
    if sum(sizes) > most:
        raise BrokenWeights(f"its arrays would take more than {most // 2**20} MB")


def read_entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of an archive's entry. Raises BrokenWeights if it has more than `most` bytes."""
    entry = archive.getinfo(name)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BrokenWeights("it is compressed in a way that neither PyTorch nor numpy uses")
    if entry.file_size > most:
        raise BrokenWeights(f"its entry '{name}' is too large"[:200])
    with archive.open(entry) as file:  # never reads beyond the size declared
        return file.read()
