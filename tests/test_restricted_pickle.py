"""Plain data with numpy values, made from their bytes and not by numpy's own unpickling."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pawjax import restricted_pickle
from pawjax.pickled import BrokenPickle, ForbiddenPickle
from pawjax.restricted_pickle import loads

ARRAYS = [
    np.arange(3),
    np.zeros((0, 3)),
    np.array(3.5),
    np.array([True, False]),
    np.arange(4, dtype=">i2"),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array(["ab", "c"]),
    np.array([b"ab", b"c"]),
    np.array([1, "a", None, 2.5], object),
    np.arange(4, dtype=np.uint8).reshape(2, 2),
    np.array([1.5], np.float16),
]
PYTHON_2 = (  # numpy.arange(2) as Python 2 pickles it: a string where there are bytes
    b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n(I1\n(I2\ntp6\n"
    b"cnumpy\ndtype\np7\n(S'i8'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nbI00\n"
    b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\np13\ntp14\nb."
)


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_values(protocol):
    for array in ARRAYS:
        data = pickle.dumps(array, protocol)
        for content in (data, data.replace(b"numpy._core", b"numpy.core")) if protocol < 4 else (data,):
            loaded = loads(content)
            assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(loaded, array)
    scalars = [np.float64(2.0), np.int32(-1), np.bool_(True), np.str_("sé"), np.float64(2.0)]
    loaded = loads(pickle.dumps(scalars, protocol))
    assert loaded == scalars and [type(value) for value in loaded] == [type(value) for value in scalars]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data(protocol):
    value = [{"a": (1, 2.5, None, True)}, {"x"}, frozenset("y"), b"raw", b"", np.arange(2)]
    loaded = loads(pickle.dumps(value, protocol))
    assert loaded[:-1] == value[:-1] and (loaded[-1] == value[-1]).all()


def test_array_of_python_2():
    np.testing.assert_array_equal(loads(PYTHON_2), [0, 1])


class Evil:
    def __reduce__(self):
        return open, ("made_by_a_pickle", "w")


@pytest.mark.parametrize("value", [Evil(), Path("x"), open, np.load, getattr, np.float64, bytearray, complex(1, 2)])
def test_everything_else_is_refused(value):
    with pytest.raises(ForbiddenPickle, match="it asks for "):
        loads(pickle.dumps(value, 2))


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2, complex),
        np.zeros(2, np.longdouble),
        np.zeros(2, "V8"),
        np.zeros(2, [("a", "f4")]),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([[1], [2, 3], None], object)[:2],
        np.array([np.zeros(2), None], object),
        np.dtype("f8"),
    ],
)
def test_other_types_of_numpy_are_refused(value):
    if isinstance(value, np.dtype):
        assert not isinstance(loads(pickle.dumps(value)), np.dtype)
        return
    with pytest.raises(BrokenPickle):
        loads(pickle.dumps(value, 2))


DTYPE = b"cnumpy\ndtype\n(V%s\nI0\nI1\ntR"


@pytest.mark.parametrize(
    "content",
    [
        DTYPE % b"V8" + b".",
        DTYPE % b"f4,f4" + b".",
        DTYPE % b"(2**40,)f8" + b".",
        DTYPE % b"S99999999999" + b".",
        DTYPE % b"S8" + b"(I3\nV|\nNNNI99999999\nI1\nI0\ntb.",  # another size than its name
        DTYPE % b"f8" + b"(I3\nV<\nNVf\n}I8\nI1\nI0\ntb.",  # fields
        DTYPE % b"f8" + b"(I3\nV<\n(I9\nI9\ntNNI8\nI1\nI0\ntb.",  # a subarray
        b"cnumpy\nndarray\n((I99999999999\nttR.",
        b"cnumpy.core.numeric\n_frombuffer\n(Vabc\n" + DTYPE % b"i8" + b"(I99999999999\ntVC\ntR.",
        b"cnumpy.core.numeric\n_frombuffer\n(Vabcdefgh\n" + DTYPE % b"i8" + b"(I-1\ntVC\ntR.",
        b"cnumpy.core.numeric\n_frombuffer\n(Vabcdefghabcdefgh\n" + DTYPE % b"i8" + b"(I1\ntVC\ntR.",  # too many bytes
        b"cnumpy.core.numeric\n_frombuffer\n(V\n" + DTYPE % b"i8" + b"(I0\n" + b"L" + b"9" * 4000 + b"\ntVC\ntR.",
        b"cnumpy.core.numeric\n_frombuffer\n(V\n" + DTYPE % b"i8" + b"(" + b"I0\n" * 70 + b"tVC\ntR.",
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"cbuiltins\nbytes\n(I99999999999\ntR.",
    ],
)
def test_crafted_values_are_refused(content):
    with pytest.raises(BrokenPickle):
        loads(content)


def test_repetition_makes_little():
    encoded = b"c_codecs\nencode\np5\n(V" + b"x" * 1000 + b"\nVlatin1\ntp1\nR"
    assert loads(encoded + b".") == b"x" * 1000
    with pytest.raises(BrokenPickle, match="repeating itself"):
        loads(b"(" + encoded + b"g5\ng1\nR" * 200 + b"t.")


def test_size_is_limited(monkeypatch):
    monkeypatch.setattr(restricted_pickle, "MOST_BYTES", 2**20)
    with pytest.raises(BrokenPickle, match="larger than 1 MB"):
        loads(bytes(2**20 + 1))
