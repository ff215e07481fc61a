"""A tracker for a camera loop: one frame in, one pose out, and the latest frame wins.

A thread runs the network. A frame that comes while it is busy waits; one that comes after it takes its place, and the
waiting one is dropped and counted. So a pose is never older than two runs of the network, however fast frames come.
"""

import dataclasses
import numbers
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from pawjax.errors import InputError
from pawjax.inference.opening import predictor_of_run
from pawjax.inference.pipeline import Stages
from pawjax.inference.predictor import Batch, Found, Predictor
from pawjax.inference.run import open_run
from pawjax.inference.windows import followed, window_side

CLOSED = "this live tracker is closed: open another one"


@dataclasses.dataclass(frozen=True)
class LivePose:
    """The points of one frame.

    Attributes:
      number: of the frame, counted from 0 over all calls of `put` and `track`.
      time: of the frame, as the caller gave it, s.
      latency: from `put` to this pose, s.
      points: 'keypoints' [K, 2], (x, y) px of the frame, 'likelihood' [K], and what else the predictor says.
    """

    number: int
    time: float
    latency: float
    points: dict[str, np.ndarray]

    @property
    def keypoints(self) -> np.ndarray:
        """[K, 2], (x, y) px of the frame."""
        return self.points["keypoints"]

    @property
    def likelihood(self) -> np.ndarray:
        """[K]."""
        return self.points["likelihood"]


@dataclasses.dataclass(frozen=True)
class _Put:
    number: int
    time: float
    since: float
    pixels: np.ndarray


