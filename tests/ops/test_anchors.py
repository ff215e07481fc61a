"""Anchors against torchvision (tests/golden) and closed forms."""

from pathlib import Path

import numpy as np
import pytest

from pawjax.ops import anchors
from tests.ops.oracles import torchvision_anchors

TORCHVISION = np.load(Path(__file__).resolve().parents[1] / "golden" / "detection_boxes.npz")
RATIOS = (0.5, 1.0, 2.0)


def test_rounded_and_reordered_anchors_equal_torchvision():
    found = anchors.grid_anchors(3, 4, 16, sizes=(32, 45, 128), ratios=(*RATIOS, 3.0))
    np.testing.assert_array_equal(torchvision_anchors(found, 3, 4), TORCHVISION["anchors"])


def test_ratios_keep_the_area_and_sizes_are_the_outer_loop():
    sizes = (32, 45, 128)
    found = np.asarray(anchors.grid_anchors(1, 1, 16, sizes=sizes, ratios=RATIOS))
    width, height = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    np.testing.assert_allclose(width * height, np.repeat(sizes, 3) ** 2.0, rtol=1e-6)
    np.testing.assert_allclose(height / width, np.tile(RATIOS, 3), rtol=1e-6)
    np.testing.assert_allclose(found[:, :2], -found[:, 2:], atol=1e-5)


@pytest.mark.parametrize("center", [0.0, 3.5, 7.5])
def test_anchors_are_centred_on_their_cells(center):
    found = anchors.grid_anchors(4, 5, 8, sizes=(24, 64), ratios=(1.0,), center=center)
    middle = (found[:, :2] + found[:, 2:]).reshape(4, 5, 2, 2) / 2
    y, x = np.meshgrid(8 * np.arange(4) + center, 8 * np.arange(5) + center, indexing="ij")
    np.testing.assert_array_equal(middle, np.broadcast_to(np.stack([x, y], -1)[:, :, None], (4, 5, 2, 2)))


def test_inside_image_means_all_corners_inside():
    boxes = np.array([[0, 0, 99, 59], [0, 0, 100, 59], [0, 0, 99, 60], [-1, 0, 9, 9], [0, -1, 9, 9]], np.float32)
    np.testing.assert_array_equal(anchors.inside_image(boxes, 60, 100), [True, False, False, False, False])
