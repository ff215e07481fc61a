"""Sections of a config: frozen dataclasses, each owned by the component that reads it, with its defaults and checks.

`pawjax.config` combines all sections; `--config.SECTION.FIELD=VALUE` sets a field of one.
"""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, get_args, get_origin

from pawjax.errors import InputError, shown

MOST = 2**31 - 1  # the largest whole number of a program: JAX counts in int32


@dataclasses.dataclass(frozen=True)
class Section:
    """Base class of all sections. `__post_init__` of a subclass checks its values with the methods below.

    Attributes:
      section: its path in the config, e.g. 'augment' or 'data.paw_on_ball'; '' is the config itself.
    """

    section: ClassVar[str] = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Builds the section from its values in a whole config. Raises InputError for an invalid value."""
        for name in filter(None, cls.section.split(".")):
            config = config[name]
        values = {}
        for field in dataclasses.fields(cls):
            value, name = config[field.name], cls.name_of(field.name)
            if isinstance(field.default, Section):
                kind = type(field.default)
                values[field.name] = kind(**{f.name: _typed(value[f.name], f, name) for f in dataclasses.fields(kind)})
            else:
                values[field.name] = _typed(value, field, cls.section)
        return cls(**values)

    def require(self, field: str, fits: bool, wanted: str) -> None:
        """Raises InputError unless `fits`; `wanted` describes the values the field accepts."""
        if not fits:
            raise InputError(f"config.{self.name_of(field)} = {shown(getattr(self, field))} must be {wanted}")

    def require_choice(self, field: str, choices: Iterable[Any]) -> None:
        """Raises InputError unless the value of the field is one of the choices."""
        self.require(field, getattr(self, field) in tuple(choices), f"one of {', '.join(map(str, choices))}")

    def require_range(self, field: str, low: float, high: float) -> None:
        """Raises InputError unless the number, or every number of the tuple, is from `low` to `high`, both included."""
        values = list(_numbers(getattr(self, field)))
        self.require(field, all(low <= value for value in values), f"at least {low}")
        self.require(field, all(value <= high for value in values), f"at most {high}")

    def require_positive(self, field: str, high: float) -> None:
        """Raises InputError unless the number, or every number of the tuple, is above 0 and at most `high`."""
        self.require(field, all(0 < value for value in _numbers(getattr(self, field))), "positive")
        self.require_range(field, 0, high)

    def require_share(self, field: str, below_one: bool = False) -> None:
        """Raises InputError unless the number is from 0 to 1; with `below_one`, 1 is refused too."""
        value = getattr(self, field)
        wanted = "at least 0 and less than 1" if below_one else "from 0 to 1"
        percentage = f"; write {value / 100:g} for {value:g} %" if 1 < value <= 100 else ""
        self.require(field, 0 <= value < 1 or (value == 1 and not below_one), wanted + percentage)

    @classmethod
    def name_of(cls, field: str) -> str:
        """The field's full name in a config: 'augment.crop'."""
        return f"{cls.section}.{field}" if cls.section else field


KINDS = {  # a field of any other type is left to its section's own checks
    bool: (bool, "True or False"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "a string"),
}


def _typed(value: Any, field: dataclasses.Field, section: str) -> Any:
    """The value, with tuples for the lists of JSON.

    Raises InputError if it does not have the field's type, or holds a number that is not finite or a NUL.
    """
    value, name = _with_tuples(value), f"{section}.{field.name}" if section else field.name
    if not _fits(value, field.type):
        wanted = _words(field.type)
        if value and isinstance(value, tuple) and _fits((value,), field.type):
            wanted += f": write ({value!r},), with a comma after the only element"
        raise InputError(f"config.{name} = {shown(value)} must be {wanted}")
    if not all(isinstance(number, numbers.Integral) or math.isfinite(number) for number in _numbers(value)):
        raise InputError(f"config.{name} = {shown(value)} must be finite")
    if any("\0" in text for text in _texts(value)):
        raise InputError(f"config.{name} = {value!r} contains the character NUL, which no name may: remove it")
    return value


def _numbers(value: Any) -> Iterator[numbers.Real]:
    """The numbers of a value, in tuples of any depth."""
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, numbers.Real):
        yield value


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, value)) if isinstance(value, (list, tuple)) else value


def _texts(value: Any) -> Iterable[str]:
    """The strings in a value of nested tuples."""
    if isinstance(value, tuple):
        return itertools.chain.from_iterable(map(_texts, value))
    return (value,) if isinstance(value, str) else ()


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, tuple):
            return False
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if kind not in KINDS:
        return True
    return isinstance(value, KINDS[kind][0]) and (kind is bool or not isinstance(value, bool))


def _words(kind: Any) -> str:
    """'a number' for float, '(a number, a number)' for a tuple of two."""
    if get_origin(kind) is not tuple:
        return KINDS[kind][1] if kind in KINDS else "any value"
    return f"({', '.join('...' if inner is Ellipsis else _words(inner) for inner in get_args(kind))})"
