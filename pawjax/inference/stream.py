"""Runs frames through a compiled program; the next batches are dispatched before a result is fetched."""

import collections
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.data.batches import FrameStore, evaluation_batches
from pawjax.inference.views import Predict
from pawjax.methods import Variables
from pawjax.ops.warp import apply_affine

AHEAD = 2  # batches in flight besides the one whose result is fetched


def stream(
    program: Callable[[Any], Any],
    batches: Iterable[tuple[Any, int]],
    ahead: int = AHEAD,
    fetching: Callable[[], AbstractContextManager] = nullcontext,
) -> Iterator[Any]:
    """The results of a program for each batch, in order, on the host.

    At most `ahead` + 1 batches are in flight, so memory stays bounded for a video of any length.

    Args:
      program: compiled; maps arrays with a leading axis B to a tree of arrays with the same leading axis.
      batches: pairs of the arrays and the number n of real rows in them; the last batch may be padded to B rows.
      ahead: batches dispatched before the oldest result is fetched.
      fetching: a context for each fetch of a result, e.g. to time it.

    Yields:
      The tree of numpy arrays of a batch, each truncated to its n real rows.
    """

    def fetch(output: Any, n: int) -> Any:
        with fetching():
            return jax.tree.map(lambda rows: rows[:n], jax.device_get(output))

    in_flight: collections.deque[tuple[Any, int]] = collections.deque()
    for arrays, n in batches:
        in_flight.append((program(arrays), n))
        if len(in_flight) > ahead:
            yield fetch(*in_flight.popleft())
    while in_flight:
        yield fetch(*in_flight.popleft())


def stream_store(program: Callable[[Any], Any], store: FrameStore, batch_size: int) -> Any:
    """The results of a program from images [B, H, W, C], for all N frames of a store: a tree of arrays [N, ...]."""
    batches = ((store.image[indices], n) for indices, n in evaluation_batches(len(store), batch_size))
    return jax.tree.map(lambda *rows: np.concatenate(rows), *stream(program, batches))


@dataclasses.dataclass(frozen=True)
class Predictions:
    """keypoints float32 [N, K, 2], (x, y) pixels of the original images; likelihood [N, K]; seconds of prediction."""

    keypoints: np.ndarray
    likelihood: np.ndarray
    seconds: float


def predict_store(predict: Predict, variables: Variables, store: FrameStore, batch_size: int) -> Predictions:
    """Predicts every frame of a store with a compiled `predict`.

    The time excludes compilation: the first batch runs once before.
    """
    program = functools.partial(predict, variables)
    indices, _ = next(evaluation_batches(len(store), batch_size))
    jax.block_until_ready(program(store.image[indices]))
    start = time.perf_counter()
    output = stream_store(program, store, batch_size)
    seconds = time.perf_counter() - start
    keypoints = np.asarray(apply_affine(store.to_original, jnp.asarray(output["keypoints"])))
    return Predictions(keypoints, output["likelihood"], seconds)
