"""A run's first weights from elsewhere: a weight file of another system, or another run."""

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.engine.download import fetch
from pawjax.engine.processes import main_first
from pawjax.engine.runlog import read_config, read_run
from pawjax.engine.state import TrainState
from pawjax.engine.tracker import load_variables
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.weights import Merge, lineage_of, merge, read_tensors, to_pawjax


def initialise(
    state: TrainState, source: str, lineage: str, anchors: tuple[int, int] = (1, 1)
) -> tuple[TrainState, Merge]:
    """The state with the weights of `source` in place, and what was taken.

    Args:
      state: fresh, on its devices.
      source: `config.init_from`: a weight file (`pawjax.weights.read_tensors`), its address with its sha256
        (`pawjax.engine.download`), or a run folder (its best checkpoint).
      lineage: `config.model.lineage`, the geometry that the network has.
      anchors: of a detector, how many sizes and ratios `config.detector` gives those of a cell.

    Raises InputError if there is nothing there, or if it belongs to another network.
    """
    path = main_first(lambda: fetch(source)) if re.match("https?://", source) else Path(source)
    if path.is_dir():
        theirs, leaves, unknown = read_config(path).model.lineage, _leaves_of_run(path), []
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


def _leaves_of_run(workdir: Path) -> dict[str, np.ndarray]:
    config, run = read_config(workdir), read_run(workdir)
    method = make_method(config, tuple(run["data"]["bodyparts"]))
    _, variables = load_variables(workdir, method, "best")
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {"/".join(entry.key for entry in path): np.asarray(leaf) for path, leaf in leaves}
