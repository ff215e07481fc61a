"""A trained run as a function from images to keypoints."""

import contextlib
import dataclasses
import functools
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pawjax.data.pictures import ValueRange, to_uint8
from pawjax.data.video import named
from pawjax.errors import InputError
from pawjax.files import user_path
from pawjax.inference import compiler
from pawjax.inference.job import Job
from pawjax.inference.opening import predictor_of_run
from pawjax.inference.points import make_find_points, to_network
from pawjax.inference.run import Run, open_run
from pawjax.inference.videos import Crop, Options
from pawjax.machine import use_compilation_cache
from pawjax.methods import Variables
from pawjax.ops.warp import apply_affine
from pawjax.progress import announced
from pawjax.tracks.file import read_tracks
from pawjax.tracks.tracks import Tracks

WANTED = "a tracker takes uint8 images [B, H, W, 1 or 3]"
MOST_DETECTIONS = 100_000


class Tracker:
    """`tracker(images) -> keypoints, likelihood`, one compiled program for each shape of images.

    A tracker can be pickled, for the processes of a pool, which compile anew or take programs from the disk.

    Attributes:
      bodyparts: names of the K points.
      step: the checkpoint's.
      animals: A, in each image.
    """

    def __init__(self, run: Run, animals: int = 1):
        use_compilation_cache()
        self.bodyparts = run.bodyparts
        self.step = run.step
        self.animals = animals
        self._run = run
        self._variables = jax.device_put(run.variables)
        self._value_range = run.record["data"].get("value_range")
        self._compiled: set[tuple] = set()
        self._finds_instances = hasattr(run.method, "detect")

        def detect(variables: Variables, images: jax.Array, **options: Any) -> dict[str, jax.Array]:
            images, back = to_network(images, run.config.scale)
            instances = run.method.detect(variables, images, **options)
            corners = apply_affine(back, instances["boxes"].reshape(len(images), -1, 2))
            return instances | {"boxes": corners.reshape(instances["boxes"].shape)}

        self._predict = compiler.jit(make_find_points(run, animals))
        self._detect = compiler.jit(detect, static_argnames=("max_detections", "score_threshold", "nms_threshold"))

    def __reduce__(self) -> tuple:
        return Tracker, (dataclasses.replace(self._run, variables=jax.device_get(self._variables)), self.animals)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints of a batch of images.

        Args:
          images: uint8 [B, H, W, C], C 1 (grey) or 3 (RGB); B may be 0. A run that was trained on images of 16 bits or
            floats takes theirs too, and maps them as in training.

        Returns:
          keypoints float32 [B, K, 2], (x, y) pixels of the images, centres at whole numbers; likelihood [B, K]. Of
          several animals [B, A, K, 2] and [B, A, K], with NaN and 0 for a bodypart that is not found.

        Raises InputError for anything that is not such an array.
        """
        points = self._run_program(self._predict, _checked(images, self._value_range))
        return points["keypoints"], points["likelihood"]

    def predict_video(
        self,
        path: str | Path,
        out: str | Path = "",
        batch_size: int = 8,
        crop: tuple[int, int, int, int] | None = None,
        track_window: int = 0,
        overwrite: bool = False,
    ) -> Tracks:
        """Tracks of a video, written to a file as `python -m pawjax.predict` does, resumed and skipped like there.

        The tracks returned take 44 bytes a point; `pawjax.tracks.file.read_pieces` reads the file piece by piece.

        Args:
          path: the video, or a folder of pictures.
          out: folder of the file of tracks; '' for beside the video.
          batch_size: frames per call of the network.
          crop: (x, y, width, height) px, the only part of the frames to predict.
          track_window: side of a window that follows the animal, px; 0 predicts whole frames.
          overwrite: predict again what is done.

        Raises InputError for what is no video, or a file that holds other tracks.
        """
        predictor = predictor_of_run(self._run, self._predict, self.animals)
        if crop is not None and len(crop) != 4:
            raise InputError(f"crop={crop!r} must be (x, y, width, height) in pixels")
        options = Options(batch_size, Crop(*crop) if crop else None, track_window)
        job = Job(predictor, options, user_path(out) if out else None, formats=(), overwrite=overwrite)
        video = named(user_path(path))
        job.predict_one(video)
        return read_tracks(job.target_of(video))

    def detect(
        self,
        images: np.ndarray,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
    ) -> dict[str, np.ndarray]:
        """Every instance that the run's method finds, not only the likeliest of each bodypart.

        Args:
          images: as for the tracker itself.
          max_detections: N, per image.
          score_threshold: score that a detection must exceed, 0..1.
          nms_threshold: IoU above which a box suppresses others of its bodypart, 0..1.

        Returns:
          'boxes' float32 [B, N, 4], xyxy pixels of the images, clipped to them, by decreasing 'scores' [B, N];
          'classes' [B, N], indices into `bodyparts`; bool 'valid' [B, N], False for padding.

        Raises InputError if the run's method finds only one point per bodypart, or for a wrong argument.
        """
        if not self._finds_instances:
            raise InputError("this run's method finds no instances: call the tracker itself for its keypoints")
        _check_number("max_detections", max_detections, numbers.Integral, 1, MOST_DETECTIONS)
        _check_number("score_threshold", score_threshold, numbers.Real, 0, 1)
        _check_number("nms_threshold", nms_threshold, numbers.Real, 0, 1)
        options = dict(max_detections=max_detections, score_threshold=score_threshold, nms_threshold=nms_threshold)
        return self._run_program(self._detect, _checked(images, self._value_range), **options)

    def _run_program(self, program: Callable, images: np.ndarray, **options: Any) -> Any:
        """The program's output as numpy arrays; for no images, arrays of length 0."""
        if not len(images):
            one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
            shapes = jax.eval_shape(functools.partial(program, **options), self._variables, one)
            return jax.tree.map(lambda leaf: np.zeros((0, *leaf.shape[1:]), leaf.dtype), shapes)
        n, height, width, _ = images.shape
        call = (program, images.shape, tuple(options.items()))
        message = f"pawjax: compiling for {n} images of {height}x{width}; another number or size compiles again"
        with contextlib.nullcontext() if call in self._compiled else announced(message):
            output = program(self._variables, images, **options)
        self._compiled.add(call)
        return jax.tree.map(np.asarray, output)


