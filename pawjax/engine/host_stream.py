"""Streams batches of frames from the host, for data sets too large for the devices."""

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
    """The frames of each batch from `first_step` (from 0), without end; the next batch loads while one is used.

    Args:
      store: all frames, in host memory.
      key: random key of the order; the frames are those of `draw_indices(key, step, ...)`, in its order.
      batch_size: total over all devices.
      put: moves [batch_size] frames from the host to the devices.
    """
    host = jax.local_devices(backend="cpu")[0]  # on the device, the draw would wait for the previous step
    key_data = np.asarray(jax.random.key_data(key))
    draw = jax.jit(draw_indices, static_argnums=(2, 3))

    def fetch(step: int) -> FrameStore:
        with jax.default_device(host):
            rows = np.asarray(draw(jax.random.wrap_key_data(key_data), step, batch_size, len(store)))
        return put(jax.tree.map(lambda leaf: leaf[rows], store))

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(fetch, first_step)
        for step in itertools.count(first_step + 1):
            ready, pending = pending, pool.submit(fetch, step)
            yield ready.result()
