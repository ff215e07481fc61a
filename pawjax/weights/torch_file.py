"""Reads PyTorch's two file formats without PyTorch: the zip archive (since 1.6) and the stream of pickles before it.

A pickle describes the tensors; their numbers are stored beside it. Every class that it names is replaced by a
description or an inert stand-in, so that no code chosen by the file runs, and sizes are checked before memory is taken.
"""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from pawjax.pickled import MOST_BYTES, Function, StandIn, key_of, load
from pawjax.weights.sizes import BrokenWeights, NoTensors, read_entry, require_shape, require_total

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of the older format
STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
WRAPPERS = ("model", "state_dict", "model_state_dict")


class _StorageType(StandIn):
    """The class of storages of one dtype."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


class _Storage(StandIn):
    """A flat array of one dtype, filled in after the pickle has been read."""

    def __init__(self, dtype: np.dtype, key: str):
        self.dtype, self.key = dtype, key
        self.values: np.ndarray | None = None


class _Tensor(StandIn):
    """A view of a storage: the place of its first element, its shape, and the steps along its axes, in elements."""

    def __init__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any):
        if not isinstance(storage, _Storage):
            raise BrokenWeights("a tensor has no storage")
        self.storage, self.offset = storage, require_shape((offset,))[0]
        self.shape, self.strides = require_shape(shape), require_shape(strides)
        if len(self.shape) != len(self.strides):
            raise BrokenWeights("a tensor has more or fewer strides than axes")

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self) -> np.ndarray:
        """Its numbers, in an array of their own."""
        values = self.storage.values
        if values is None:
            raise BrokenWeights("a tensor's storage is missing")
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if last >= len(values):
            raise BrokenWeights("a tensor reaches beyond its storage")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


class _Opaque(StandIn):
    """Replaces any other object: accepts whatever the pickle does with it and does nothing."""

    def call(self, *_: Any, **__: Any) -> StandIn:
        return _Opaque()

    def build(self, _: Any) -> StandIn:
        return self

    def add(self, _: Any) -> None:
        pass


class _Reader:
    """What a pickle's names stand for, and the storages that it refers to, by key."""

    def __init__(self):
        self.storages: dict[str, _Storage] = {}

    def load(self, file: io.BytesIO) -> Any:
        return load(file, self.find, self.storage)

    def find(self, module: str, name: str) -> StandIn:
        match module, name:
            case "collections", "OrderedDict":
                return Function(lambda items=(): dict(_pairs(items)))
            case "torch._utils", "_rebuild_tensor_v2":
                return Function(_Tensor)
            case "torch._utils", "_rebuild_parameter":
                return Function(lambda data, *_: data)
            case "torch", _ if name in STORAGES:
                return _StorageType(np.dtype(STORAGES[name]))
        return _Opaque()

    def storage(self, pid: Any) -> StandIn:
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), *_):
                found = self.storages.setdefault(key, _Storage(dtype, key))
                if found.dtype != dtype:
                    raise BrokenWeights(f"its storage {key} is of two types"[:200])
                return found
            case ("storage", *_):
                raise BrokenWeights("a tensor has an unsupported type")
        return _Opaque()


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict. Raises BrokenWeights, or another error for a file that is damaged."""
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            return _read_zip(file)
        return _read_stream(file)


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise BrokenWeights("a zip file, but not PyTorch's")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and read_entry(archive, f"{folder}byteorder", 99) != b"little":
            raise BrokenWeights("it was written on a big-endian machine")
        tensors = _tensors(_Reader().load(io.BytesIO(read_entry(archive, pickles[0], MOST_BYTES))))
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        entries = {key: archive.getinfo(f"{folder}data/{key}") for key in storages}
        file_size = file.seek(0, io.SEEK_END)
        require_total((entry.file_size for entry in entries.values()), file_size)
        require_total((tensor.n_bytes for tensor in tensors.values()), file_size)
        for key, storage in storages.items():
            content = read_entry(archive, entries[key].filename, entries[key].file_size)
            storage.values = np.frombuffer(content, storage.dtype)
        return {name: tensor.array() for name, tensor in tensors.items()}


def _read_stream(file: BinaryIO) -> dict[str, np.ndarray]:
    file_size = file.seek(0, io.SEEK_END)
    file.seek(0)
    pickles = io.BytesIO(file.read(MOST_BYTES))  # and the beginning of the numbers
    if _Reader().load(pickles) != MAGIC:
        raise BrokenWeights("a pickle, but not PyTorch's")
    _Reader().load(pickles)  # version of the protocol
    _Reader().load(pickles)  # sizes of the writer's C types
    reader = _Reader()
    tensors = _tensors(reader.load(pickles))
    keys = _Reader().load(pickles)
    require_total((tensor.n_bytes for tensor in tensors.values()), file_size)
    wanted = {id(tensor.storage) for tensor in tensors.values()}
    file.seek(pickles.tell())
    for key in keys:
        storage = reader.storages[key]
        n_bytes = int.from_bytes(file.read(8), "little", signed=True) * storage.dtype.itemsize
        if not 0 <= n_bytes <= file_size - file.tell():
            raise BrokenWeights("it is truncated")
        if id(storage) in wanted:
            storage.values = np.frombuffer(file.read(n_bytes), storage.dtype)
        else:
            file.seek(n_bytes, io.SEEK_CUR)
    return {name: tensor.array() for name, tensor in tensors.items()}


def _tensors(content: Any) -> dict[str, _Tensor]:
    """The tensors in a dictionary, or in the first of WRAPPERS within it."""
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping):
        raise NoTensors("it holds no dictionary of tensors")
    tensors = {name: value for name, value in content.items() if isinstance(value, _Tensor)}
    if not tensors:
        raise NoTensors("it holds no tensors")
    if not all(isinstance(name, str) for name in tensors):
        raise BrokenWeights("a tensor's name is no text")
    return tensors


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    """The content of an ordered dictionary as older pickles give it: a list of pairs."""
    return [(key_of(key), value) for key, value in items]