def _checked(images: np.ndarray, value_range: ValueRange | None) -> np.ndarray:
    try:
        images = np.asarray(images)
    except (TypeError, ValueError) as error:  # a list of images of different sizes
        raise InputError(f"{WANTED}, all of one size: call it once for each size") from error
    if value_range and images.ndim == 4 and images.dtype.kind in "uif" and images.dtype != np.uint8:
        images = to_uint8(images, value_range)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        raise InputError(f"{WANTED}, not {images.dtype} {list(images.shape)}")
    if 0 in images.shape[1:3]:
        raise InputError(f"{WANTED} with pixels, not {list(images.shape)}")
    return images


def _check_number(name: str, value: Any, kind: type, low: int, high: int) -> None:
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        wanted = "a whole number" if kind is numbers.Integral else "a number"
        raise InputError(f"{name}={value!r} must be {wanted} from {low} to {high}")


def load(workdir: str | Path, checkpoint: str | int = "best", animals: int = 1, **prediction: Any) -> Tracker:
    """The tracker of a training run.

    Args:
      workdir: its run folder.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      animals: in each image, up to 4, though the run was trained on images of one. Their order is arbitrary in each
        image: nothing says which animal of the next image is which. See `pawjax.structure.animals`.
      prediction: fields of `config.predict` that replace the run's own, e.g. decode='votes' or flip=True.

    Raises InputError if the folder is not a run or lacks the checkpoint, for a wrong field or value of `prediction`, or
    for several animals that the run's method cannot find.
    """
    return Tracker(open_run(workdir, checkpoint, **prediction), animals)
