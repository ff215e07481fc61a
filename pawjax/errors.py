"""User errors: entry points print the message and exit with code 2."""

import difflib
from collections.abc import Sequence


class InputError(ValueError):
    """Bad input: one clear sentence that names the file, the field and the fix."""


def listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` names for a message, and the number of the others: 'a, b and 3 more'."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def did_you_mean(name: str, choices: Sequence[str], otherwise: str) -> str:
    """The end of a message about an unknown name: "did you mean 'tail'?", or `otherwise` if no choice is similar."""
    matches = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    return f"did you mean '{matches[0]}'?" if matches else otherwise
