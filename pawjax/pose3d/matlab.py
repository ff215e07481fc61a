"""Reads variables of MATLAB's .mat files: MATLAB 5 (also compressed) by itself, MATLAB 7.3 by HDF5.

A struct becomes a dict, an array of structs a list of them, a cell a list in MATLAB's order (columns first), text a
str, numbers an array of MATLAB's shape. Only small variables are read. scipy's reader is not used: some damaged files
end its process.
"""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MOST_BYTES = 2**24  # of a variable, decompressed
MOST_NUMBERS = MOST_ITEMS = 10_000  # in one array; arrays, cells and structs in a variable of MATLAB 7.3
DEEPEST = 8  # cells and structs within each other
HEADER, PREFIX = 128, 1024  # bytes: of a file; those of a variable that hold its name
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # types of data
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, TEXT, NUMERIC = 1, 2, 4, range(6, 16)  # classes of arrays


def read_variables(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The variables of these names that are in a file. A damaged file raises what Python, numpy and h5py do."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            reader = _Hdf5(file)
            return {name: reader.linked(file, name) for name in names if name in file}
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}[data[126:HEADER]]
    reader, found = _Reader(data, order, HEADER), {}
    while reader.place < len(data):
        kind, content = reader.element()
        if kind == COMPRESSED:
            if _name_of(_Reader(_decompressed(content, PREFIX), order).element(cut=True)[1], order) not in names:
                continue
            kind, content = _Reader(_decompressed(content, MOST_BYTES), order).element()
        if kind == MATRIX and (name := _name_of(content, order)) in names:
            found[name] = _array(content, order, 0)
    return found


class _Reader:
    """The elements in some bytes, each a tag (type and length) and its data."""

    def __init__(self, data: bytes, order: str, place: int = 0):
        self.data, self.order, self.place = data, order, place

    def element(self, cut: bool = False) -> tuple[int, bytes]:
        """Type and data of the next element; with `cut` what is there of them. Raises ValueError at the end."""
        kind, length = struct.unpack_from(f"{self.order}II", self.data, self.place)
        start, following = self.place + 8, self.place + 8 + length + (0 if kind == COMPRESSED else -length % 8)
        if kind >> 16:  # a short element: type and length in four bytes, data in the next four
            kind, length = kind & 0xFFFF, min(kind >> 16, 4)
            start, following = self.place + 4, self.place + 8
        if start + length > len(self.data) and not cut:
            raise ValueError("it ends too early")
        self.place = following
        return kind, self.data[start : start + length]

    def numbers(self) -> np.ndarray:
        kind, content = self.element()
        return np.frombuffer(content, np.dtype(NUMBERS[kind]).newbyteorder(self.order))


def _header(reader: _Reader) -> tuple[int, tuple[int, ...], str]:
    """Class, shape and name of an array."""
    flags, shape = reader.numbers(), tuple(reader.numbers().tolist())
    name = reader.element()[1].decode("latin-1")
    return int(flags[0]) & 0xFF, shape, name


def _name_of(content: bytes, order: str) -> str:
    return _header(_Reader(content, order))[2]


def _array(content: bytes, order: str, depth: int) -> Any:
    if not content:  # how MATLAB writes an empty field
        return np.empty((0, 0))
    reader = _Reader(content, order)
    kind, shape, _ = _header(reader)
    count = math.prod(shape)
    if min(shape) < 0 or count > MOST_NUMBERS or depth > DEEPEST:
        raise ValueError(f"it holds an array of shape {shape}, which is none of a calibration")
    if kind == CELL:
        return [_inner(reader, depth) for _ in range(count)]
    if kind == STRUCT:
        length, joined = int(reader.numbers()[0]), reader.element()[1]
        fields = [joined[place : place + length].split(b"\0")[0].decode() for place in range(0, len(joined), length)]
        items = [{field: _inner(reader, depth) for field in fields} for _ in range(count)]
        return items[0] if count == 1 else items
    if kind == TEXT:
        coding, text = reader.element()
        name = TEXTS[coding]
        return text.decode(f"{name}-{'le' if order == '<' else 'be'}" if name in ("utf-16", "utf-32") else name)
    if kind not in NUMERIC:
        raise ValueError(f"it holds an array of class {kind}, which is none of a calibration")
    return reader.numbers().reshape(shape, order="F")


def _inner(reader: _Reader, depth: int) -> Any:
    kind, content = reader.element()
    if kind != MATRIX:
        raise ValueError(f"it holds an element of type {kind} in the place of an array")
    return _array(content, reader.order, depth + 1)


def _decompressed(content: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(content, most)


class _Hdf5:
    """MATLAB 7.3: a struct is a group, a cell an array of references, text numbers, and all arrays are transposed."""

    def __init__(self, file: h5py.File):
        self.file, self.left = file, MOST_ITEMS

    def linked(self, group: h5py.Group, name: str) -> Any:
        """What a group itself contains: not what lies elsewhere, which a link may name."""
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} lies elsewhere")
        return self.value(group[name])

    def value(self, item: h5py.Group | h5py.Dataset) -> Any:
        self.left -= 1  # groups may hold each other in a circle
        if self.left < 0:
            raise ValueError(f"it holds more than {MOST_ITEMS} arrays")
        if isinstance(item, h5py.Group):
            return {field: self.linked(item, field) for field in item}
        elsewhere = not isinstance(item, h5py.Dataset) or item.is_virtual or item.external
        if elsewhere or max(item.size, math.prod(item.chunks or ())) > MOST_NUMBERS:
            raise ValueError(f"it holds {item.name}, which is no small array")
        values = item[()]
        if item.dtype == h5py.ref_dtype:
            return [self.value(self.file[reference]) for reference in values.ravel()]
        is_text = item.attrs.get("MATLAB_class", b"") == b"char"
        return "".join(map(chr, values.ravel())) if is_text else values.T
