"""Packed arrays come back, as near as their codes say."""

import base64
import gzip

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from pawjax.report.packed import covariances, logarithms, pack, shares


def unpack(layout, packed):
    """The arrays, by sums of the differences."""
    content, arrays = gzip.decompress(base64.b64decode(packed)), {}
    for name, about in layout.items():
        kind, size = np.dtype(about["kind"]), int(np.prod(about["shape"]))
        planes = np.frombuffer(content, np.uint8, size * kind.itemsize, about["at"]).reshape(kind.itemsize, size)
        steps = sum(plane.astype(np.int64) << 8 * number for number, plane in enumerate(planes))
        arrays[name] = np.cumsum(steps.reshape(about["shape"]), axis=0).astype(f"u{kind.itemsize}").view(kind)
    return arrays


def amount(code, least, most):
    return least * (most / least) ** ((code - 1.0) / 254)


shapes = hn.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)


@given(hn.arrays(np.int16, shapes), hn.arrays(np.uint8, shapes))
def test_whole_numbers_come_back(wide, narrow):
    again = unpack(*pack({"wide": wide, "narrow": narrow}))
    np.testing.assert_array_equal(again["wide"], wide, strict=True)
    np.testing.assert_array_equal(again["narrow"], narrow, strict=True)


@given(st.lists(st.floats(1e-4, 1e6), min_size=1))
def test_logarithms_are_within_three_percent(values):
    codes = logarithms(np.array([*values, np.nan, np.inf, 0.0]))
    assert codes[-3:].tolist() == [0, 255, 1]
    np.testing.assert_allclose(amount(codes[:-3], 0.01, 1e4), np.clip(values, 0.01, 1e4), rtol=0.03)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_shares_are_within_half_a_code(values):
    codes = shares(np.array([*values, np.nan]))
    assert codes[-1] == 0
    np.testing.assert_allclose((codes[:-1] - 1.0) / 254, values, atol=0.51 / 254)


def test_covariances_keep_their_shape():
    draws = np.random.default_rng(0).normal(size=(50, 3, 5)) * np.array([1, 10, 0.1])[:, None]
    matrices = draws @ draws.swapaxes(-1, -2)
    codes = covariances(np.concatenate([matrices, np.full((1, 3, 3), np.nan), np.zeros((1, 3, 3))])).astype(float)
    assert (codes[-2] == 0).all() and (codes[-1] > 0).all()
    deviations, pairs = amount(codes[:-2, :3], 0.01, 1e4), 2 * (codes[:-2, 3:] - 1) / 254 - 1
    exact = np.sqrt(np.diagonal(matrices, axis1=-2, axis2=-1))
    np.testing.assert_allclose(deviations, exact, rtol=0.03)
    for code, (i, j) in zip(pairs.T, ((0, 1), (0, 2), (1, 2)), strict=True):
        np.testing.assert_allclose(code, matrices[:, i, j] / exact[:, i] / exact[:, j], atol=0.005)
