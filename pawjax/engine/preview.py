"""Draws augmented training frames with their keypoints, as the network gets them."""

from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data
from pawjax.config import check_config
from pawjax.data.augment import Augment
from pawjax.data.batches import make_store
from pawjax.data.symmetry import pair_indices
from pawjax.engine.step import batch_of_step
from pawjax.report.gallery import points_grid

N_FRAMES = 16


def draw_augmented(config: ConfigDict, path: Path) -> None:
    """Draws the first frames that a run of this config trains on, augmented as in training. Trains nothing.

    Raises InputError as training would.
    """
    check_config(config)
    source = data.DataConfig.of(config)
    frames = data.load(source)
    train = jax.device_put(make_store(frames, data.split(source, frames)["train"], config.scale))
    settings, key = Augment.of(config), jax.random.key(config.seed)
    pairs = pair_indices(source.symmetric_pairs, frames.bodyparts)
    make = jax.jit(lambda step: batch_of_step(key, step, train, settings, config.batch_size, pairs=pairs))
    batches = [jax.device_get(make(step)) for step in range(-(-N_FRAMES // config.batch_size))]
    image, keypoints, labelled = (
        np.concatenate([batch[name] for batch in batches])[:N_FRAMES] for name in ("image", "keypoints", "labelled")
    )
    points_grid(image, keypoints, labelled, path, bodyparts=frames.bodyparts)
