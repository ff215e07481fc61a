"""Augmentation: points move with the image, each kind has its effect, and keys determine the result."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.data.augment import Augment, augment
from pawjax.errors import InputError
from pawjax.ops.warp import apply_affine

STILL = Augment(
    rotation_p=0,
    scale_p=0,
    shift=0,
    flip_p=0,
    brightness_p=0,
    contrast_p=0,
    gamma_p=0,
    blur_p=0,
    noise_p=0,
    occlusion_p=0,
)
GEOMETRY = dataclasses.replace(STILL, rotation=180.0, rotation_p=1, scale=(0.7, 1.3), scale_p=1, shift=0.2, flip_p=0.5)


def blob_batch(n=6, height=96, width=128, seed=0):
    """Frames with one bright blob at the only labelled point."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((25, 25), (width - 25, height - 25), (n, 1, 1, 2)).astype(np.float32)
    y, x = np.mgrid[:height, :width]
    distance = (x - points[:, 0, 0, 0, None, None]) ** 2 + (y - points[:, 0, 0, 1, None, None]) ** 2
    return {
        "image": jnp.asarray(np.round(250 * np.exp(-distance / 60))[..., None].astype(np.uint8)),
        "keypoints": jnp.asarray(points),
        "labelled": jnp.ones((n, 1, 1), bool),
        "absent": jnp.zeros((n, 1, 1), bool),
        "weight": jnp.ones(n),
        "to_original": jnp.tile(jnp.array([[2.0, 0, 0.5], [0, 2.0, 0.5]]), (n, 1, 1)),
        "size": jnp.tile(jnp.array([[height, width]], jnp.int32), (n, 1)),
    }


def run(settings, batch, seed=0, pairs=()):
    keys = jax.random.split(jax.random.key(seed), batch["image"].shape[0])
    return jax.device_get(jax.jit(augment, static_argnums=(0, 3))(settings, keys, batch, pairs))


def centroid(image):
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("scale", (1.2, 0.8), "two positive numbers"),
        ("gamma", (0.0, 1.0), "two positive numbers"),
        ("crop", (-64, 64), "whole pixels"),
        ("crop", (64.0, 64.0), "whole pixels"),
        ("rotation_p", 1.5, "from 0 to 1"),
        ("noise", -1.0, "at least 0"),
        ("rotation", float("nan"), "at least 0"),
        ("blur", 9.0, "at most 7"),
    ],
)
def test_invalid_setting_is_refused(field, value, words):
    with pytest.raises(InputError, match=rf"config\.augment\.{field} = .*{words}"):
        Augment(**{field: value})


def test_no_augmentation_changes_nothing():
    batch = blob_batch()
    out = run(STILL, batch)
    for name in ("image", "keypoints", "to_original"):
        np.testing.assert_array_equal(out[name], batch[name])


@pytest.mark.parametrize("crop", [(0, 0), (64, 80), (128, 144)])
@pytest.mark.parametrize("seed", range(3))
def test_points_move_with_the_picture(crop, seed):
    batch = blob_batch(seed=seed)
    out = run(dataclasses.replace(GEOMETRY, crop=crop, margin=12), batch, seed)
    assert out["image"].shape[1:3] == (crop[0] or 96, crop[1] or 128)
    for image, point in zip(out["image"], out["keypoints"], strict=True):
        size = np.array(image.shape[1::-1])
        assert (point >= 11.9).all() and (point <= size - 12.9 + 1e-3).all(), "the crop must keep the point"
        np.testing.assert_allclose(centroid(image), point[0, 0], atol=0.8)  # blobs near the border are clipped
    back = apply_affine(out["to_original"], out["keypoints"][:, 0])
    np.testing.assert_allclose(back, apply_affine(batch["to_original"], batch["keypoints"][:, 0]), atol=1e-2)


def test_flip_exchanges_symmetric_bodyparts():
    batch = blob_batch(2)
    batch["keypoints"] = jnp.concatenate([batch["keypoints"], batch["keypoints"] + 3], axis=2)
    batch["labelled"] = jnp.array([[[True, False]], [[True, True]]])
    batch["absent"] = ~batch["labelled"]
    out = run(dataclasses.replace(STILL, flip_p=1.0), batch, pairs=((0, 1),))
    np.testing.assert_array_equal(out["labelled"], [[[False, True]], [[True, True]]])
    np.testing.assert_array_equal(out["absent"], ~out["labelled"])
    mirrored = np.asarray(batch["keypoints"])[:, :, ::-1] * (-1, 1) + (127, 0)
    np.testing.assert_allclose(out["keypoints"] - mirrored, np.zeros_like(mirrored), atol=1e-3)
    np.testing.assert_array_equal(out["image"], np.asarray(batch["image"])[:, :, ::-1])


