"""RoI align against torchvision and ONNX Runtime (tests/golden), numerical gradients, and maps with known answers."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from pawjax.ops.roi_align import BLOCK, FORMS, roi_align

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TORCHVISION = np.load(GOLDEN / "detection_rois.npz")
BORDERS = {"aligned": True, "legacy": False}
WHOLE = 40  # more samples than the largest region of the goldens takes

STATIC = ("bins", "scale", "sampling_ratio", "aligned", "step", "max_samples", "form")
compiled = jax.jit(roi_align, static_argnames=STATIC)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("border", BORDERS)
def test_values_and_gradient_equal_torchvision(form, ratio, border):
    options = {"scale": 1 / 8, "sampling_ratio": ratio, "aligned": BORDERS[border], "max_samples": WHOLE, "form": form}
    align = partial(compiled, rois=TORCHVISION["rois"], bins=(3, 4), **options)
    found, pullback = jax.vjp(align, jnp.asarray(TORCHVISION["features"]))
    name = f"align_{ratio}_{border}"
    np.testing.assert_allclose(found, TORCHVISION[name], atol=5e-6)
    (gradient,) = pullback(TORCHVISION["cotangent"])
    np.testing.assert_allclose(gradient, TORCHVISION[f"{name}_gradient"], atol=2e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("border", BORDERS)
def test_values_equal_onnxruntime(form, ratio, border):
    golden = np.load(GOLDEN / "detection_onnxruntime.npz")
    options = {"scale": 1 / 16, "sampling_ratio": ratio, "aligned": BORDERS[border], "form": form}
    found = compiled(golden["features"], golden["rois"], (4, 3), **options)
    np.testing.assert_allclose(found, golden[f"align_{ratio}_{border}"], atol=5e-6)


def random_case(seed, height=10, width=7, count=20, channels=3):
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform((0, 0), (16 * width, 16 * height), (count, 2)), rng.uniform(1, 120, (count, 2))
    rois = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    return rng.standard_normal((height, width, channels)).astype(np.float32), rois


@pytest.mark.parametrize(
    "seed, height, width, count", [(0, 10, 7, 20), (1, 7, 10, 1), (2, 1, 1, 5), (3, 12, 3, 2 * BLOCK)]
)
@pytest.mark.parametrize("ratio", [0, 2])
def test_both_forms_agree(seed, height, width, count, ratio):
    features, rois = random_case(seed, height, width, count)
    matrix, gather = (
        compiled(features, rois, (7, 5), scale=1 / 16, sampling_ratio=ratio, form=form) for form in ("matrix", "gather")
    )
    np.testing.assert_allclose(matrix, gather, atol=5e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ratio, aligned", [(0, True), (2, False)])
def test_gradient_equals_differences(form, ratio, aligned):
    features, rois = random_case(4, 6, 5, 4, 2)
    align = partial(compiled, rois=rois, bins=(2, 3), scale=1 / 16, sampling_ratio=ratio, aligned=aligned, form=form)
    check_grads(align, (features,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("border, shift", [("aligned", 0.5), ("legacy", 0.0)])
def test_a_ramp_gives_the_centres_of_the_bins(form, border, shift):
    y, x = np.mgrid[:12, :16].astype(np.float32)
    features = np.stack([x, y, np.full_like(x, 3)], axis=-1)
    rois = np.array([[32, 16, 96, 80], [40, 27.5, 91, 66]], np.float32)
    found = compiled(features, rois, (4, 2), scale=1 / 8, aligned=BORDERS[border], form=form)
    for roi, cut in zip(rois / 8 - shift, np.asarray(found), strict=True):
        columns = roi[0] + (np.arange(2) + 0.5) * (roi[2] - roi[0]) / 2
        rows = roi[1] + (np.arange(4) + 0.5) * (roi[3] - roi[1]) / 4
        np.testing.assert_allclose(cut[..., 0], np.broadcast_to(columns, (4, 2)), atol=1e-5)
        np.testing.assert_allclose(cut[..., 1], np.broadcast_to(rows[:, None], (4, 2)), atol=1e-5)
        np.testing.assert_allclose(cut[..., 2], 3, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_moving_map_and_region_by_a_cell_changes_nothing(form):
    features, rois = random_case(5, 12, 12, 6)
    rois = 64 + rois / 8  # well inside
    align = partial(compiled, bins=(3, 3), scale=1 / 16, form=form)
    np.testing.assert_allclose(
        align(np.roll(features, (1, 2), (0, 1)), rois + [32, 16] * 2), align(features, rois), atol=1e-5
    )


def test_adaptive_samples_do_not_round_up():
    # Sides of whole multiples of the bins: one sample more would shift the samples.
    cells = np.arange(1, 40)
    features = np.random.default_rng(6).standard_normal((1, 300, 1)).astype(np.float32)
    rois = np.stack([0 * cells, 0 * cells, 7 * cells, 0 * cells + 1], axis=1).astype(np.float32)
    align = partial(compiled, bins=(1, 7), scale=1.0, sampling_ratio=0, max_samples=50)
    for region, found in zip(cells, np.asarray(align(features, rois)), strict=True):
        place = np.arange(7 * region) + 0.5  # as many samples as cells, in the middle between two
        expected = np.interp(place, np.arange(300), features[0, :, 0]).reshape(7, region).mean(1)
        np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_second_bin_of_each_axis(form):
    features, rois = random_case(9)
    align = partial(compiled, bins=(7, 6), scale=1 / 16, form=form)
    found, pullback = jax.vjp(lambda features: align(features, rois, step=2), features)
    expected, expected_pullback = jax.vjp(lambda features: align(features, rois)[:, ::2, ::2], features)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(*(f(expected)[0] for f in (pullback, expected_pullback)), atol=1e-4)


def test_a_batch_is_its_images():
    features, rois = (np.stack(part) for part in zip(*(random_case(seed) for seed in range(3)), strict=True))
    for form in FORMS:
        align = partial(compiled, bins=(3, 2), scale=1 / 16, form=form)
        batched = jax.vmap(align)(features, rois)
        np.testing.assert_allclose(batched, np.stack(list(map(align, features, rois))), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_features_are_summed_in_float32(form):
    features, rois = random_case(7)
    half = features.astype(jnp.bfloat16)
    align = partial(compiled, bins=(7, 7), scale=1 / 16, form=form)
    found, pullback = jax.vjp(lambda features: align(features, rois), half)
    assert found.dtype == jnp.bfloat16 and pullback(found)[0].dtype == jnp.bfloat16
    expected = align(half.astype(jnp.float32), rois).astype(jnp.bfloat16)
    np.testing.assert_array_equal(found.astype(jnp.float32), expected.astype(jnp.float32))


def test_the_gradient_has_no_scatter_and_none_goes_to_regions():
    features, rois = random_case(8)
    cut = partial(compiled, bins=(7, 7), scale=1 / 16)
    gradient = jax.jit(jax.grad(lambda features, rois: (cut(features, rois) ** 2).sum()))
    assert "stablehlo.scatter" not in gradient.lower(features, rois).as_text()
    np.testing.assert_array_equal(jax.grad(lambda rois: cut(features, rois).sum())(rois), np.zeros_like(rois))


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match="'scatter'; known are matrix, gather"):
        roi_align(np.zeros((2, 2, 1)), np.zeros((1, 4)), (1, 1), scale=1.0, form="scatter")
