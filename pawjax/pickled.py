"""Reads pickles without Python's unpickler: nothing that a pickle names is imported, called or changed.

A crafted pickle can end or exhaust a process that reads it with `pickle`, even where every import is forbidden: a memo
index of ten bytes takes gigabytes, the hash of a nested tuple overflows the stack, a BUILD changes whatever class
`find_class` returned. Here, operations act on plain containers and on stand-ins only, and their number is limited.
"""

import codecs
import pickletools
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, BinaryIO

MOST_BYTES = 2**26  # of a pickle: a hundred times the largest training set's or network's
MOST_OPERATIONS = 2**22  # each makes 220 bytes at most, an empty set
MOST_KEY_PARTS = 8


class BrokenPickle(ValueError):
    """The pickle is damaged, or does what no writer of data does."""


class ForbiddenPickle(BrokenPickle):
    """The pickle asks for more than its reader allows."""


class StandIn:
    """Takes the place of a class, a function or an object that a pickle names. A subclass says what may be done to it.

    By default nothing: each method raises BrokenPickle.
    """

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The result of calling it."""
        raise BrokenPickle("it calls what is no function")

    def build(self, state: Any) -> Any:
        """What it becomes with this state, from then on and wherever the pickle refers to it again."""
        raise BrokenPickle("it sets the state of what has none")

    def add(self, items: Iterable[Any]) -> None:
        """Takes more items, or pairs of a key and a value."""
        raise BrokenPickle("it adds to what is no container")


class Function(StandIn):
    """A function of the reader, in the place of the pickle's."""

    def __init__(self, function: Callable[..., Any]):
        self.call = function


def load(file: BytesIO, find: Callable[[str, str], StandIn], persistent: Callable[[Any], Any] | None = None) -> Any:
    """Reads one pickle from its place in `file`, which is in memory; all protocols. Strings of Python 2 are Latin-1.

    Args:
      file: left behind the pickle.
      find: the stand-in for module and name of a class or function; raises ForbiddenPickle where there is none.
      persistent: the object for a persistent id; None if there are no such ids.

    Raises BrokenPickle, and ForbiddenPickle, for everything that goes wrong.
    """
    try:
        return _Machine(file, find, persistent).run()
    except BrokenPickle:
        raise
    except Exception as error:  # a broken pickle fails in a dozen ways
        raise BrokenPickle(str(error)[:200] or type(error).__name__) from error


class _Machine:
    """The stack and the memo of a pickle being read. An operation's method takes the operation's argument."""

    def __init__(self, file: BinaryIO, find: Callable[[str, str], StandIn], persistent: Callable[[Any], Any] | None):
        self.file, self.find, self.persistent = file, find, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []  # lengths of the stack
        self.memo: dict[int, Any] = {}
        self.places: dict[int, list[int]] = {}  # where in the memo a stand-in is, by its id()

    def run(self) -> Any:
        for _ in range(MOST_OPERATIONS):
            code = self.file.read(1)
            if code == b".":
                return self.stack.pop()
            if code not in OPERATIONS:
                raise BrokenPickle("it ends too early" if not code else f"it uses the operation {code!r}")
            read_argument, act = OPERATIONS[code]
            argument = read_argument(self.file) if read_argument else None
            if act:
                act(self, argument)
            else:
                self.stack.append(argument)
        raise BrokenPickle(f"it has more than {MOST_OPERATIONS} operations")

    def items(self) -> list[Any]:
        """Takes the items above the last mark from the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def pop(self, _: None) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def put(self, place: int) -> None:
        value = self.stack[-1]
        self.memo[place] = value
        if isinstance(value, StandIn):
            self.places.setdefault(id(value), []).append(place)

    def take(self, n: int) -> list[Any]:
        """Takes the last n items from the stack."""
        if len(self.stack) < n:
            raise BrokenPickle("an operation lacks its operands")
        items = self.stack[-n:]
        del self.stack[-n:]
        return items

    def add(self, items: list[Any]) -> None:
        """Adds to the list, set or stand-in on the stack."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(map(key_of, items))
        elif isinstance(target, StandIn):
            target.add(items)
        else:
            raise BrokenPickle("it adds to what is no container")

    def set_items(self, items: list[Any]) -> None:
        """Sets keys and values, which alternate in `items`, in the dict or stand-in on the stack."""
        target = self.stack[-1]
        if isinstance(target, dict):
            target.update(_dict(items))
        elif isinstance(target, StandIn):
            target.add(items)
        else:
            raise BrokenPickle("it sets items of what is no dictionary")

    def find_named(self, module: Any, name: Any) -> StandIn:
        if not isinstance(module, str) or not isinstance(name, str):
            raise BrokenPickle("it names a class by what is no text")
        return self.find(module, name)

    def call(self, function: Any, args: Any, kwargs: Any) -> None:
        if not isinstance(function, StandIn) or not isinstance(args, tuple) or not isinstance(kwargs, dict):
            raise BrokenPickle("it calls what is no function")
        self.stack.append(function.call(*args, **kwargs))

    def build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, dict):  # the attributes of a subclass, which nobody reads
            return
        if not isinstance(target, StandIn):
            raise BrokenPickle("it sets the state of what has none")
        self.stack[-1] = target.build(state)
        for place in self.places.get(id(target), ()):
            if self.memo[place] is target:
                self.memo[place] = self.stack[-1]

    def load_persistent(self, name: Any) -> None:
        if self.persistent is None:
            raise BrokenPickle("it refers to objects outside itself")
        self.stack.append(self.persistent(name))

    def check_protocol(self, protocol: int) -> None:
        if protocol > 5:
            raise BrokenPickle(f"its protocol {protocol} is unknown")


