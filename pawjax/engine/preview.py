"""Draws augmented training frames with their keypoints, as the network gets them."""

import os
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data
from pawjax.config import check_config
from pawjax.data.augment import Augment
from pawjax.data.batches import make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine import choices
from pawjax.engine.step import batch_of_step
from pawjax.errors import InputError
from pawjax.files import regular
from pawjax.report.gallery import points_grid

N_FRAMES = 16


def draw_augmented(config: ConfigDict, path: Path) -> None:
    """Draws the first frames that a run of this config trains on, augmented as in training. Trains nothing.

    Args:
      config: the run's.
      path: the PNG, in a folder that exists; replaced if it exists.

    Raises InputError as training would, and for a path where no PNG can be written.
    """
    _check_path(path)
    check_config(config)
    source = data.DataConfig.of(config)
    frames = data.load(source)
    split = data.split(source, frames)
    config, chosen = choices.choose(config, frames, split)
    choices.report(chosen)
    train = jax.device_put(make_store(frames, split["train"], config.scale))
    settings, key = Augment.of(config), jax.random.key(config.seed)
    pairs = pair_indices(config.data.symmetric_pairs, frames.bodyparts)
    make = jax.jit(lambda step: batch_of_step(key, step, train, settings, config.batch_size, pairs=pairs))
    batches = [jax.device_get(make(step)) for step in range(-(-N_FRAMES // config.batch_size))]
    image, keypoints, labelled = (
        np.concatenate([batch[name] for batch in batches])[:N_FRAMES] for name in ("image", "keypoints", "labelled")
    )
    points_grid(image, keypoints, labelled, path, bodyparts=frames.bodyparts)


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"--draw_augmented={path}: this is a folder; name a PNG in it")
    if path.suffix.lower() != ".png":
        raise InputError(f"--draw_augmented={path}: a PNG is drawn; end the name in .png")
    regular(path)
    if not path.parent.is_dir():
        raise InputError(f"--draw_augmented={path}: there is no folder {path.parent}; create it or name another")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--draw_augmented={path}: {path.parent} is not writable; name another folder")
