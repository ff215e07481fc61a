"""One strict merge by name of foreign leaves into a network's variables."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError, listed
from pawjax.weights.detection import with_block4_in_place

NAMED = 8  # names in a message


@dataclasses.dataclass(frozen=True)
class Merge:
    """What a merge did, in names of leaves ('params/backbone/stem/kernel').

    Attributes:
      variables: the network's variables with the leaves of the file in place.
      used: leaves taken from the file.
      missing: leaves of the network's heads that the file lacks or has in another shape; they keep their values.
      skipped: names in the file that the network has no place for.
    """

    variables: Any
    used: list[str]
    missing: list[str]
    skipped: list[str]

    def __str__(self) -> str:
        """One line for the terminal."""
        words = f"{len(self.used)} tensors taken"
        for what, names in (("left as they were", self.missing), ("of the file not used", self.skipped)):
            words += f"; {len(names)} {what}: {listed(names, NAMED)}" if names else ""
        return words


def merge(
    variables: Any,
    leaves: dict[str, np.ndarray],
    *,
    source: str,
    heads: Collection[str],
    unknown: Sequence[str] = (),
) -> Merge:
    """Puts `leaves` in the places of the same names.

    The backbone has to be whole: each of its leaves in the file, in the same shape. Heads of another number of
    bodyparts, or of another system, keep their fresh values. A ResNet's block 4 goes where the network has it.

    Args:
      variables: {'params': ..., 'batch_stats': ...}.
      leaves: arrays by path, as `to_pawjax` gives them.
      source: of the leaves, for messages.
      heads: modules that need not be whole, see `pawjax.methods.method`.
      unknown: further names of the file, to be reported as skipped.

    Raises InputError for a file of another architecture, with the names that do not fit.
    """
    flat, tree = jax.tree_util.tree_flatten_with_path(variables)
    names = ["/".join(entry.key for entry in path) for path, _ in flat]
    leaves = with_block4_in_place(leaves, names)
    wrong, values, used, missing = [], [], [], []
    for name, (_, value) in zip(names, flat, strict=True):
        found = leaves.get(name)
        if found is not None and found.shape == value.shape:
            used.append(name)
            values.append(found.astype(value.dtype))
            continue
        values.append(value)
        if name.split("/")[1] in heads:
            missing.append(name)
        elif found is None:
            wrong.append(f"{name} is not there")
        else:
            wrong.append(f"{name} is {list(found.shape)} there and {list(value.shape)} here")
    skipped = [name for name in leaves if name not in set(used)]
    backbone = [name for name in skipped if name.split("/")[1] not in heads]
    if wrong or backbone:
        extra = [f"{name} has no place" for name in backbone if name not in names]
        message = f"{source}: weights of another network: {listed(wrong + extra, NAMED)}"
        if all(name.startswith("batch_stats/") for name in wrong + extra):
            norm = "'group'" if wrong else "'batch' or 'frozen'"
            message += f"; its normalisation wants config.model.norm = {norm}"
        raise InputError(message)
    if not used:
        raise InputError(
            f"{source}: no weights that this network could use; it holds {listed(list(unknown) or skipped, NAMED)}"
        )
    return Merge(jax.tree.unflatten(tree, values), used, missing, skipped + list(unknown))
