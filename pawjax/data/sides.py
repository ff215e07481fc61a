"""Left and right in the names of bodyparts: which are swapped when a frame is mirrored."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pawjax.data.names import nfc
from pawjax.errors import InputError, listed, warn

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_A-Za-z]+")  # 'earL1' -> 'ear', 'L', '1'
WHOLE = re.compile("left|right")
LETTER = re.compile("[lr][fhmb]?|[fhmb][lr]")  # L, or LF, FL, LH and so on: left front, hind, middle, back
CAPITAL = re.compile("[LR][a-z]")  # of one side, or the beginning of any word
MOST_NAMES = 6  # that a message lists


class Guess(NamedTuple):
    """What the names of bodyparts tell about left and right.

    Attributes:
      pairs: (left, right) names that differ in nothing but the side.
      alone: names of one side without a counterpart.
      ambiguous: names that have more than one counterpart, or share theirs.
    """

    pairs: tuple[tuple[str, str], ...]
    alone: tuple[str, ...]
    ambiguous: tuple[str, ...]


def guess_sides(bodyparts: Sequence[str]) -> Guess:
    """Finds the pairs of names such as 'leftear' and 'rightear', 'ear_L' and 'ear_R', 'pawLF' and 'pawRF'.

    'Lear' and 'Rear' are a pair too, but neither counts as one-sided without the other.
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for name in bodyparts:
        side, rest = _side(name)
        if side:
            groups.setdefault(rest, {"l": [], "r": []})[side].append(name)
    for name in filter(CAPITAL.match, bodyparts):
        other = ("R" if name[0] == "L" else "L") + name[1:]
        if other in bodyparts and not _side(name)[0]:
            groups.setdefault(f"*{name[1:].lower()}", {"l": [], "r": []})[name[0].lower()].append(name)
    found: dict[int, list] = {0: [], 1: [], 2: []}
    for group in groups.values():
        names = [*group["l"], *group["r"]]
        if len(group["l"]) == len(group["r"]) == 1:
            found[0].append(tuple(names))
        else:
            one_sided = not (group["l"] and group["r"])
            found[1 if one_sided else 2] += names
    return Guess(*map(tuple, found.values()))


def mirrored_pairs(bodyparts: Sequence[str], instead: str, otherwise: str) -> tuple[tuple[str, str], ...]:
    """The pairs that are swapped in mirrored frames, by their names; warns of names of one side.

    Args:
      bodyparts: all names.
      instead: what the user can do, for messages.
      otherwise: a second way, where names are ambiguous, which raises InputError.
    """
    guess = guess_sides(bodyparts)
    if guess.ambiguous:
        raise InputError(
            f"frames are mirrored, and it is not clear which of {listed(guess.ambiguous, MOST_NAMES)} are left and "
            f"right of each other: {instead}, or {otherwise}"
        )
    if guess.alone:
        warn(
            f"frames are mirrored, but there is no bodypart on the other side of {listed(guess.alone, MOST_NAMES)}: "
            f"{instead}"
        )
    return guess.pairs


def _side(name: str) -> tuple[str, str]:
    """The side of a name, 'l', 'r' or '' for none, and the name without it, which its counterpart shares.

    Where several words tell a side ('left_eye_right_corner'), the first decides and the others count relative to it.
    """
    side, rest = "", ""

    def without(found: str) -> str:
        nonlocal side
        side = side or found
        return "*" if found == side else "+"

    for word in (word.lower() for word in WORDS.findall(nfc(name))):
        if LETTER.fullmatch(word):
            side_of_word = word[0] if word[0] in "lr" else word[1]
            rest += without(side_of_word) + word.replace(side_of_word, "")
        else:
            rest += WHOLE.sub(lambda match: without(match[0][0]), word)
    return side, rest
