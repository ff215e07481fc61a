"""A run's first weights from elsewhere: a weight file of another system, or another run."""

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.engine.download import fetch
from pawjax.engine.processes import main_first
from pawjax.engine.state import TrainState
from pawjax.errors import InputError
from pawjax.inference.run import RunFiles, read_run_files
from pawjax.weights import Merge, lineage_of, merge, read_tensors, to_pawjax

OF_BODYPARTS = (  # layers that have channels for each of them
    *("scoremap", "locref", "intermediate_scoremap", "intermediate_locref"),
    *("class_score", "class_box"),
)


def initialise(
    state: TrainState,
    source: str,
    lineage: str,
    anchors: tuple[int, int] = (1, 1),
    bodyparts: tuple[str, ...] = (),
) -> tuple[TrainState, Merge]:
    """The state with the weights of `source` in place, and what was taken.

    Args:
      state: fresh, on its devices.
      source: `config.init_from`: a weight file (`pawjax.weights.read_tensors`), its address with its sha256
        (`pawjax.engine.download`), or a run folder (its best checkpoint).
      lineage: `config.model.lineage`, the geometry that the network has.
      anchors: of a detector, how many sizes and ratios `config.detector` gives those of a cell.
      bodyparts: of the state. Where one of them stands at another place in the run given, heads are not taken.

    Raises InputError if there is nothing there, or if it belongs to another network.
    """
    path = main_first(lambda: fetch(source)) if re.match("https?://", source) else Path(source).expanduser()
    if path.is_dir():
        files = read_run_files(path)
        theirs, (leaves, unknown) = files.config.model.lineage, _leaves_of_run(files, bodyparts)
    elif path.is_file():
        tensors = read_tensors(path)
        theirs, (leaves, unknown) = lineage_of(tensors), to_pawjax(tensors, anchors)
    else:
        raise InputError(f"config.init_from = '{source}' is neither a weight file nor a run folder")
    if theirs and theirs != lineage:
        raise InputError(
            f"config.init_from = '{source}': its weights were trained in another geometry of the ResNet: "
            f"set config.model.lineage = '{theirs}', which is '{lineage}'"
        )
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    merged = merge(variables, leaves, source=f"config.init_from = '{source}'", unknown=unknown)

    def placed() -> Any:
        """On the devices of the state; a new buffer each time, which donation needs."""
        return jax.tree.map(lambda new, old: jax.device_put(np.array(new), old.sharding), merged.variables, variables)

    return state.replace(**placed(), average=placed() if state.average else state.average), merged


def _leaves_of_run(files: RunFiles, bodyparts: tuple[str, ...]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Its leaves by path, and the names of those that are not to be taken."""
    theirs, variables = files.bodyparts, files.restore(fold=False).variables
    flat, _ = jax.tree_util.tree_flatten_with_path(variables)
    leaves = {"/".join(entry.key for entry in path): np.asarray(leaf) for path, leaf in flat}
    moved = any(name in theirs and theirs.index(name) != place for place, name in enumerate(bodyparts))
    left = [name for name in leaves if moved and name.split("/")[1] in OF_BODYPARTS]
    return {name: leaf for name, leaf in leaves.items() if name not in left}, left
