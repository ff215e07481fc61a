"""Merges foreign leaves into a network's variables, strictly by name."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError, listed
from pawjax.weights.detection import with_block4_in_place

NAMED = 8  # most names in a message


@dataclasses.dataclass(frozen=True)
class Merge:
    """Result of a merge, in names of leaves ('params/backbone/stem/kernel').

    Attributes:
      variables: the network's variables with the leaves of the file in place.
      used: leaves taken from the file.
      missing: leaves of the network's heads that the file lacks or has in another shape; they keep their values.
      skipped: names in the file that the network does not use.
    """

    variables: Any
    used: list[str]
    missing: list[str]
    skipped: list[str]

    def __str__(self) -> str:
        """One line for the terminal."""
        words = f"{len(self.used)} tensors loaded"
        for what, names in (("left unchanged", self.missing), ("in the file not used", self.skipped)):
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
    """Replaces variables by the `leaves` of the same names.

    The backbone must be complete: each of its leaves is in the file, in the same shape. Heads for another number of
    bodyparts, or of another system, keep their initial values. A ResNet's block 4 goes where the network has it.

    Args:
      variables: {'params': ..., 'batch_stats': ...}.
      leaves: arrays by path, as from `read_weights`.
      source: origin of the leaves, for messages.
      heads: modules that may be incomplete, see `pawjax.methods.method`.
      unknown: further names in the file, reported as skipped.

    Raises InputError, with the names that do not fit, for a file of another architecture, and for numbers that are not
    finite.
    """
    flat, tree = jax.tree_util.tree_flatten_with_path(variables)
    names = ["/".join(entry.key for entry in path) for path, _ in flat]
    leaves = with_block4_in_place(leaves, names)
    wrong, values, used, missing = [], [], [], []
    for name, (_, value) in zip(names, flat, strict=True):
        leaf = leaves.get(name)
        if leaf is not None and leaf.shape == value.shape:
            if not np.isfinite(leaf).all():
                raise InputError(
                    f"{source}: {name} holds numbers that are not finite: the file is damaged, or its training had "
                    "diverged; use another file"
                )
            used.append(name)
            values.append(leaf.astype(value.dtype))
            continue
        values.append(value)
        if name.split("/")[1] in heads:
            missing.append(name)
        elif leaf is None:
            wrong.append(f"{name} is missing")
        else:
            wrong.append(f"{name} has shape {list(leaf.shape)}, not {list(value.shape)}")
    skipped = [name for name in leaves if name not in set(used)]
    backbone = [name for name in skipped if name.split("/")[1] not in heads]
    if wrong or backbone:
        extra = [f"{name} is unexpected" for name in backbone if name not in names]
        message = f"{source}: weights of another network: {listed(wrong + extra, NAMED)}"
        if all(name.startswith("batch_stats/") for name in wrong + extra):
            norm = "'group'" if wrong else "'batch' or 'frozen'"
            message += f"; its normalisation needs config.model.norm = {norm}"
        raise InputError(message)
    if not used:
        raise InputError(
            f"{source}: no weights that this network can use; it holds {listed(list(unknown) or skipped, NAMED)}"
        )
    return Merge(jax.tree.unflatten(tree, values), used, missing, skipped + list(unknown))
