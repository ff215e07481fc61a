"""Merges foreign leaves into a network's variables, strictly by name."""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pawjax.errors import InputError, listed
from pawjax.weights.detection import with_block4_in_place
from pawjax.weights.efficientnet import size_of

NAMED = 8  # most names in a message
EXAMPLES = 3  # of tensors that do not fit
IN_BLOCK = re.compile(r"(?:.*\.)?(?:_blocks|layer[1-4]|features)\.\d+\.(?!.*num_batches_tracked$)")  # of a backbone


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
        """One line for the terminal: numbers of tensors, and their modules. Counters of batches are not mentioned."""
        words = f"{len(self.used)} tensors loaded"
        skipped = [name for name in self.skipped if not name.endswith("num_batches_tracked")]
        for what, names in (("left unchanged", self.missing), ("in the file not used", skipped)):
            modules = sorted({name.split("/")[1] if "/" in name else name.split(".")[0] for name in names})
            words += f"; {len(names)} {what}, of {listed(modules, NAMED)}" if names else ""
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
      unknown: further names in the file, reported as skipped; none may belong to a block of a backbone.

    Raises InputError for a file of another architecture, with the settings that it would fit and what does not fit now,
    and for numbers that are not finite.
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
    backbone = [name for name in skipped if name.split("/")[1] == "backbone"] + list(filter(IN_BLOCK.match, unknown))
    if wrong or backbone:
        wrong += [f"{name} is unexpected" for name in backbone if name not in names]
        network = {name: value.shape for name, (_, value) in zip(names, flat, strict=True)}
        fits = _settings_that_fit({name: leaf.shape for name, leaf in leaves.items()}, network)
        raise InputError(f"{source}: weights of another network{fits}: {_counted(wrong)}: {listed(wrong, EXAMPLES)}")
    if not used:
        raise InputError(
            f"{source}: no weights that this network can use; it holds {listed(list(unknown) or skipped, NAMED)}"
        )
    return Merge(jax.tree.unflatten(tree, values), used, missing, skipped + list(unknown))


def _counted(wrong: Sequence[str]) -> str:
    """'2 tensors of the backbone are missing, 1 of another shape', of phrases such as 'NAME is missing'."""
    kinds = (("missing", " is missing"), ("of another shape", " has shape "), ("unexpected", " is unexpected"))
    counts = [(sum(words in phrase for phrase in wrong), kind) for kind, words in kinds]
    return "tensors of the backbone: " + ", ".join(f"{n} {kind}" for n, kind in counts if n)


Shapes = Mapping[str, tuple[int, ...]]


def _settings_that_fit(file: Shapes, network: Shapes) -> str:
    """', which fits config.model.backbone = 'resnet101'', or '' if that cannot be told."""
    found, now = _model_settings(file), _model_settings(network)
    settings = [f"config.model.{field} = {value}" for field, value in found.items() if now.get(field) != value]
    return f", which fits {' and '.join(settings)}" if settings else ""


def _model_settings(shapes: Shapes) -> dict[str, str]:
    """Those of `config.model` that these leaves show, as text: 'backbone', 'norm' and 'stem_channels'."""
    units: dict[str, int] = {}
    for name in shapes:
        if match := re.match(r"params/\w+/block([1-4])_unit(\d+)/conv3/", name):
            units[match[1]] = max(units.get(match[1], 0), int(match[2]))
    settings = {}
    if len(units) == 4:
        settings["backbone"] = f"'resnet{2 + 3 * sum(units.values())}'"  # stem, three convolutions a unit, classifier
    elif (size := size_of(shapes)) is not None:  # which tells the published widths
        settings |= {"backbone": f"'efficientnet_lite{size}'", "stem_channels": "64"}
    elif "params/backbone/conv1_1/kernel" in shapes:
        settings["backbone"] = "'vgg16'"
    if "params/backbone/stem/scale" in shapes:
        has_statistics = any(name.startswith("batch_stats/backbone/") for name in shapes)
        settings["norm"] = "'batch' or 'frozen'" if has_statistics else "'group'"
    for stem in ("stem", "conv1_1"):
        if shape := shapes.get(f"params/backbone/{stem}/kernel"):
            settings.setdefault("stem_channels", str(shape[-1]))
    return settings
