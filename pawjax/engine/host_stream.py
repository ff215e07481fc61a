"""The frames of every step: all of them on the devices, or batch by batch from the host where they are too many."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from pawjax.data.batches import FrameStore, draw_indices


def stream_batches(
    store: FrameStore,
    key: jax.Array,
    first_step: int,
    batch_size: int,
    put: Callable[[FrameStore], FrameStore],
) -> Iterator[FrameStore]:
    """The frames of the batches from `first_step` (from 0) on, without end, each made while the one before is used.

    Args:
      store: all frames, in the host's memory.
      key: of the order; the frames are those of `draw_indices(key, step, ...)`, in its order.
      batch_size: of all devices together.
      put: takes [batch_size] frames from the host to the devices.
    """
    host = jax.local_devices(backend="cpu")[0]  # on the device itself the draw would wait for the step before
    key_data = np.asarray(jax.random.key_data(key))
    draw = jax.jit(draw_indices, static_argnums=(2, 3))

    def fetch(step: int) -> FrameStore:
        with jax.default_device(host):
            rows = np.asarray(draw(jax.random.wrap_key_data(key_data), step, batch_size, len(store)))
        return put(jax.tree.map(lambda leaf: leaf[rows], store))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(fetch, first_step)
        for step in itertools.count(first_step + 1):
            ready, coming = coming, pool.submit(fetch, step)
            yield ready.result()
