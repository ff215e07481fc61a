"""What is known about a damaged input, and damages that any file can suffer."""

import dataclasses
import enum
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Truth(enum.Enum):
    """What may come out of a damaged input."""

    SAME = "the content is the same in another form: it must be accepted"
    REFUSED = "the content is lost or contradicts itself: it must be refused, or read as before"
    UNKNOWN = "nobody can tell the damaged content from a valid one: anything but a crash is right"


@dataclasses.dataclass(frozen=True)
class Damage:
    """What was done to an input, in words, and what may come out of it."""

    words: str
    truth: Truth


def flip_bytes(path: Path, rng: np.random.Generator) -> None:
    """Changes one to four bytes."""
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, max(1, len(content)), rng.integers(1, 5)):
        if place < len(content):
            content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)


def truncate(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(0, max(1, len(content))))])


def splice(path: Path, rng: np.random.Generator) -> None:
    """Copies a stretch of the file over another place in it."""
    content = bytearray(path.read_bytes())
    if len(content) > 2:
        start, to = (int(place) for place in rng.integers(0, len(content), 2))
        stretch = content[start : start + int(rng.integers(1, 64))]
        content[to : to + len(stretch)] = stretch
    path.write_bytes(content)


def empty(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(b"")


def overwrite(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(rng.bytes(int(rng.integers(1, 2000))))


def remove(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def make_folder(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    os.mkfifo(path)


def make_loop(path: Path, rng: np.random.Generator) -> None:
    """A link to itself."""
    path.unlink()
    path.symlink_to(path)


def nest(path: Path, rng: np.random.Generator) -> None:
    """Brackets nested 5,000 deep, which is both JSON and YAML."""
    path.write_text("[" * 5000 + "]" * 5000)


OF_CONTENT = (flip_bytes, truncate, splice)  # may leave a file that nobody can tell from a valid one
OF_FILES = (empty, overwrite, remove, make_folder, make_pipe, make_loop, nest)


def choose(rng: np.random.Generator, choices: Sequence):
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def copy_tree(source: Path, target: Path) -> Path:
    """A fresh copy of a folder, with its links."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return target
