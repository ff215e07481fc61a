"""Sections of a config: frozen dataclasses, each owned by the component that reads it, with its defaults and checks.

`pawjax.config` combines all sections; `--config.SECTION.FIELD=VALUE` sets a field of one.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from pawjax.errors import InputError


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
            if not isinstance(field.default, Section):
                values[field.name] = _with_tuples(config[field.name])
        nested = {f.name: f.default for f in dataclasses.fields(cls) if isinstance(f.default, Section)}
        for name, default in nested.items():
            fields = dataclasses.fields(default)
            values[name] = type(default)(**{field.name: _with_tuples(config[name][field.name]) for field in fields})
        return cls(**values)

    def require(self, field: str, fits: bool, wanted: str) -> None:
        """Raises InputError unless `fits`; `wanted` describes the values the field accepts."""
        if not fits:
            raise InputError(f"config.{self.name_of(field)} = {getattr(self, field)!r} must be {wanted}")

    def require_choice(self, field: str, choices: Iterable[Any]) -> None:
        """Raises InputError unless the value of the field is one of the choices."""
        self.require(field, getattr(self, field) in tuple(choices), f"one of {', '.join(map(str, choices))}")

    def require_range(self, field: str, low: float, high: float = math.inf) -> None:
        """Raises InputError unless the value of the field is a finite number from `low` to `high`, both included."""
        value = getattr(self, field)
        wanted = f"from {low} to {high}" if high < math.inf else f"at least {low}"
        self.require(field, math.isfinite(value) and low <= value <= high, wanted)

    def require_positive(self, field: str) -> None:
        """Raises InputError unless the value of the field is a finite number above zero."""
        self.require(field, 0 < getattr(self, field) < math.inf, "positive")

    @classmethod
    def name_of(cls, field: str) -> str:
        """The field's full name in a config: 'augment.crop'."""
        return f"{cls.section}.{field}" if cls.section else field


def _with_tuples(value: Any) -> Any:
    """Converts lists, as read from JSON, to tuples."""
    return tuple(map(_with_tuples, value)) if isinstance(value, (list, tuple)) else value