def test_two_animals_are_augmented_as_one_set_of_points():
    rng = np.random.default_rng(2)
    batch = blob_batch(4) | {
        "keypoints": jnp.asarray(rng.uniform(0, 96, (4, 2, 3, 2)), jnp.float32),
        "labelled": jnp.asarray(rng.uniform(size=(4, 2, 3)) < 0.6),
        "absent": jnp.zeros((4, 2, 3), bool),
    }
    pooled = batch | {
        "keypoints": batch["keypoints"].reshape(4, 1, 6, 2),
        "labelled": batch["labelled"].reshape(4, 1, 6),
        "absent": jnp.zeros((4, 1, 6), bool),
    }
    settings = dataclasses.replace(GEOMETRY, crop=(40, 48), margin=4)
    out, expected = run(settings, batch, pairs=((0, 2),)), run(settings, pooled, pairs=((0, 2), (3, 5)))
    np.testing.assert_array_equal(out["image"], expected["image"])
    np.testing.assert_array_equal(out["keypoints"].reshape(4, 1, 6, 2), expected["keypoints"])
    np.testing.assert_array_equal(out["labelled"].reshape(4, 1, 6), expected["labelled"])


def test_keys_determine_the_result():
    batch, settings = blob_batch(), Augment(rotation_p=1, noise_p=1)
    np.testing.assert_array_equal(run(settings, batch)["image"], run(settings, batch)["image"])
    assert (run(settings, batch, 1)["image"] != run(settings, batch)["image"]).any()


def test_sample_does_not_depend_on_its_neighbours():
    batch, settings = blob_batch(), Augment(rotation_p=1, noise_p=1, crop=(64, 64))
    keys = jax.random.split(jax.random.key(3), 6)
    whole = augment(settings, keys, batch)
    half = augment(settings, keys[3:], jax.tree.map(lambda x: x[3:], batch))
    np.testing.assert_array_equal(whole["image"][3:], half["image"])


@pytest.mark.parametrize(
    "change",
    [{"brightness_p": 1}, {"contrast_p": 1}, {"gamma_p": 1}, {"noise_p": 1}, {"occlusion_p": 1}, {"blur_p": 1}],
)
def test_light_changes_the_image_and_not_the_points(change):
    batch = blob_batch()
    out = run(dataclasses.replace(STILL, **change), batch)
    assert (out["image"] != np.asarray(batch["image"])).any()
    np.testing.assert_array_equal(out["keypoints"], batch["keypoints"])


def test_motion_blur_keeps_the_brightness():
    batch = blob_batch()
    out = run(dataclasses.replace(STILL, blur_p=1.0), batch)
    before, after = np.asarray(batch["image"], float), out["image"].astype(float)
    np.testing.assert_allclose(after.sum((1, 2, 3)), before.sum((1, 2, 3)), rtol=0.02)
    assert (after.max((1, 2, 3)) < before.max((1, 2, 3)) - 1).any()


def test_unlabelled_frame_is_cropped_within_the_image():
    batch = blob_batch()
    batch["labelled"] = jnp.zeros((6, 1, 1), bool)
    out = run(dataclasses.replace(STILL, crop=(48, 48)), batch)
    corner = out["to_original"][:, :, 2] / 2
    assert (corner >= -0.5).all() and np.isfinite(out["image"]).all()


def test_crops_anywhere_show_every_part_of_the_frame():
    """Without them, what is far from the animal is in no crop; half of them, and only half, ignore the animal."""
    n, batch = 200, blob_batch(200, 96, 128)
    batch["keypoints"] = jnp.full((n, 1, 1, 2), 20.0)
    around = dataclasses.replace(STILL, crop=(32, 32), margin=4)
    corners = run(around, batch)["to_original"][..., 2] / 2 - 0.25  # (x, y) of the crops
    assert corners.max() <= 20 - 4
    anywhere = run(dataclasses.replace(around, anywhere_p=0.5), batch)
    corners = anywhere["to_original"][..., 2] / 2 - 0.25
    assert (corners.max(0) > (80, 52)).all() and (corners.min(0) >= 0).all() and (corners.max(0) <= (96, 64)).all()
    outside = ~((anywhere["keypoints"] >= 0) & (anywhere["keypoints"] < 32)).all(-1)
    assert 0.3 < outside.mean() < 0.6 and anywhere["labelled"].all(), "a label outside is a label all the same"
    whole = dataclasses.replace(GEOMETRY, anywhere_p=1.0)
    np.testing.assert_array_equal(run(whole, batch)["image"], run(GEOMETRY, batch)["image"])
