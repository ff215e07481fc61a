"""RoI align against torchvision and ONNX Runtime (tests/golden), sums by hand, and maps with known answers."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.ops.roi_align import BLOCK, roi_align
from tests.ops import oracles

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TORCHVISION = np.load(GOLDEN / "detection_rois.npz")
BORDERS = {"aligned": True, "legacy": False}

compiled = jax.jit(roi_align, static_argnames=("bins", "scale", "sampling_ratio", "aligned", "step"))


@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("border", BORDERS)
def test_values_and_gradient_equal_torchvision(ratio, border):
    options = {"scale": 1 / 8, "sampling_ratio": ratio, "aligned": BORDERS[border]}
    align = partial(compiled, rois=TORCHVISION["rois"], bins=(3, 4), **options)
    found, pullback = jax.vjp(align, jnp.asarray(TORCHVISION["features"]))
    name = f"align_{ratio}_{border}"
    np.testing.assert_allclose(found, TORCHVISION[name], atol=5e-6)
    (gradient,) = pullback(TORCHVISION["cotangent"])
    np.testing.assert_allclose(gradient, TORCHVISION[f"{name}_gradient"], atol=2e-5)


@pytest.mark.parametrize("border", BORDERS)
def test_values_equal_onnxruntime(border):
    golden = np.load(GOLDEN / "detection_onnxruntime.npz")
    options = {"scale": 1 / 16, "aligned": BORDERS[border]}
    found = compiled(golden["features"], golden["rois"], (4, 3), **options)
    np.testing.assert_allclose(found, golden[f"align_2_{border}"], atol=5e-6)


def random_case(seed, height=10, width=7, count=20, channels=3):
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform((0, 0), (16 * width, 16 * height), (count, 2)), rng.uniform(1, 120, (count, 2))
    rois = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    return rng.standard_normal((height, width, channels)).astype(np.float32), rois


@pytest.mark.parametrize(
    "seed, height, width, count", [(0, 10, 7, 20), (1, 7, 10, 1), (2, 1, 1, 5), (3, 12, 3, 2 * BLOCK)]
)
def test_bins_are_means_of_bilinear_samples(seed, height, width, count):
    features, rois = random_case(seed, height, width, count)
    for border in BORDERS.values():
        options = {"scale": 1 / 16, "sampling_ratio": 2, "aligned": border}
        expected = oracles.roi_align(features, rois, (7, 5), **options)
        np.testing.assert_allclose(compiled(features, rois, (7, 5), **options), expected, atol=5e-6)


@pytest.mark.parametrize("border, shift", [("aligned", 0.5), ("legacy", 0.0)])
def test_ramp_returns_bin_centres(border, shift):
    y, x = np.mgrid[:12, :16].astype(np.float32)
    features = np.stack([x, y, np.full_like(x, 3)], axis=-1)
    rois = np.array([[32, 16, 96, 80], [40, 27.5, 91, 66]], np.float32)
    found = compiled(features, rois, (4, 2), scale=1 / 8, aligned=BORDERS[border])
    for roi, cut in zip(rois / 8 - shift, np.asarray(found), strict=True):
        columns = roi[0] + (np.arange(2) + 0.5) * (roi[2] - roi[0]) / 2
        rows = roi[1] + (np.arange(4) + 0.5) * (roi[3] - roi[1]) / 4
        np.testing.assert_allclose(cut[..., 0], np.broadcast_to(columns, (4, 2)), atol=1e-5)
        np.testing.assert_allclose(cut[..., 1], np.broadcast_to(rows[:, None], (4, 2)), atol=1e-5)
        np.testing.assert_allclose(cut[..., 2], 3, atol=1e-5)


def test_shifting_map_and_region_together_changes_nothing():
    features, rois = random_case(5, 12, 12, 6)
    rois = 64 + rois / 8  # well inside the map
    align = partial(compiled, bins=(3, 3), scale=1 / 16)
    np.testing.assert_allclose(
        align(np.roll(features, (1, 2), (0, 1)), rois + [32, 16] * 2), align(features, rois), atol=1e-5
    )


def test_step_2_returns_every_second_bin():
    features, rois = random_case(9)
    align = partial(compiled, bins=(7, 6), scale=1 / 16)
    found, pullback = jax.vjp(lambda features: align(features, rois, step=2), features)
    expected, expected_pullback = jax.vjp(lambda features: align(features, rois)[:, ::2, ::2], features)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(*(f(expected)[0] for f in (pullback, expected_pullback)), atol=1e-4)


def test_batch_equals_single_images():
    features, rois = (np.stack(part) for part in zip(*(random_case(seed) for seed in range(3)), strict=True))
    align = partial(compiled, bins=(3, 2), scale=1 / 16)
    batched = jax.vmap(align)(features, rois)
    np.testing.assert_allclose(batched, np.stack(list(map(align, features, rois))), atol=1e-6)


def test_bfloat16_features_are_summed_in_float32():
    features, rois = random_case(7)
    half = features.astype(jnp.bfloat16)
    align = partial(compiled, bins=(7, 7), scale=1 / 16)
    found, pullback = jax.vjp(lambda features: align(features, rois), half)
    assert found.dtype == jnp.bfloat16 and pullback(found)[0].dtype == jnp.bfloat16
    expected = align(half.astype(jnp.float32), rois).astype(jnp.bfloat16)
    np.testing.assert_array_equal(found.astype(jnp.float32), expected.astype(jnp.float32))


def test_gradient_uses_no_scatter_and_stops_at_regions():
    """A scatter sums in no fixed order on GPUs."""
    features, rois = random_case(8)
    cut = partial(compiled, bins=(7, 7), scale=1 / 16)
    gradient = jax.jit(jax.grad(lambda features, rois: (cut(features, rois) ** 2).sum()))
    assert "stablehlo.scatter" not in gradient.lower(features, rois).as_text()
    np.testing.assert_array_equal(jax.grad(lambda rois: cut(features, rois).sum())(rois), np.zeros_like(rois))
