"""What scale, batch size and steps become from the frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawjax.automatic import Automatic, batch_size_for, median_extent, scale_for, steps_for, steps_within
from pawjax.errors import InputError

S = Automatic(animal=100.0, scales=(0.5, 2.0), batches=4, batch_sizes=(4, 8), epochs=50, steps=(100, 1000))


def test_extent_is_the_median_of_the_longer_sides():
    keypoints = np.zeros((4, 1, 3, 2), np.float32)
    keypoints[0, 0] = [[0, 0], [10, 3], [5, 5]]  # 10
    keypoints[1, 0] = [[0, 0], [4, 30], [900, 900]]  # 30, its last point has no label
    keypoints[2, 0] = [[7, 7], [700, 7], [7, 7]]  # one label: tells nothing
    keypoints[3, 0] = [[0, 0], [20, 20], [20, 0]]  # 20
    labelled = np.ones((4, 1, 3), bool)
    labelled[1, 0, 2] = labelled[2, 0, 1:] = False
    assert median_extent(keypoints, labelled) == 20
    assert median_extent(keypoints[2:3], labelled[2:3]) is None
    assert median_extent(np.ones((2, 1, 2, 2)), np.ones((2, 1, 2), bool)) is None, "both in the same place"


@pytest.mark.parametrize("extent, scale", [(100, 1.0), (160, 0.62), (1000, 0.5), (10, 2.0)])
def test_scale_gives_the_animal_its_size(extent, scale):
    assert scale_for(extent, S) == scale


@pytest.mark.parametrize(
    "n, multiple, size", [(1, 1, 4), (16, 1, 4), (31, 1, 4), (32, 1, 8), (900, 1, 8), (900, 3, 9), (5, 4, 4)]
)
def test_batch_size(n, multiple, size):
    assert batch_size_for(n, multiple, S) == size


@pytest.mark.parametrize(
    "n, batch, multiple, steps", [(64, 8, 1, 400), (64, 8, 30, 420), (5, 8, 1, 100), (9999, 8, 1, 1000)]
)
def test_steps(n, batch, multiple, steps):
    assert steps_for(n, batch, multiple, S) == steps


@given(st.floats(0.0, 1e4), st.floats(1e-3, 10), st.floats(0, 100), st.integers(1, 500), st.sampled_from((1, 2, 5)))
def test_steps_within_a_time_fill_it(seconds, per_step, per_evaluation, every, multiple):
    def needed(steps):
        return steps * per_step + int(np.ceil(steps / every)) * per_evaluation

    steps = steps_within(seconds, per_step, per_evaluation, every, multiple)
    assert steps >= 0 and steps % multiple == 0 and (steps == 0 or needed(steps) <= seconds)
    assert needed(steps + every + multiple) > seconds, "not an evaluation's worth of steps is left over"


def test_pairs_of_numbers_are_ordered():
    with pytest.raises(InputError, match=r"config.automatic.steps = \(5, 4\) must be two numbers, the smaller first"):
        Automatic(steps=(5, 4))
