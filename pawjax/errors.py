"""User errors, which entry points print before they exit with code 2, and warnings, which are printed once."""

import difflib
import sys
from collections.abc import Sequence

LONGEST = 200  # characters of a value in a message

_said: set[str] = set()  # warnings of this process
_muted = False


class InputError(ValueError):
    """Bad input: one clear sentence that names the file, the field and the fix."""


def listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` names for a message, and the number of the others: 'a, b and 3 more'."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def shown(value: object) -> str:
    """A value for a message, as Python writes it, cut if it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def did_you_mean(name: str, choices: Sequence[str], otherwise: str) -> str:
    """The end of a message about an unknown name: "did you mean 'tail'?", or `otherwise` if no choice is similar."""
    matches = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    return f"did you mean '{matches[0]}'?" if matches else otherwise


def warn(message: str) -> None:
    """Prints a warning on stderr: one sentence that says what was found and what pawjax makes of it.

    A process prints each warning once, and process 0 prints for all processes of a run.
    """
    if message not in _said:
        _said.add(message)
        if not _muted:
            print(f"pawjax: warning: {message}", file=sys.stderr, flush=True)


def mute_warnings() -> None:
    """Silences `warn`: another process of the same run prints the warnings."""
    global _muted
    _muted = True
