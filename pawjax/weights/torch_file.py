"""Reads PyTorch's two file formats without PyTorch: the zip archive (since 1.6) and the stream of pickles before it.

A pickle describes the tensors; their numbers are stored beside it. Unpickling replaces every class by a description or
an inert stand-in, so that no code chosen by the file runs.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

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


class BrokenTorchFile(ValueError):
    """The file is not a PyTorch file, is damaged, or holds no dictionary of tensors."""


class _Storage:
    """A flat array of one dtype, filled in after the pickle has been read."""

    def __init__(self, dtype: np.dtype, key: str):
        self.dtype, self.key = dtype, key
        self.values: np.ndarray | None = None


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any):
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        values = self.storage.values
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if 0 in self.size:
            return np.zeros(self.size, values.dtype)
        if self.offset < 0 or min(self.stride, default=0) < 0 or last >= len(values):
            raise BrokenTorchFile("a tensor reaches beyond its storage")
        steps = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps).copy()


class _Opaque:
    """Replaces any other object: accepts whatever the pickle passes and does nothing."""

    def __init__(self, *_: Any, **__: Any):
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, *_: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass

    def extend(self, _: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _Tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda data, *_: data
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        return _Opaque

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or pid[0] != "storage":
            return _Opaque()
        _, dtype, key, *_ = pid
        if not isinstance(dtype, type) or not issubclass(dtype, np.generic):
            raise BrokenTorchFile("a tensor has an unsupported type")
        return self.storages.setdefault(str(key), _Storage(np.dtype(dtype), str(key)))


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict. Raises BrokenTorchFile."""
    try:
        content = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
    except BrokenTorchFile:
        raise
    except Exception as error:  # a broken pickle fails in a dozen ways
        raise BrokenTorchFile(str(error) or type(error).__name__) from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping):
        raise BrokenTorchFile("it holds no dictionary of tensors")
    tensors = {name: value.array() for name, value in content.items() if isinstance(value, _Tensor)}
    if not tensors:
        raise BrokenTorchFile("it holds no tensors")
    return tensors


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise BrokenTorchFile("a zip file, but not PyTorch's")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise BrokenTorchFile("it was written on a big-endian machine")
        unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])))
        content = unpickler.load()
        for storage in unpickler.storages.values():
            storage.values = np.frombuffer(archive.read(f"{folder}data/{storage.key}"), storage.dtype)
    return content


def _read_stream(path: Path) -> Any:
    with path.open("rb") as file:
        if _load(file) != MAGIC:
            raise BrokenTorchFile("a pickle, but not PyTorch's")
        _load(file)  # version of the protocol
        _load(file)  # sizes of the writer's C types
        unpickler = _Unpickler(file)
        content = unpickler.load()
        for key in _load(file):
            storage = unpickler.storages[str(key)]
            (count,) = _numbers(file, np.dtype(np.int64), 1)
            storage.values = _numbers(file, storage.dtype, int(count))
    return content


def _load(file: BinaryIO) -> Any:
    return _Unpickler(file).load()


def _numbers(file: BinaryIO, dtype: np.dtype, count: int) -> np.ndarray:
    content = file.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise BrokenTorchFile("it is truncated")
    return np.frombuffer(content, dtype)
