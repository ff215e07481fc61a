"""Initial weights from a weight file of another system or from another run."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.engine.download import fetch, is_url
from pawjax.engine.processes import main_first
from pawjax.engine.published import IMAGENET, imagenet_file
from pawjax.engine.state import TrainState
from pawjax.errors import InputError, did_you_mean
from pawjax.files import user_path
from pawjax.inference.run import RunFiles, read_run_files
from pawjax.methods import Method
from pawjax.models.backbones import Model
from pawjax.weights import Merge, merge, read_tensors, variant_of


def initialise(
    state: TrainState, method: Method, source: str, model: Model, bodyparts: tuple[str, ...]
) -> tuple[TrainState, Merge]:
    """The state with the weights of `source`, and what was taken from it.

    Args:
      state: fresh, on its devices.
      method: the method to train.
      source: `config.init_from`: 'imagenet' (`pawjax.engine.published`), a weight file (`pawjax.weights.read_tensors`),
        its URL with its sha256 (`pawjax.engine.download`), or a run folder (its best checkpoint).
      model: the settings of the method's backbone.
      bodyparts: those of the state. If one has another index in the source run, its bodypart heads are not taken.

    Raises InputError if there is nothing there, or if it belongs to another network.
    """
    path = main_first(lambda: _path_of(source, model))
    if path.is_dir():
        try:
            files = read_run_files(path)
            leaves, unknown = _leaves_of_run(files, bodyparts, method.bodypart_heads)
        except InputError as error:
            raise InputError(f"config.init_from = '{source}': {error}") from error
        source_variant = files.config.model.variant
    elif path.is_file():
        tensors = read_tensors(path)
        source_variant, (leaves, unknown) = variant_of(tensors), method.read_weights(tensors)
    else:
        hint = did_you_mean(source, [IMAGENET], "name a weight file, a run folder or 'imagenet'")
        raise InputError(f"config.init_from = '{source}': there is no such file or folder: {hint}")
    if source_variant and source_variant != model.variant:
        raise InputError(
            f"config.init_from = '{source}': its weights use another ResNet geometry: "
            f"set config.model.variant = '{source_variant}', which is '{model.variant}'"
        )
    message = f"config.init_from = '{source}'"
    merged = merge(state.variables, leaves, source=message, heads=method.heads, unknown=unknown)

    def placed() -> dict[str, Any]:
        """The weights on the state's devices, in new buffers each time (needed for donation)."""
        variables = state.variables
        return jax.tree.map(lambda new, old: jax.device_put(np.array(new), old.sharding), merged.variables, variables)

    params = placed()
    extra = {name: params.pop(name) for name in state.extra}
    average = placed() if state.average else state.average
    return state.replace(params=params["params"], extra=extra, average=average), merged


def _path_of(source: str, model: Model) -> Path:
    if source == IMAGENET:
        return imagenet_file(model)
    return fetch(source) if is_url(source) else user_path(source)


def _leaves_of_run(
    files: RunFiles, bodyparts: tuple[str, ...], bodypart_heads: Collection[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The leaves of a run by path, and the names of those to leave out."""
    source_bodyparts, variables = files.bodyparts, files.restore(fold=False).variables
    flat, _ = jax.tree_util.tree_flatten_with_path(variables)
    leaves = {"/".join(entry.key for entry in path): np.asarray(leaf) for path, leaf in flat}
    moved = any(name in source_bodyparts and source_bodyparts.index(name) != k for k, name in enumerate(bodyparts))
    left = [name for name in leaves if moved and name.split("/")[1] in bodypart_heads]
    return {name: leaf for name, leaf in leaves.items() if name not in left}, left
