"""Unpickling restricted to plain containers, text and numpy values, which are made here from their bytes.

No class or function of numpy is called as the pickle says: a crafted state of a dtype makes numpy follow any address.
"""

import math
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pawjax.files import regular
from pawjax.pickled import MOST_BYTES, BrokenPickle, ForbiddenPickle, Function, StandIn, key_of, load

DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9]\d{0,4}|O8?")
MOST_AXES, LONGEST_AXIS = 32, 2**40


def loads(data: bytes) -> Any:
    """Unpickles `data`. Raises ForbiddenPickle for more than plain data, BrokenPickle for a broken or huge pickle."""
    if len(data) > MOST_BYTES:
        raise BrokenPickle(f"it is larger than {MOST_BYTES // 2**20} MB")
    return load(BytesIO(data), _Numpy(len(data)).find)


def read(path: Path) -> Any:
    """Unpickles a file. Raises as `loads`; InputError for what is not a file, OSError if it cannot be read."""
    with regular(path).open("rb") as file:
        return loads(file.read(MOST_BYTES + 1))


class _Dtype(StandIn):
    """A simple dtype: booleans, numbers, text of fixed length, or objects (None)."""

    def __init__(self, dtype: np.dtype | None):
        self.dtype = dtype

    def build(self, state: Any) -> "_Dtype":
        """The same dtype in the state's byte order. A state with fields, subarrays or another size is refused."""
        match state:
            case (3, "<" | ">" | "|" | "=", None, None, None, int(size), int(), int()):
                if self.dtype is None:
                    return self
                if size in (-1, self.dtype.itemsize):
                    return _Dtype(self.dtype.newbyteorder(state[1]))
        raise BrokenPickle("a dtype is neither numbers nor text")


class _Array(StandIn):
    """An array whose content follows as its state."""

    def __init__(self, numpy: "_Numpy"):
        self.numpy = numpy

    def build(self, state: Any) -> np.ndarray:
        match state:
            case (1, shape, dtype, bool(columns_first), content):
                return self.numpy.array(dtype, shape, content, "F" if columns_first else "C")
        raise BrokenPickle("an array's state is not as numpy writes it")


class _Numpy:
    """The functions that plain data asks for. Together they copy at most twice the size of the pickle."""

    def __init__(self, size: int):
        self._left = 2 * size
        self._functions = {
            ("_codecs", "encode"): self._encode,  # how protocol 2 writes bytes
            ("builtins", "bytes"): lambda: b"",
            ("builtins", "set"): lambda items=(): set(map(key_of, self._list(items))),
            ("builtins", "frozenset"): lambda items=(): frozenset(map(key_of, self._list(items))),
            ("numpy", "ndarray"): self._refuse,
            ("numpy", "dtype"): self._dtype,
            ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(self),
            ("numpy._core.multiarray", "scalar"): lambda dtype, content: self.array(dtype, (), content, "C")[()],
            ("numpy._core.numeric", "_frombuffer"): lambda content, dtype, *layout: self.array(
                dtype, layout[0], content, layout[1]
            ),
        }

    def find(self, module: str, name: str) -> StandIn:
        now = re.sub(r"^numpy\.core\b", "numpy._core", re.sub("^__builtin__$", "builtins", module))  # of today
        if (now, name) not in self._functions:
            raise ForbiddenPickle(f"it asks for {module}.{name}"[:200])
        return Function(self._functions[now, name])

    def array(self, dtype: Any, shape: Any, content: Any, order: Any) -> np.ndarray:
        """The array of these bytes, or of this list of objects. Raises BrokenPickle if they are not as many."""
        if not isinstance(dtype, _Dtype) or not _is_shape(shape) or order not in ("C", "F"):
            raise BrokenPickle("an array's type or shape is not as numpy writes it")
        count = math.prod(shape)
        if dtype.dtype is None:
            return _objects(self._list(content), count).reshape(shape, order=order)
        content = self._encode(content, "latin1") if isinstance(content, str) else content  # of Python 2
        if not isinstance(content, bytes | bytearray) or len(content) != count * dtype.dtype.itemsize:
            raise BrokenPickle("an array has more or fewer bytes than its shape needs")
        if dtype.dtype.kind == "b":
            self._charge(count)
            return (np.frombuffer(content, np.uint8) != 0).reshape(shape, order=order)
        return np.frombuffer(content, dtype.dtype, count).reshape(shape, order=order)

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise BrokenPickle("it encodes text in another way than Python 2 stored bytes")
        self._charge(len(text))
        return text.encode("latin-1")

    def _list(self, items: Any) -> Sequence[Any]:
        if not isinstance(items, list):
            raise BrokenPickle("a set or an array of objects is not made from a list")
        self._charge(len(items))
        return items

    def _charge(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise BrokenPickle("it makes much from little, by repeating itself")

    @staticmethod
    def _dtype(name: str, *_: Any) -> _Dtype:
        if not isinstance(name, str) or not DTYPE.fullmatch(name):
            raise BrokenPickle("a dtype is neither numbers nor text")
        return _Dtype(None if name[0] == "O" else np.dtype(name))

    @staticmethod
    def _refuse(*_: Any) -> None:
        raise BrokenPickle("it makes an array without content")


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MOST_AXES
        and all(type(length) is int and 0 <= length < LONGEST_AXIS for length in shape)
    )


def _objects(items: Sequence[Any], count: int) -> np.ndarray:
    if len(items) != count:
        raise BrokenPickle("an array has more or fewer objects than its shape needs")
    if not all(item is None or isinstance(item, str | bytes | int | float | np.generic) for item in items):
        raise BrokenPickle("an array of objects holds more than text and numbers")
    array = np.empty(count, object)
    array[:] = items
    return array
