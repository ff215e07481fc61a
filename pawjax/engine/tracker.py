"""A trained run as a function from images to keypoints."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.data.batches import scaled_size
from pawjax.engine import compiler
from pawjax.engine.checkpoints import Checkpoints
from pawjax.engine.runlog import read_config, read_run
from pawjax.engine.views import Predict, make_predict
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.ops.warp import apply_affine, invert_affine, resize, resize_affine


class Tracker:
    """`tracker(images) -> keypoints, likelihood`, one compiled program for each shape of images.

    Attributes:
      bodyparts: names of the K points.
      step: of the checkpoint.
    """

    def __init__(self, find: Predict, variables: Any, scale: float, bodyparts: tuple[str, ...], step: int):
        self.bodyparts = bodyparts
        self.step = step
        self._variables = variables

        def predict(variables: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
            size = images.shape[1:3]
            small = scaled_size(size, scale)
            found = find(variables, resize(images, *small))
            back = invert_affine(resize_affine(size, small))
            return apply_affine(back[None], found["keypoints"]), found["likelihood"]

        self._predict = compiler.jit(predict)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points of a batch of images.

        Args:
          images: uint8 [B, H, W, C], C 1 (grey) or 3 (RGB).

        Returns:
          keypoints float32 [B, K, 2], (x, y) pixels of the images, centres at whole numbers; likelihood [B, K].
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
            raise InputError(f"a tracker takes uint8 images [B, H, W, 1 or 3], not {images.dtype} {list(images.shape)}")
        keypoints, likelihood = self._predict(self._variables, images)
        return np.asarray(keypoints), np.asarray(likelihood)


def load_variables(workdir: Path, method: Any, checkpoint: str) -> tuple[int, Any]:
    """Step and variables of a checkpoint of a run; see `Checkpoints.restore_variables`."""
    batch = {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)}
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        return checkpoints.restore_variables(checkpoint, shapes)
    finally:
        checkpoints.close()


def load(workdir: str | Path, checkpoint: str = "best", **prediction: Any) -> Tracker:
    """The tracker of a training run.

    Args:
      workdir: its run folder.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      prediction: fields of `config.predict` to use instead of the run's own, as refine='votes' or flip=True.

    Raises InputError if the folder is no run or has no such checkpoint, or for a value that cannot be.
    """
    workdir = Path(workdir)
    config, run = read_config(workdir), read_run(workdir)
    config.predict.update(prediction)
    bodyparts = tuple(run["data"]["bodyparts"])
    method = make_method(config, bodyparts)
    step, variables = load_variables(workdir, method, checkpoint)
    variables = jax.jit(method.prepare)(variables)
    return Tracker(make_predict(method, config), variables, config.scale, bodyparts, step)
