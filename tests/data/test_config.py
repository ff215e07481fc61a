"""The section `data`: invalid fields are refused before any file is read; pairs of bodyparts by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from pawjax.config import default_config
from pawjax.data.config import DataConfig, PawOnBallConfig
from pawjax.data.symmetry import pair_indices, swap_sides
from pawjax.errors import InputError, listed

EARS = ("snout", "leftear", "rightear", "tailbase")


def test_section_equals_the_default_config():
    config = default_config()
    assert DataConfig.of(config) == DataConfig()
    config.data.update(source="deeplabcut", path="mine", symmetric_pairs=(("a", "b"),))
    config.data.paw_on_ball.seed = 3
    expected = DataConfig(
        source="deeplabcut", path="mine", symmetric_pairs=(("a", "b"),), paw_on_ball=PawOnBallConfig(seed=3)
    )
    assert DataConfig.of(config) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"source": "deeplabcat"}, r"config.data.source: .*did you mean 'deeplabcut'"),
        ({"source": "deeplabcut", "path": ""}, r"config.data.path is empty"),
        ({"source": "paw_on_ball", "path": "mine"}, r"config.data.path = 'mine' is not read .*=deeplabcut"),
        ({"label_file": "hdf"}, r"config.data.label_file = 'hdf' must be one of auto, csv, h5"),
        ({"unlabelled": "x"}, r"config.data.unlabelled = 'x' must be one of auto, ignore, negative"),
        ({"split_by": "mouse"}, r"config.data.split_by = 'mouse' must be one of frame, video"),
        ({"split_seed": -1}, r"config.data.split_seed = -1 must be at least 0"),
        ({"n_train": -1}, r"config.data.n_train = -1 must be at least 0"),
        ({"split_fractions": (0.6, 0.2)}, r"config.data.split_fractions: .*not three shares"),
        ({"split_fractions": (0.6, 0.2, 0.3)}, r"config.data.split_fractions: .*sum to 1"),
        ({"split_fractions": (1.2, -0.1, -0.1)}, r"config.data.split_fractions: .*not three shares"),
        ({"split_fractions": (float("nan"), 0.2, 0.2)}, r"config.data.split_fractions: .*not three shares"),
        ({"symmetric_pairs": ("left", "right")}, r"config.data.symmetric_pairs = .*pairs of bodypart names"),
        ({"symmetric_pairs": ((1, 2),)}, r"config.data.symmetric_pairs = .*pairs of bodypart names"),
        ({"symmetric_pairs": (("a", "b"), ("b", "c"))}, r"config.data.symmetric_pairs = .*in one pair only"),
        ({"symmetric_pairs": (("a", "a"),)}, r"config.data.symmetric_pairs = .*in one pair only"),
    ],
)
def test_invalid_fields_are_refused(fields, words):
    with pytest.raises(InputError, match=words):
        DataConfig(**fields)


@pytest.mark.parametrize("field, value", [("n_frames", 0), ("height", 15), ("width", 15), ("seed", -1)])
def test_invalid_synthetic_frames_are_refused(field, value):
    with pytest.raises(InputError, match=rf"config.data.paw_on_ball.{field} = {value} must be at least \d+"):
        PawOnBallConfig(**{field: value})


def test_pairs_are_found_by_name():
    assert pair_indices((), EARS) == ()
    assert pair_indices((("rightear", "leftear"),), EARS) == ((2, 1),)
    with pytest.raises(InputError, match="symmetric_pairs: .*'left_ear' among snout, leftear.*did you mean 'leftear'"):
        pair_indices((("left_ear", "rightear"),), EARS)


def test_only_paired_sides_are_swapped():
    values = np.arange(2 * 4 * 3).reshape(2, 4, 3)
    swapped = swap_sides(jnp.asarray(values), ((2, 1),), axis=1)
    np.testing.assert_array_equal(swapped, values[:, [0, 2, 1, 3]])
    np.testing.assert_array_equal(swap_sides(swapped, ((1, 2),), axis=1), values)


def test_long_list_is_abbreviated():
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2, "; ") == "a; b and 2 more"