class LiveTracker:
    """Finds the points of frames as they come; see the module. Use it in a `with` block, or `close` it.

    Any thread may call its methods. An exception of the network is raised by the next call of any of them.

    Attributes:
      bodyparts: names of the K points.
      done: number of frames that have a pose.
      dropped: number of frames that will never have one, because a later one came.

    Args:
      predictor: finds the points; compiled here, before the first frame.
      size: (height, width) of the frames.
      track_window: side of a window that follows the animal, px; 0 predicts whole frames. See
        `pawjax.inference.windows`.

    Raises InputError for a wrong size or window.
    """

    def __init__(self, predictor: Predictor, size: tuple[int, int], track_window: int = 0):
        if not _is_size(size):
            raise InputError(f"size={size!r} must be (height, width) of the frames in pixels, e.g. (480, 640)")
        if not isinstance(track_window, numbers.Integral) or track_window < 0:
            raise InputError(f"track_window={track_window!r} must be a number of pixels, or 0 for whole frames")
        self.bodyparts, self.done, self.dropped = predictor.bodyparts, 0, 0
        self._predictor, self._window = predictor, window_side(track_window, predictor.grid)
        self._shape = (*size, predictor.channels)
        self._count, self._taken, self._waiting = 0, None, None
        self._pose: LivePose | None = None
        self._error: BaseException | None = None
        self._closed, self._changed = False, threading.Condition()
        self._warm_up()
        self._thread = threading.Thread(target=self._work, name="pawjax live", daemon=True)
        self._thread.start()

    def put(self, frame: np.ndarray, time: float | None = None) -> int:
        """Hands over a frame and returns its number at once.

        Args:
          frame: uint8 [H, W, C], RGB or gray, which may be [H, W]. It is copied, in the network's channels.
          time: of the frame, s; now, by `time.monotonic`, if None.

        Raises InputError for another shape or dtype, or if the tracker is closed.
        """
        return self._put(frame, time).number

    def latest(self) -> LivePose | None:
        """The pose of the latest frame that has one; None before the first."""
        with self._changed:
            self._check()
            return self._pose

    def wait(self, after: int = -1, timeout: float | None = None) -> LivePose | None:
        """The pose of a frame whose number is above `after`, as soon as there is one; None after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or self._has_pose(after), timeout)
            if not self._has_pose(after):
                self._check()
                return None
            return self._pose

    def track(self, frame: np.ndarray, time: float | None = None) -> LivePose:
        """The pose of this frame, or of a later one if another thread put one meanwhile; arguments as for `put`."""
        return self.wait(self._put(frame, time).number - 1)

    def close(self) -> None:
        """Ends the thread; a frame that waits is dropped. Raises an exception of the network not raised yet."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> "LiveTracker":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            self.close()
        except BaseException:
            if kind is None:  # else the block's own exception goes on
                raise

    def _put(self, frame: np.ndarray, stamp: float | None) -> _Put:
        since = time.monotonic()
        pixels = self._checked(frame)
        with self._changed:
            self._check()
            put = _Put(self._count, since if stamp is None else stamp, since, pixels)
            self._count += 1
            self.dropped += self._waiting is not None
            self._waiting = put
            self._changed.notify_all()
        return put

    def _checked(self, frame: np.ndarray) -> np.ndarray:
        """A copy of the frame, uint8 [H, W, C], with as many channels as the network was trained on."""
        frame = np.asarray(frame)
        pixels = frame[..., None] if frame.ndim == 2 else frame
        if pixels.dtype == np.uint8 and pixels.shape[-1:] == (3,) and self._shape[2] == 1:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        if pixels.dtype == np.uint8 and pixels.shape[-1:] == (1,) and pixels.shape[:2] == self._shape[:2]:
            pixels = np.repeat(pixels, self._shape[2], axis=2)
        if pixels.dtype != np.uint8 or pixels.shape != self._shape:
            raise InputError(
                f"this live tracker takes frames uint8 {list(self._shape)}, not {frame.dtype} {list(frame.shape)}"
            )
        return np.array(pixels)

    def _has_pose(self, after: int) -> bool:
        return self._pose is not None and self._pose.number > after

    def _is_over(self) -> bool:
        return self._closed or self._error is not None

    def _check(self) -> None:
        """Raises the exception of the network, once, or InputError if the tracker is closed."""
        if self._error is not None:
            error, self._error, self._closed = self._error, None, True
            raise error
        if self._closed:
            raise InputError(CLOSED)

    def _warm_up(self) -> None:
        sides = [min(self._window, side) if self._window else side for side in self._shape[:2]]
        for height, width in {tuple(sides), self._shape[:2]}:
            jax.block_until_ready(self._predictor.predict(np.zeros((1, height, width, self._shape[2]), np.uint8)))

    def _work(self) -> None:
        try:
            for points, _ in self._found():
                put = self._taken
                with self._changed:
                    points = {name: values[0] for name, values in points.items()}
                    self._pose = LivePose(put.number, put.time, time.monotonic() - put.since, points)
                    self.done += 1
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _found(self) -> Iterator[Found]:
        if self._window:
            return followed(self._predictor, self._frames(), self._window, None, Stages())
        return ((jax.device_get(self._predictor.predict(pixels)), times) for pixels, times in self._frames())

    def _frames(self) -> Iterator[Batch]:
        """The latest frame, each time the network is free, as a batch of one."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    self.dropped += self._waiting is not None
                    return
                self._taken, self._waiting = self._waiting, None
            yield self._taken.pixels[None], np.array([self._taken.time])


def _is_size(size: Any) -> bool:
    sides = tuple(size) if isinstance(size, Sequence) else ()
    return len(sides) == 2 and all(
        isinstance(side, numbers.Integral) and side is not True and side > 0 for side in sides
    )


def live(
    workdir: str | Path,
    size: tuple[int, int],
    checkpoint: str | int = "best",
    track_window: int = 0,
    **prediction: Any,
) -> LiveTracker:
    """The live tracker of a training run, compiled and warmed up.

    Args:
      workdir: its run folder.
      size: (height, width) of the camera's frames.
      checkpoint: 'best' (on dev), 'last' or a step's number.
      track_window: side of a window that follows the animal, px; faster where the animal is small. 0 for none.
      prediction: fields of `config.predict` that replace the run's own.

    Raises InputError if the folder is not a run or lacks the checkpoint, or for a wrong argument.
    """
    return LiveTracker(predictor_of_run(open_run(workdir, checkpoint, **prediction)), size, track_window)
