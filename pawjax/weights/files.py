"""Reads weight files as named numpy arrays: .pth, .pt, .safetensors and .npz, recognised by content, not suffix."""

import json
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from pawjax.errors import InputError
from pawjax.weights.torch_file import BrokenTorchFile, read_torch

MOST_HEADER = 100 * 2**20  # bytes of a .safetensors header, by its specification
DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a weight file under its own name, in its own layout and dtype.

    From a PyTorch file it returns the dictionary of tensors, even if nested under 'model' (DeepLabCut), 'state_dict'
    or 'model_state_dict'. Nothing in the file is executed.

    Raises InputError for a missing, broken or unsupported file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weight file")
    with path.open("rb") as file:
        head = file.read(9)
    try:
        if head[8:] == b"{" and int.from_bytes(head[:8], "little") < min(MOST_HEADER, path.stat().st_size):
            return _read_safetensors(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                is_npz = all(name.endswith(".npy") for name in archive.namelist())
            if is_npz:
                with np.load(path, allow_pickle=False) as arrays:
                    return dict(arrays)
            return read_torch(path)
        if head[:1] == b"\x80":  # a pickle
            return read_torch(path)
    except (BrokenTorchFile, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot read the weight file ({error}); download it again") from error
    raise InputError(
        f"{path}: not a PyTorch, .safetensors or .npz weight file "
        "(third_party/tf_slim/convert.py converts TensorFlow checkpoints to .npz)"
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + size)
    tensors = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        if stop > len(data):
            raise ValueError(f"it is truncated within '{name}'")
        tensors[name] = np.frombuffer(data[start:stop].tobytes(), DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
