"""Swaps of left and right and shifts in time are found where they were made, and nowhere else."""

import numpy as np
import pytest

from pawjax.pose3d.cameras import select
from pawjax.pose3d.diagnostics import errors_by_shift, find_shift, find_swaps, merged
from tests import recorded

PAIRS = [(3, 4)]


@pytest.fixture(scope="module")
def seen():
    truth = recorded.make_truth()
    return truth, *recorded.see(recorded.rig(), truth)


def test_exactly_the_swapped_frames_are_found(seen):
    truth, pixels, _ = seen
    assert find_swaps(recorded.rig(), pixels, truth, PAIRS) == []
    pixels = pixels.copy()
    exact = np.asarray(recorded.project_jit(recorded.rig(), truth))
    good = (np.linalg.norm(pixels - exact, axis=-1)[2, 10:20, 3:] < 10).all(-1)
    pixels[2, 10:20, [3, 4]] = pixels[2, 10:20, [4, 3]]
    (swap,) = find_swaps(recorded.rig(), pixels, truth, PAIRS)
    assert (swap.camera, swap.left, swap.right) == (2, 3, 4) and good.sum() > 5
    assert set(swap.frames) == set(range(10, 20)) - set(10 + np.flatnonzero(~good))


@pytest.mark.parametrize("names, late", [(("cam0", "cam1", "cam2", "cam3"), "cam1"), (("cam0", "cam2"), "cam2")])
def test_the_late_camera_is_found(seen, names, late):
    _, pixels, likelihood = seen
    rig = select(recorded.rig(), names)
    chosen = [recorded.rig().names.index(name) for name in names]
    pixels, likelihood = pixels[chosen], likelihood[chosen]
    assert find_shift(errors_by_shift(rig, pixels, likelihood, 0.6, 15.0, 5)) is None
    place, moved = names.index(late), pixels.copy()
    moved[place, 4:] = pixels[place, :-4]
    errors = errors_by_shift(rig, moved, likelihood, 0.0, 15.0, 5)
    camera, frames = find_shift(errors)
    if len(names) > 2:
        assert (camera, frames) == (place, 4)
    else:  # the one late is the other early
        assert (camera, frames) in ((place, 4), (1 - place, -4))


def test_a_camera_that_sees_nothing_is_not_shifted(seen):
    _, pixels, likelihood = seen
    pixels = pixels.copy()
    pixels[3] = np.nan
    errors = errors_by_shift(recorded.rig(), pixels, likelihood, 0.6, 15.0, 3)
    assert np.isnan(errors[3]).all() and np.isfinite(errors[:3]).all() and find_shift(errors) is None


def test_left_and_right_at_one_place_are_counted():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 500, (2, 10, 5, 2))
    pixels[1, :4, 3] = pixels[1, :4, 4] + 0.3
    pixels[1, 8:, 3] = np.nan
    assert merged(pixels, PAIRS).tolist() == [[0], [0.5]]
    assert merged(np.full_like(pixels, np.nan), PAIRS).tolist() == [[0], [0]]
