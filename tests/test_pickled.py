"""Pickles read without Python's unpickler: plain data as `pickle` gives it, and nothing else."""

import io
import pickle
import sys

import numpy as np
import pytest

from pawjax import pickled
from pawjax.pickled import BrokenPickle, ForbiddenPickle, Function, StandIn, load

VALUES = [
    {"a": (1, 2.5, None, True), 3: [b"x", "é\u20ac\U0001f42d", ""], None: {1, 2, "x"}, ("a", "b"): frozenset({"q"})},
    [10**18, -5, 2**70, -(2**2000), 0, 255, 2**31, float("inf"), -0.0, 1e-300],
    [[[]], {}, (), ("x",), ("x", "y"), ("x", "y", "z"), tuple("wxyz"), set(), b"", b"raw\n'\\\x00\xff"],
    [
        "line\nbreak",
        "back\\slash",
        "quote'\"",
        "x" * 300,
        b"y" * 300,
        list(range(1500)),
        dict.fromkeys(range(1500), "z"),
    ],
]


def find(module: str, name: str) -> StandIn:
    functions = {"set": set, "frozenset": frozenset, "bytes": bytes, "encode": lambda text, _: text.encode("latin-1")}
    if name not in functions:
        raise ForbiddenPickle(f"it asks for {module}.{name}")
    return Function(functions[name])


def loads(data: bytes) -> object:
    return load(io.BytesIO(data), find)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_as_pickle_gives_it(protocol):
    for dumps in (pickle.dumps, pickle._dumps):
        loaded = loads(dumps(VALUES, protocol))
        assert loaded == VALUES and repr(loaded[1:]) == repr(VALUES[1:])
    shared = [1]
    first, second = loads(pickle.dumps([shared, shared], protocol))
    assert first is second
    if protocol == 5:
        assert loads(pickle.dumps(bytearray(b"ab"), 5)) == b"ab"


def test_strings_of_python_2_are_latin_1():
    assert loads(b"(lp0\nS'caf\\xe9\\n'\np1\naU\x02\xe9ba.") == ["café\n", "éb"]


def test_several_pickles_of_one_file():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps("b", 0) + b"rest")
    assert [load(file, find), load(file, find)] == [1, "b"] and file.read() == b"rest"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends too early"),
        (b"]", "ends too early"),
        (b"\xff.", "operation"),
        (b"\x82\x01.", "operation"),  # a class of the process's own registry
        (b"\x80\x05\x97.", "operation"),  # a buffer from outside
        (b"\x80\x07N.", "protocol 7"),
        (b"Pname\n.", "objects outside"),
        (b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"x.", "only 2 remain"),
        (b"\x80\x05\x96" + (2**60).to_bytes(8, "little") + b"x.", "only 2 remain"),
        (b"I" + b"9" * 10_000 + b"\n.", "digits"),
        (b"N)R.", "calls what is no function"),
        (b"N)\x81.", "calls what is no function"),
        (b"(N)o.", "calls what is no function"),
        (b"]Nb.", "state"),
        (b")Na.", "container"),
        (b"}Na.", "container"),
        (b"]NNs.", "dictionary"),
        (b"}(Nu.", "lacks its value"),
        (b"}]Ns.", "unhashable"),
        (b"\x85.", "lacks its operands"),
        (b"]\x86.", "lacks its operands"),
        (b"g5\n.", "5"),
        (b"cbuiltins\nset\nNb.", "state"),
        (b"cbuiltins\nset\n}b.", "state"),
        (b"cbuiltins\nset\n(NNe.", "no container"),
        (b"cposix\nsystem\n.", r"posix\.system"),
        (b"iposix\nsystem\n.", r"posix\.system"),
    ],
)
def test_others_are_refused(content, words):
    with pytest.raises(BrokenPickle, match=words):
        loads(content)


def test_a_memo_index_takes_no_memory():
    assert loads(b"]r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.") == loads(b"]p99999999999\n.") == []


def test_keys_that_hash_for_ever_or_alike_are_replaced():
    deep = b"}N" + b"\x85" * 200_000 + b"Ns."
    double = b"}N" + b"2\x86" * 100 + b"Ns."
    alike = b"}(" + b"".join(b"L%d\nN" % (n * sys.hash_info.modulus) for n in range(2, 20_000)) + b"u."
    for content in (deep, double, alike):
        assert not any(isinstance(key, tuple) or isinstance(key, int) and key > 2**64 for key in loads(content))
    assert len(loads(b"\x8f(" + b"N\x85" * 5 + b"\x90.")) == 5


def test_number_of_operations_is_limited(monkeypatch):
    monkeypatch.setattr(pickled, "MOST_OPERATIONS", 100)
    assert loads(b"(" + b"N" * 97 + b"t.") == (None,) * 97
    with pytest.raises(BrokenPickle, match="more than 100 operations"):
        loads(b"(" + b"N" * 98 + b"t.")


class Counter(StandIn):
    def __init__(self, n: int = 0):
        self.n = n

    def build(self, state):
        return Counter(state)


def test_a_state_replaces_the_stand_in_wherever_the_pickle_refers_to_it():
    content = b"(cx\ny\nq\x01I5\nbh\x01cx\ny\nl."  # in a list: with the state, from the memo, another one
    first, again, other = load(io.BytesIO(content), lambda *_: Counter())
    assert first is again and (first.n, other.n) == (5, 0)


def test_numpy_is_not_reached():
    with pytest.raises(ForbiddenPickle, match="numpy"):
        loads(pickle.dumps(np.zeros(2)))
