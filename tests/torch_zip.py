"""Writes tensors as `torch.save({"model": state_dict, "metadata": ...})` does, without PyTorch."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {np.dtype(np.float32): b"FloatStorage", np.dtype(np.int64): b"LongStorage"}


def write_snapshot(path: Path, tensors: Mapping[str, np.ndarray], **metadata: Any) -> None:
    """Writes a snapshot as DeepLabCut 3 saves it: the tensors under 'model', and 'metadata'."""
    arrays = [np.ascontiguousarray(value).reshape(np.shape(value)) for value in tensors.values()]
    pairs = enumerate(zip(tensors, arrays, strict=True))
    state = b"".join(_plain(name) + _tensor(array, str(number)) for number, (name, array) in pairs)
    content = b"\x80\x02}(" + _plain("model") + b"}(" + state + b"u" + _plain("metadata") + _plain(metadata) + b"u."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", content)
        archive.writestr(f"{path.stem}/byteorder", "little")
        archive.writestr(f"{path.stem}/version", "3\n")
        for number, array in enumerate(arrays):
            archive.writestr(f"{path.stem}/data/{number}", array.tobytes())


def _plain(value: Any) -> bytes:
    """The operations that push a value of Python's own types."""
    return pickle.dumps(value, 2)[2:-1]


def _tensor(array: np.ndarray, key: str) -> bytes:
    """The operations that push a tensor whose numbers are the storage `key`."""
    steps = tuple(step // array.itemsize for step in array.strides)
    storage = b"(" + _plain("storage") + b"ctorch\n" + STORAGES[array.dtype] + b"\n" + _plain(key) + _plain("cpu")
    storage += _plain(array.size) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    view = storage + _plain(0) + _plain(array.shape) + _plain(steps) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + view + b"tR"