def key_of(value: Any) -> Any:
    """The value as a key, or as a member of a set.

    One that could be made to hash for ever, or like all others, becomes a stand-in.
    """
    if isinstance(value, int) and value.bit_length() > 64:
        return StandIn()
    if isinstance(value, tuple):
        short = len(value) <= MOST_KEY_PARTS and all(isinstance(part, str) for part in value)
        return value if short else StandIn()
    return value  # a list or a dict raises TypeError; a frozenset is made of keys


def _dict(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise BrokenPickle("a key lacks its value")
    return {key_of(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _read_string(file: BinaryIO) -> str:
    """The text of Python 2 in quotes; `pickletools` reads it as ASCII."""
    return codecs.escape_decode(pickletools.read_stringnl(file, decode=False))[0].decode("latin-1")


Act = Callable[[_Machine, Any], None]

ACTS: dict[str, Act] = {
    "NONE": lambda self, _: self.stack.append(None),
    "NEWTRUE": lambda self, _: self.stack.append(True),
    "NEWFALSE": lambda self, _: self.stack.append(False),
    "EMPTY_TUPLE": lambda self, _: self.stack.append(()),
    "EMPTY_LIST": lambda self, _: self.stack.append([]),
    "EMPTY_DICT": lambda self, _: self.stack.append({}),
    "EMPTY_SET": lambda self, _: self.stack.append(set()),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda self, _: self.items(),
    "DUP": lambda self, _: self.stack.append(self.stack[-1]),
    "TUPLE": lambda self, _: self.stack.append(tuple(self.items())),
    "TUPLE1": lambda self, _: self.stack.append(tuple(self.take(1))),
    "TUPLE2": lambda self, _: self.stack.append(tuple(self.take(2))),
    "TUPLE3": lambda self, _: self.stack.append(tuple(self.take(3))),
    "LIST": lambda self, _: self.stack.append(self.items()),
    "DICT": lambda self, _: self.stack.append(_dict(self.items())),
    "FROZENSET": lambda self, _: self.stack.append(frozenset(map(key_of, self.items()))),
    "APPEND": lambda self, _: self.add(self.take(1)),
    "APPENDS": lambda self, _: self.add(self.items()),
    "ADDITEMS": lambda self, _: self.add(self.items()),
    "SETITEM": lambda self, _: self.set_items(self.take(2)),
    "SETITEMS": lambda self, _: self.set_items(self.items()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": lambda self, _: self.put(len(self.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda self, place: self.stack.append(self.memo[place])),
    "GLOBAL": lambda self, names: self.stack.append(self.find_named(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda self, _: self.stack.append(self.find_named(*self.take(2))),
    "REDUCE": lambda self, _: self.call(*self.take(2), {}),
    "NEWOBJ": lambda self, _: self.call(*self.take(2), {}),
    "NEWOBJ_EX": lambda self, _: self.call(*self.take(3)),
    "OBJ": lambda self, _: self.call((items := self.items())[0], tuple(items[1:]), {}),
    "INST": lambda self, names: self.call(self.find_named(*names.split(" ", 1)), tuple(self.items()), {}),
    "BUILD": _Machine.build,
    "PERSID": _Machine.load_persistent,
    "BINPERSID": lambda self, _: self.load_persistent(self.stack.pop()),
    "PROTO": _Machine.check_protocol,
    "FRAME": lambda self, _: None,
}
UNKNOWN = ("STOP", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER")  # STOP is the end; the others nobody needs
READERS = {"STRING": _read_string}

OPERATIONS: dict[bytes, tuple[Callable[[BinaryIO], Any] | None, Act | None]] = {
    # Python's own table of operations says how each argument is read. An operation without an act pushes its argument.
    operation.code.encode("latin-1"): (
        READERS.get(operation.name, operation.arg and operation.arg.reader),
        ACTS.get(operation.name),
    )
    for operation in pickletools.opcodes
    if operation.name not in UNKNOWN
}
