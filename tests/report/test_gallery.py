"""Galleries: magnified views, and boxes drawn with the points."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pawjax.report import gallery
from pawjax.report.boxes import FrameBoxes
from pawjax.report.frames import EvaluatedFrames

NONE = np.full(4, np.nan)


def frame_boxes(n, k, p=3):
    rng = np.random.default_rng(0)
    proposals = np.tile([10.0, 12, 30, 32], (n, p, 1)) + rng.normal(size=(n, p, 1))
    proposals[:, -1] = np.nan
    truth = np.tile([12.0, 12, 32, 32], (n, 1, k, 1))
    return FrameBoxes(proposals, rng.uniform(size=(n, p)), truth + np.array([8.0, 0, 8, 0]), truth)


def draw(path, boxes, n=3, k=2):
    points = np.full((n, 1, k, 2), 22.0)
    frames = EvaluatedFrames(
        images=np.zeros((n, 48, 64, 1), np.uint8),
        sizes=np.tile([48, 64], (n, 1)),
        truth=points,
        labelled=np.ones((n, 1, k), bool),
        absent=np.zeros((n, 1, k), bool),
        predicted=points + np.arange(1, n + 1)[:, None, None, None],
        likelihood=np.ones((n, 1, k)),
        ids=tuple(f"frame {i}" for i in range(n)),
        bodyparts=tuple(f"part {j}" for j in range(k)),
    )
    gallery.worst_frames(frames, path, boxes=boxes)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_boxes_are_drawn_only_when_given(tmp_path):
    plain, again = draw(tmp_path / "a.png", None), draw(tmp_path / "b.png", None)
    np.testing.assert_array_equal(plain, again)
    boxes = frame_boxes(3, 2)
    full = draw(tmp_path / "c.png", boxes)
    assert full.shape[0] > plain.shape[0] and full.shape[1] == plain.shape[1]  # by the caption
    nothing = FrameBoxes(*(np.full_like(values, np.nan) for values in boxes))
    assert (full != draw(tmp_path / "d.png", nothing)).any(axis=-1).sum() > 5000


def test_point_gets_its_own_boxes():
    boxes = frame_boxes(2, 3)
    boxes.truth[1, 0, 2] = [0, 0, 40, 10]
    own = boxes.of(1, 0, 2)
    np.testing.assert_array_equal(own.truth, [0, 0, 40, 10])
    assert own.span() == 40 and boxes.of(1, 0, 0).span() == 28
    assert own._replace(chosen=NONE).span() == 40 and own._replace(chosen=NONE, truth=NONE).span() == 0
    axes = Figure().subplots()
    own.draw(axes, (1.0, 0, 0))
    proposals, edges = axes.patches[:2], [patch.get_bbox().extents.tolist() for patch in axes.patches]
    assert len(axes.patches) == 4, "two proposals (the third is NaN), the labelled box and the chosen box"
    assert edges[2:] == [[0, 0, 40, 10], [20, 12, 40, 32]]
    assert proposals[0].get_alpha() < proposals[1].get_alpha(), "the better one must be on top and less transparent"


@pytest.mark.parametrize("at_least, side", [(0, 24), (30, 30), (500, 100)])
def test_view_is_wide_enough_for_the_boxes(at_least, side):
    (window,) = gallery.magnified(np.array([80.0, 50]), np.array([82.0, 51]), 100, 160, at_least)
    assert window.right - window.left == window.bottom - window.top == side
    assert window.left <= 80 <= window.right and window.top <= 50 <= window.bottom


def test_gross_miss_has_two_views():
    windows = gallery.magnified(np.array([20.0, 50]), np.array([120.0, 51]), 100, 160, 300.0)
    assert len(windows) == 2 and [w.right - w.left for w in windows] == [50, 50]
