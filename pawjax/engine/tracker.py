"""A trained run as a function from images to keypoints."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax.data.batches import scaled_size
from pawjax.data.symmetry import pair_indices
from pawjax.engine import compiler
from pawjax.engine.checkpoints import Checkpoints
from pawjax.engine.runlog import read_config, read_run
from pawjax.engine.views import make_predict, with_prediction
from pawjax.errors import InputError
from pawjax.methods import Method, make_method
from pawjax.ops.warp import apply_affine, invert_affine, resize, resize_affine


class Tracker:
    """`tracker(images) -> keypoints, likelihood`, one compiled program for each shape of images.

    Attributes:
      bodyparts: names of the K points.
      step: of the checkpoint.
    """

    def __init__(self, method: Method, variables: Any, config: ConfigDict, bodyparts: tuple[str, ...], step: int):
        self.bodyparts = bodyparts
        self.step = step
        self._variables = variables
        self._detects = hasattr(method, "detect")
        find = make_predict(method, config, pair_indices(config.data.symmetric_pairs, bodyparts))

        def resized(images: jax.Array) -> tuple[jax.Array, jax.Array]:
            size = images.shape[1:3]
            small = scaled_size(size, config.scale)
            return resize(images, *small), invert_affine(resize_affine(size, small))[None]

        def predict(variables: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
            images, back = resized(images)
            found = find(variables, images)
            return apply_affine(back, found["keypoints"]), found["likelihood"]

        def detect(variables: Any, images: jax.Array, **options: Any) -> dict[str, jax.Array]:
            images, back = resized(images)
            found = method.detect(variables, images, **options)
            corners = apply_affine(back, found["boxes"].reshape(len(images), -1, 2))
            return found | {"boxes": corners.reshape(found["boxes"].shape)}

        self._predict = compiler.jit(predict)
        self._detect = compiler.jit(detect, static_argnames=("max_detections", "score_threshold", "nms_threshold"))

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points of a batch of images.

        Args:
          images: uint8 [B, H, W, C], C 1 (grey) or 3 (RGB).

        Returns:
          keypoints float32 [B, K, 2], (x, y) pixels of the images, centres at whole numbers; likelihood [B, K].
        """
        keypoints, likelihood = self._predict(self._variables, _checked(images))
        return np.asarray(keypoints), np.asarray(likelihood)

    def detect(
        self,
        images: np.ndarray,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
    ) -> dict[str, np.ndarray]:
        """Every instance that a Faster R-CNN finds, not only the likeliest of each bodypart.

        Args:
          images: uint8 [B, H, W, C], C 1 (grey) or 3 (RGB).
          max_detections: N, for an image.
          score_threshold: of those that count.
          nms_threshold: IoU with a likelier box of its bodypart from which on a box is the same instance.

        Returns:
          'boxes' float32 [B, N, 4], xyxy pixels of the images, clipped to them, by falling 'scores' [B, N]; 'classes'
          [B, N], places in `bodyparts`; bool 'valid' [B, N], False where there was no further one.

        Raises InputError for a run of another method.
        """
        if not self._detects:
            raise InputError("instances are found by runs of config.method = 'faster_rcnn' alone")
        options = dict(max_detections=max_detections, score_threshold=score_threshold, nms_threshold=nms_threshold)
        return jax.tree.map(np.asarray, self._detect(self._variables, _checked(images), **options))


def _checked(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        raise InputError(f"a tracker takes uint8 images [B, H, W, 1 or 3], not {images.dtype} {list(images.shape)}")
    return images


def load_variables(workdir: Path, method: Any, checkpoint: str) -> tuple[int, Any]:
    """Step and variables of a checkpoint of a run; see `Checkpoints.restore_variables`."""
    batch = {"image": jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)}
    shapes = jax.eval_shape(method.init, jax.random.key(0), batch)
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        return checkpoints.restore_variables(checkpoint, shapes)
    finally:
        checkpoints.close()


def load(workdir: str | Path, checkpoint: str | int = "best", **prediction: Any) -> Tracker:
    """The tracker of a training run.

    Args:
      workdir: its run folder.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      prediction: fields of `config.predict` to use instead of the run's own, as refine='votes' or flip=True.

    Raises InputError if the folder is no run or has no such checkpoint, or for a value that cannot be.
    """
    workdir = Path(workdir).expanduser()
    config, run = with_prediction(read_config(workdir), **prediction), read_run(workdir)
    bodyparts = tuple(run["data"]["bodyparts"])
    method = make_method(config, bodyparts)
    step, variables = load_variables(workdir, method, str(checkpoint))
    variables = jax.jit(method.prepare)(variables)
    return Tracker(method, variables, config, bodyparts, step)
