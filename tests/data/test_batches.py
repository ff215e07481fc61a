"""Frame stores, training order and evaluation batches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.data.batches import draw_indices, evaluation_batches, gather, make_store
from pawjax.data.frames import LabelledFrames
from pawjax.errors import InputError
from pawjax.ops.warp import apply_affine


def make_frames(sizes, n_animals=1, seed=0):
    rng = np.random.default_rng(seed)
    n, (height, width) = len(sizes), np.max(sizes, axis=0)
    images = np.zeros((n, height, width, 1), np.uint8)
    keypoints = np.zeros((n, n_animals, 2, 2), np.float32)
    for i, (h, w) in enumerate(sizes):
        images[i, :h, :w] = rng.integers(0, 256, (h, w, 1))
        keypoints[i] = rng.uniform((0, 0), (w - 1, h - 1), (n_animals, 2, 2))
    labelled = rng.uniform(size=(n, n_animals, 2)) < 0.7
    absent = ~labelled & (rng.uniform(size=labelled.shape) < 0.5)
    ids = tuple(f"labeled-data/v/{i}.png" for i in range(n))
    return LabelledFrames(
        images, np.array(sizes, np.int32), keypoints, labelled, absent, ids, ("v",) * n, ("a", "b"), "x"
    )


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.8, 1.3])
def test_points_map_back_to_the_original_frame(scale):
    frames = make_frames([(40, 60), (30, 50), (40, 60), (33, 21)])
    indices = np.array([3, 0, 1])
    store = make_store(frames, indices, scale)
    back = apply_affine(store.to_original[:, None], store.keypoints)
    np.testing.assert_allclose(back, frames.keypoints[indices], atol=1e-3)
    np.testing.assert_array_equal(np.asarray(store.size)[0], np.round(np.array([33, 21]) * scale))
    h, w = np.asarray(store.size)[0]
    assert not np.asarray(store.image)[0, h:].any() and not np.asarray(store.image)[0, :, w:].any()


def test_animals_of_a_store_equal_two_stores():
    two = make_frames([(40, 60), (30, 50)], n_animals=2)
    store, indices = make_store(two, np.arange(2), 0.8), jnp.array([1, 0, 1])
    batch = gather(jax.tree.map(jnp.asarray, store), indices)
    assert batch["keypoints"].shape == (3, 2, 2, 2) and batch["labelled"].shape == (3, 2, 2)
    for a in (0, 1):
        fields = {name: getattr(two, name)[:, [a]] for name in ("keypoints", "labelled", "absent")}
        one = dataclasses.replace(two, **fields)
        alone = gather(jax.tree.map(jnp.asarray, make_store(one, np.arange(2), 0.8)), indices)
        np.testing.assert_array_equal(batch["keypoints"][:, [a]], alone["keypoints"])
        np.testing.assert_array_equal(batch["labelled"][:, [a]], alone["labelled"])
        np.testing.assert_array_equal(batch["absent"][:, [a]], alone["absent"])


def test_scale_one_keeps_the_pixels():
    frames = make_frames([(40, 60), (30, 50)])
    store = make_store(frames, np.arange(2), 1.0)
    np.testing.assert_array_equal(store.image, frames.images)


def test_empty_store_is_refused():
    with pytest.raises(InputError, match="no frames"):
        make_store(make_frames([(8, 8)]), np.array([], int), 1.0)


@pytest.mark.parametrize("scale", [1000.0, 1e12, 1e300])
def test_frames_beyond_the_memory_are_refused_before_they_are_allocated(scale):
    with pytest.raises(InputError, match="2 frames of .* at config.scale = .* need .* make config.scale smaller"):
        make_store(make_frames([(400, 600)] * 2), np.arange(2), scale)


@pytest.mark.parametrize("n_frames, batch_size", [(10, 4), (3, 8), (7, 7), (5, 1)])
def test_every_epoch_holds_every_frame_once(n_frames, batch_size):
    key = jax.random.key(1)
    draw = jax.jit(draw_indices, static_argnums=(2, 3))
    stream = np.concatenate([draw(key, step, batch_size, n_frames) for step in range(3 * n_frames)])
    epochs = stream[: len(stream) // n_frames * n_frames].reshape(-1, n_frames)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n_frames), (len(epochs), 1)))
    if n_frames > 5:
        assert (epochs[0] != epochs[1]).any()


def test_order_depends_on_the_key_only():
    first, again = (draw_indices(jax.random.key(1), 5, 4, 50) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(draw_indices(jax.random.key(2), 5, 4, 50)) != np.asarray(first)).any()


def test_gather_and_evaluation_batches():
    store = make_store(make_frames([(16, 16)] * 5), np.arange(5), 1.0)
    batch = gather(store, jnp.array([4, 4, 1]))
    np.testing.assert_array_equal(batch["image"][0], store.image[4])
    assert batch["weight"].tolist() == [1, 1, 1]
    batches = list(evaluation_batches(5, 2))
    assert [n for _, n in batches] == [2, 2, 1]
    assert np.concatenate([i[:n] for i, n in batches]).tolist() == [0, 1, 2, 3, 4]
    assert all(len(i) == 2 for i, _ in batches)
