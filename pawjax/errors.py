"""The one exception for what a user can mend: the doors print its sentence and exit with code 2."""

from collections.abc import Sequence


class InputError(ValueError):
    """Bad input: one clear sentence that names the file, the field and the fix."""


def listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` names for a message, and how many more there are: 'a, b and 3 more'."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
