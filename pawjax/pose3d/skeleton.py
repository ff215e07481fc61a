"""From limbs, pairs of bodyparts, to the tree that Model 2 and GIMBAL need."""

from collections.abc import Sequence

from pawjax.errors import InputError, listed


def parents_of(bodyparts: Sequence[str], limbs: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """Index of each bodypart's parent; the first bodypart of the first limb is the root, its own parent.

    Args:
      bodyparts: K names.
      limbs: pairs of these names, in any order and direction.

    Raises InputError for limbs that form no tree: one that closes a circle, or bodyparts that no limb leads to.
    """
    if not limbs:
        raise InputError(
            "model2 and gimbal need to know which bodyparts are joined: give the limbs, as --skeleton=A-B,B-C,..."
        )
    places = {name: place for place, name in enumerate(bodyparts)}
    root = places[limbs[0][0]]
    group = list(range(len(bodyparts)))  # of each bodypart, by the limbs so far
    neighbours: list[list[int]] = [[] for _ in bodyparts]
    for a, b in limbs:
        one, other = places[a], places[b]
        if group[one] == group[other]:
            raise InputError(f"--skeleton: the limb {a}-{b} closes a circle, and models need a tree: leave it out")
        group = [group[one] if own == group[other] else own for own in group]
        neighbours[one].append(other)
        neighbours[other].append(one)
    if apart := [name for name, own in zip(bodyparts, group, strict=True) if own != group[root]]:
        raise InputError(
            f"--skeleton: no limbs lead from {bodyparts[root]} to {listed(apart, 5)}, and models need one tree: add a "
            f"limb, or leave the bodyparts out with --bodyparts=A,B,..."
        )
    parents = [root] * len(bodyparts)
    ahead = [root]
    for place in ahead:
        for other in neighbours[place]:
            if other != parents[place]:
                parents[other] = place
                ahead.append(other)
    return tuple(parents)


def limbs_of(bodyparts: Sequence[str], parents: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Pairs of names, parent first, of a tree as `parents_of` gives it."""
    return tuple((bodyparts[parent], bodyparts[k]) for k, parent in enumerate(parents) if parent != k)
