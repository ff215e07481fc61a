"""Reads weight files as named numpy arrays: .pth, .pt, .safetensors and .npz, recognised by content, not suffix."""

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.weights.sizes import BrokenWeights, NoTensors, read_entry, require_shape, require_total
from pawjax.weights.torch_file import read_torch

MOST_HEADER = 2**24  # bytes of a .safetensors header: 100,000 tensors
MOST_NPY_HEADER = 10_000  # bytes, numpy's own limit
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
    or 'model_state_dict'; from a .npz the arrays of numbers, without those of text. Nothing in the file is executed.
    Its arrays may take 256 MB, or 64 times the size of the file, but never more than 4 GB.

    Raises InputError for a missing, broken or unsupported file.
    """
    if not regular(path).exists():
        raise InputError(f"{path}: no such weight file")
    with path.open("rb") as file:
        head = file.read(9)
    try:
        if head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
            return _read_safetensors(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if all(name.endswith(".npy") for name in archive.namelist()):
                    return _read_npz(archive, path.stat().st_size)
            return read_torch(path)
        if head[:1] == b"\x80":  # a pickle
            return read_torch(path)
    except OSError as error:
        if error.filename is not None:  # the disk's error, not one in reading the content
            raise
        raise _broken(path, error) from error
    except Exception as error:  # a file's content may be anything, and fails in a dozen ways
        raise _broken(path, error) from error
    if not head:
        raise InputError(f"{path}: the file is empty; download it again")
    raise InputError(
        f"{path}: not a PyTorch, .safetensors or .npz weight file "
        "(third_party/tf_slim/convert.py converts TensorFlow checkpoints to .npz)"
    )


def _broken(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    mend = "save model.state_dict() instead" if isinstance(error, NoTensors) else "download it again"
    return InputError(f"{path}: cannot read the weight file ({reason}); {mend}")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MOST_HEADER:
            raise BrokenWeights(f"its header is larger than {MOST_HEADER // 2**20} MB")
        header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise BrokenWeights("its header names no tensors")
        header.pop("__metadata__", None)
        return _read_entries(header, file, path.stat().st_size - 8 - size)


def _read_entries(header: dict[str, Any], file: BinaryIO, n_bytes: int) -> dict[str, np.ndarray]:
    """The tensors of a .safetensors header, whose data are the next `n_bytes` of the file."""
    begin = file.tell()
    tensors, total = {}, 0
    for name, entry in header.items():
        match entry:
            case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(start), int(stop)]} if kind in DTYPES:
                size = math.prod(require_shape(shape)) * np.dtype(DTYPES[kind]).itemsize
            case _:
                raise BrokenWeights(f"the header does not describe '{name}'")
        if not 0 <= start <= stop <= n_bytes:
            raise BrokenWeights(f"it is truncated within '{name}'")
        total += size
        if stop - start != size or total > n_bytes:  # a longer total: tensors overlap
            raise BrokenWeights(f"the place of '{name}' does not fit its shape")
        file.seek(begin + start)
        tensors[name] = np.frombuffer(file.read(size), DTYPES[kind]).reshape(shape)
    return tensors


def _read_npz(archive: zipfile.ZipFile, file_size: int) -> dict[str, np.ndarray]:
    require_total((entry.file_size for entry in archive.infolist()), file_size)
    arrays = {}
    for entry in archive.infolist():
        array = _read_npy(io.BytesIO(read_entry(archive, entry.filename, entry.file_size)), entry.filename)
        if array is not None:
            arrays[entry.filename.removesuffix(".npy")] = array
    return arrays


def _read_npy(file: io.BytesIO, name: str) -> np.ndarray | None:
    """The array of a .npy file; None for text."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise BrokenWeights(f"'{name}' is of an unknown version")
    shape, columns_first, dtype = read_header[version](file, max_header_size=MOST_NPY_HEADER)
    if dtype.kind in "SU":
        return None
    if dtype.kind not in "biuf":
        raise BrokenWeights(f"'{name}' holds {dtype}, not real numbers")
    content = file.read()
    if len(content) != math.prod(require_shape(shape)) * dtype.itemsize:
        raise BrokenWeights(f"'{name}' has more or fewer bytes than its shape needs")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if columns_first else "C")
