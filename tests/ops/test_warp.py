"""Affine maps, resizes and bilinear sampling against scipy and round trips."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pawjax.ops import warp


def random_affine(rng: np.random.Generator) -> np.ndarray:
    angle, zoom = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 2)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ [[1, rng.uniform(0.2, 0.5)], [0, 1]]  # pure rotations and zooms would commute
    return np.concatenate([turn, rng.uniform(-20, 20, (2, 1))], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_inverse_and_composition(seed):
    rng = np.random.default_rng(seed)
    a, b = random_affine(rng), random_affine(rng)
    points = rng.uniform(-50, 50, (7, 2)).astype(np.float32)
    there = warp.apply_affine(a, points)
    np.testing.assert_allclose(warp.apply_affine(warp.invert_affine(a), there), points, atol=1e-3)
    both = warp.apply_affine(warp.compose_affine(b, a), points)
    np.testing.assert_allclose(both, warp.apply_affine(b, there), atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_warp_equals_scipy_affine_transform(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (23, 31, 2)).astype(np.uint8)
    matrix = random_affine(rng)
    ours = np.asarray(warp.warp(jnp.asarray(image), matrix, 19, 17))
    y, x = np.meshgrid(np.arange(19), np.arange(17), indexing="ij")
    source = np.einsum("ij,jhw->ihw", matrix[:, :2], np.stack([x, y])) + matrix[:, 2, None, None]
    for c in range(2):
        # mode 'grid-constant' fades to the outside value over one pixel, as ours does
        expected = ndimage.map_coordinates(
            image[..., c].astype(float), source[::-1], order=1, mode="grid-constant", cval=0.0
        )
        np.testing.assert_allclose(ours[..., c], expected, atol=0.02)


def test_resize_moves_points_by_the_half_pixel_rule():
    matrix = np.asarray(warp.resize_affine((600, 800), (300, 400)))
    np.testing.assert_allclose(
        warp.apply_affine(matrix, np.array([[0.0, 0.0], [799.0, 599.0]])), [[-0.25, -0.25], [399.25, 299.25]]
    )


def test_resize_keeps_a_blob_where_the_matrix_says():
    y, x = np.mgrid[:120, :160]
    center = (53.3, 71.8)
    blob = np.round(250 * np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / 200)).astype(np.uint8)
    small = np.asarray(warp.resize(jnp.asarray(blob[None, :, :, None]), 47, 61))[0, :, :, 0].astype(float)
    y, x = np.mgrid[:47, :61]
    found = np.array([[(small * x).sum(), (small * y).sum()]]) / small.sum()
    expected = warp.apply_affine(warp.resize_affine((120, 160), (47, 61)), np.array([center]))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_resize_equals_pillow():
    image = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)
    ours = np.asarray(warp.resize(jnp.asarray(image[None, :, :, None]), 21, 33))[0, :, :, 0]
    pillow = np.asarray(Image.fromarray(image).resize((33, 21), Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - pillow).max() <= 1
