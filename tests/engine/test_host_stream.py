"""(seed, step) determines frames and keys, in memory or streamed, from the first step or a later one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from pawjax.data.augment import Augment
from pawjax.data.batches import FrameStore, draw_indices
from pawjax.engine.host_stream import stream_batches
from pawjax.engine.step import batch_of_step

SHIFTED = Augment(shift=0.5, contrast_p=0, brightness_p=0, gamma_p=0, blur_p=0, noise_p=0, occlusion_p=0)


def store_of(n: int) -> FrameStore:
    """Frames of 16 x 16, each with its index as grey value and two points in the middle."""
    return FrameStore(
        np.tile(np.arange(n, dtype=np.uint8)[:, None, None, None], (1, 16, 16, 1)),
        np.full((n, 1, 2, 2), 8.0, np.float32),
        np.zeros((n, 1, 2), bool),
        np.zeros((n, 1, 2), bool),
        np.full((n, 2), 16, np.int32),
        np.tile(np.eye(2, 3, dtype=np.float32), (n, 1, 1)),
    )


def test_stream_starts_at_a_later_step():
    key, store = jax.random.key(3), store_of(7)
    stream = stream_batches(store, key, 5, 4, lambda frames: frames)
    for step, frames in zip(range(5, 9), stream, strict=False):
        np.testing.assert_array_equal(frames.image[:, 0, 0, 0], draw_indices(key, step, 4, 7))


def test_batches_differ_by_seed_and_step():
    store = jax.tree.map(jnp.asarray, store_of(7))
    make = jax.jit(lambda key, step: batch_of_step(key, step, store, SHIFTED, 4)["to_original"])
    made = [np.asarray(make(jax.random.key(seed), step)) for seed, step in itertools.product((0, 1), (0, 1, 7))]
    assert all((one != other).any(axis=(1, 2)).all() for one, other in itertools.combinations(made, 2))
    np.testing.assert_array_equal(make(jax.random.key(0), 7), made[2])
