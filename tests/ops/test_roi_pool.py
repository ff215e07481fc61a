"""RoI pooling against torchvision and ONNX Runtime (tests/golden), and against its definition in plain numpy."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.roi_pool import roi_pool

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

compiled = jax.jit(roi_pool, static_argnames=("bins", "scale"))


def test_values_and_gradient_equal_torchvision():
    golden = np.load(GOLDEN / "detection_rois.npz")
    pool = partial(compiled, rois=golden["rois"], bins=(3, 4), scale=1 / 8)
    found, pullback = jax.vjp(pool, jnp.asarray(golden["features"]))
    np.testing.assert_array_equal(found, golden["pool"])
    np.testing.assert_allclose(pullback(golden["cotangent"])[0], golden["pool_gradient"], atol=1e-5)


def test_values_equal_onnxruntime():
    golden = np.load(GOLDEN / "detection_onnxruntime.npz")
    found = compiled(golden["features"], golden["rois"], (4, 3), scale=1 / 16)
    np.testing.assert_array_equal(found, golden["pool"])


def definition(features, roi, bins, scale):
    """By definition, cell by cell; halves are rounded away from zero."""
    x1, y1, x2, y2 = (int(np.sign(v) * np.floor(abs(v) + 0.5)) for v in roi.astype(np.float64) * scale)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    pooled = np.zeros((*bins, features.shape[-1]), np.float32)
    for p in range(bins[0]):
        for q in range(bins[1]):
            rows = range(y1 + p * height // bins[0], y1 - (-(p + 1) * height // bins[0]))
            columns = range(x1 + q * width // bins[1], x1 - (-(q + 1) * width // bins[1]))
            cells = [
                features[r, c]
                for r in rows
                for c in columns
                if 0 <= r < features.shape[0] and 0 <= c < features.shape[1]
            ]
            if cells:
                pooled[p, q] = np.max(cells, axis=0)
    return pooled


@pytest.mark.parametrize("seed", range(8))
def test_values_follow_the_definition(seed):
    rng = np.random.default_rng(seed)
    height, width, bins = rng.integers(1, 30), rng.integers(1, 30), tuple(rng.integers(1, 8, 2).tolist())
    features = rng.standard_normal((height, width, 2)).astype(np.float32)
    centre, side = rng.uniform(0, 16 * np.array([width, height]), (25, 2)), rng.uniform(0, 500, (25, 2))
    rois = np.round(np.concatenate([centre - side / 2, centre + side / 2], axis=1)).astype(np.float32)
    rois[:5] = np.round(rois[:5] / 16) * 16 + 8  # at half cells
    rois[5, 2:] = rois[5, :2] - 40
    expected = np.stack([definition(features, roi, bins, 1 / 16) for roi in rois])
    np.testing.assert_array_equal(compiled(features, rois, bins, scale=1 / 16), expected)


def test_first_of_equal_maxima_gets_the_gradient():
    features = jnp.array([[1.0, 5, 5], [5, 0, 5], [5, 5, 5]])[..., None]
    gradient = jax.grad(lambda x: compiled(x, jnp.array([[0.0, 0, 2, 2]]), (1, 1), scale=1.0).sum())(features)
    np.testing.assert_array_equal(gradient[..., 0], [[0, 1, 0], [0, 0, 0], [0, 0, 0]])


def test_bins_off_the_map_are_zero_and_have_no_gradient():
    features = jnp.full((4, 4, 1), -3.0)
    rois = jnp.array([[-160.0, -160, -80, -80], [32, 32, 95, 95]])
    found, pullback = jax.vjp(lambda x: compiled(x, rois, (2, 2), scale=1 / 16), features)
    np.testing.assert_array_equal(found[..., 0], [[[0, 0], [0, 0]], [[-3, 0], [0, 0]]])
    np.testing.assert_array_equal(pullback(jnp.ones_like(found))[0].sum(), 1)


def test_batch_equals_single_images():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((3, 6, 5, 2)).astype(np.float32)
    corner = rng.uniform(0, 50, (3, 4, 2))
    rois = np.concatenate([corner, corner + rng.uniform(0, [[[10]], [[40]], [[90]]], (3, 4, 2))], -1).astype(np.float32)
    pool = partial(compiled, bins=(2, 3), scale=1 / 16)
    gradient = jax.grad(lambda features, rois: (pool(features, rois) ** 2).sum())
    for one in (pool, gradient):
        np.testing.assert_allclose(jax.vmap(one)(features, rois), np.stack(list(map(one, features, rois))), atol=1e-6)


def test_pooling_keeps_bfloat16():
    pool = partial(compiled, rois=jnp.array([[0.0, 0, 48, 48]]), bins=(2, 2), scale=1 / 16)
    found, pullback = jax.vjp(pool, jnp.ones((4, 4, 1), jnp.bfloat16))
    assert found.dtype == pullback(found)[0].dtype == jnp.bfloat16
