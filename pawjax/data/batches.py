"""From labelled frames to batches: the frames stay on the device, and (seed, step) determines every batch.

`FrameStore` holds the frames at the network's scale; `draw_indices` draws the order; `gather` builds the batch, whose
fields `pawjax.data` defines.
"""

import dataclasses
from collections.abc import Iterator

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from pawjax.data.frames import LabelledFrames
from pawjax.errors import InputError
from pawjax.machine import need_memory
from pawjax.ops.warp import apply_affine, invert_affine, resize, resize_affine

Array = np.ndarray | jax.Array
RESIZE_CHUNK = 16


@flax.struct.dataclass
class FrameStore:
    """Frames ready to be gathered: arrays over N frames, at the network's scale, on the host or on a device.

    image uint8 [N, H, W, C], padded with zeros below and to the right; keypoints float32 [N, A, K, 2], (x, y) pixels
    of `image`; labelled and absent bool [N, A, K]; size int32 [N, 2], the (height, width) without padding;
    to_original float32 [N, 2, 3], from pixels of `image` to pixels of the original frame.
    """

    image: Array
    keypoints: Array
    labelled: Array
    absent: Array
    size: Array
    to_original: Array

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def n_bytes(self) -> int:
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """(height, width) times scale, rounded, at least 1 px."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def make_store(frames: LabelledFrames, indices: np.ndarray, scale: float) -> FrameStore:
    """The frames at `indices`, resized by `scale`, in one host array, with their labels.

    Frames of different sizes are padded to the largest. Raises InputError if there are none, or no memory for them.
    """
    if len(indices) == 0:
        raise InputError("no frames to batch: this split is empty")
    sizes = frames.sizes[indices]
    n, channels = len(indices), frames.images.shape[-1]
    height, width = (float(side) * scale for side in sizes.max(axis=0))
    resizing = 0 if scale == 1 else 2 * 4 * min(n, RESIZE_CHUNK)  # float32, before and after rounding
    what = f"{n} frames of {width:.6g}x{height:.6g} at config.scale = {scale:g}"
    fix = "make config.scale smaller, or use fewer or smaller frames"
    need_memory((n + resizing) * height * width * channels, what, fix)
    scaled = np.array([scaled_size(tuple(size), scale) for size in sizes], np.int32)
    image = np.zeros((n, *scaled.max(axis=0), channels), np.uint8)
    to_original = np.zeros((n, 2, 3), np.float32)
    shrink = jax.jit(resize, static_argnums=(1, 2))
    for size in sorted({tuple(size) for size in sizes.tolist()}):
        rows = np.flatnonzero((sizes == size).all(axis=1))
        height, width = scaled_size(size, scale)
        to_original[rows] = invert_affine(resize_affine(size, (height, width)))
        for chunk in np.array_split(rows, -(-len(rows) // RESIZE_CHUNK)):
            source = frames.images[indices[chunk], : size[0], : size[1]]
            image[chunk, :height, :width] = source if scale == 1 else shrink(source, height, width)
    keypoints = frames.keypoints[indices]
    points = jnp.asarray(keypoints.reshape(n, -1, 2))  # all animals as one set of points
    moved = apply_affine(invert_affine(jnp.asarray(to_original)), points)
    moved = np.asarray(moved).reshape(keypoints.shape)
    return FrameStore(image, moved, frames.labelled[indices], frames.absent[indices], scaled, to_original)


def draw_indices(key: jax.Array, step: jax.Array, batch_size: int, n_frames: int) -> jax.Array:
    """Frames of the batch of `step` (from 0): int32 [batch_size].

    The endless order is a permutation of all frames per epoch, drawn from fold_in(key, epoch); a batch is the next
    `batch_size` of it. Any step's batch can be computed without the ones before.
    """
    first = step * batch_size
    first_epoch = first // n_frames
    n_epochs = (batch_size - 1) // n_frames + 2  # the most that a batch can span
    keys = jax.vmap(lambda e: jax.random.fold_in(key, first_epoch + e))(jnp.arange(n_epochs))
    order = jax.vmap(lambda k: jax.random.permutation(k, n_frames))(keys).reshape(-1)
    return order[first - first_epoch * n_frames + jnp.arange(batch_size)]


def gather(store: FrameStore, indices: jax.Array) -> dict[str, jax.Array]:
    """The batch of the frames at `indices` of a store on the device; see `as_batch`."""
    return as_batch(jax.tree.map(lambda leaf: leaf[indices], store))


def as_batch(store: FrameStore) -> dict[str, jax.Array]:
    """The batch of all frames of a store, each with weight 1; it keeps `size` for the augmentation's crop."""
    fields = {field.name: getattr(store, field.name) for field in dataclasses.fields(store)}
    return fields | {"weight": jnp.ones(len(store), jnp.float32)}


def evaluation_batches(n_frames: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Indices [batch_size] of consecutive frames and how many are real; the last batch is padded with frame 0."""
    for first in range(0, n_frames, batch_size):
        chunk = np.arange(first, min(first + batch_size, n_frames))
        yield np.pad(chunk, (0, batch_size - len(chunk))), len(chunk)
