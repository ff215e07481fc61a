"""Unpickling restricted to plain containers, text and numpy values."""

import io
import pickle

ALLOWED = {
    ("_codecs", "encode"),  # how protocol 2 encodes bytes
    *(
        (module, name)
        for module in ("builtins", "__builtin__")
        for name in ("set", "frozenset", "bytearray", "complex")
    ),
    *((module, name) for module in ("numpy", "numpy._core.numeric") for name in ("ndarray", "dtype", "str_", "bool_")),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
    ),
}


class ForbiddenPickle(ValueError):
    """The pickle asks for something that is not in ALLOWED."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):  # noqa: ANN201 - whatever the pickle asks for
        if (module, name) not in ALLOWED:
            raise ForbiddenPickle(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def loads(data: bytes) -> object:
    """Unpickles `data`. Raises ForbiddenPickle for more than plain data, pickle.UnpicklingError for a broken pickle."""
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except ForbiddenPickle:
        raise
    except Exception as error:  # a broken pickle fails in a dozen ways
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error
