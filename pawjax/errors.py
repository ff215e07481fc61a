"""The one exception for what a user can mend: the doors print its sentence and exit with code 2."""

import difflib
from collections.abc import Sequence


class InputError(ValueError):
    """Bad input: one clear sentence that names the file, the field and the fix."""


def listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` names for a message, and how many more there are: 'a, b and 3 more'."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def did_you_mean(name: str, choices: Sequence[str], otherwise: str) -> str:
    """The end of a message on an unknown name: "did you mean 'tail'?", or `otherwise` where no choice is like it."""
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else otherwise
