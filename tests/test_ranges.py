"""Every number of the config has a smallest and a largest valid value; any other is one sentence with its name."""

import dataclasses
import math
import re

import pytest
from ml_collections import ConfigDict

from pawjax.config import Run, check_config, default_config, sections
from pawjax.config_history import flat
from pawjax.data.config import PawOnBallConfig
from pawjax.errors import InputError
from pawjax.methods import make_method
from pawjax.methods.deeplabcut import Settings
from pawjax.optim import Optimizer, make_schedule

COUNT, SEED, LENGTH, SHARE, FACTOR = (1, 2**31 - 1), (0, 2**64 - 1), (0.0, 1e4), (0.0, 1.0), (0.0, 1000.0)
OPEN = math.nextafter(1.0, 0.0)  # the largest number below 1
TINY = math.nextafter(0.0, 1.0)  # the smallest above 0
RANGES = {  # field: (smallest, largest) valid value of each number in it
    "seed": (0, 2**32 - 1),
    **dict.fromkeys(("steps", "patience"), (0, 2**31 - 1)),
    "minutes": (0.0, 1e5),
    "checkpoint_cap": (0.1, 1e4),
    **dict.fromkeys(("microbatches", "steps_per_dispatch", "log_every", "eval_every"), COUNT),
    "checkpoint_every": COUNT,
    "batch_size": (0, 65_536),
    "automatic.animal": (1.0, 1e4),
    "automatic.scales": (0.01, 16.0),
    "automatic.batch_sizes": (1, 65_536),
    **dict.fromkeys(("automatic.batches", "automatic.epochs", "automatic.steps"), COUNT),
    "device_gb": (0.0, 1e30),
    "scale": (0.01, 16.0),
    "pcutoff": SHARE,
    **dict.fromkeys(("data.split_seed", "data.paw_on_ball.seed"), SEED),
    "data.split_fractions": SHARE,
    "data.n_train": (0, 2**31 - 1),
    "data.paw_on_ball.n_frames": (1, 10**6),
    **dict.fromkeys(("data.paw_on_ball.height", "data.paw_on_ball.width"), (16, 8192)),
    "model.stem_channels": (1, 1024),
    "predict.proposals": (0, 100_000),
    "predict.temperature": (0.001, 1000.0),
    "predict.bias": (-100.0, 100.0),
    "predict.scales": (0.01, 16.0),
    "augment.crop": (0, 16_384),
    "augment.rotation": (0.0, 360.0),
    **dict.fromkeys(("augment.scale", "augment.contrast", "augment.gamma"), (0.01, 100.0)),
    **dict.fromkeys(("augment.shift", "augment.occlusion", "augment.rotation_p", "augment.scale_p"), SHARE),
    **dict.fromkeys(("augment.flip_p", "augment.brightness_p", "augment.contrast_p", "augment.gamma_p"), SHARE),
    **dict.fromkeys(("augment.blur_p", "augment.noise_p", "augment.occlusion_p", "augment.anywhere_p"), SHARE),
    "augment.margin": LENGTH,
    "augment.blur": (0.0, 7.0),
    **dict.fromkeys(("augment.brightness", "augment.noise"), (0.0, 255.0)),
    **dict.fromkeys(("optimizer.momentum", "optimizer.ema_decay"), (0.0, OPEN)),
    **dict.fromkeys(("optimizer.weight_decay", "optimizer.learning_rate"), FACTOR),
    "optimizer.clip_norm": (0.0, 1e30),
    "optimizer.rate_factor": (TINY, 1000.0),
    **dict.fromkeys(("optimizer.warmup_steps", "optimizer.groups_warmup_steps"), (0, 2**31 - 1)),
    **dict.fromkeys(("deeplabcut.radius", "deeplabcut.sigma", "deeplabcut.locref_stdev"), (0.1, 1e4)),
    **dict.fromkeys(
        ("deeplabcut.locref_weight", "deeplabcut.intermediate_weight", "deeplabcut.location_weight"), FACTOR
    ),
    "deeplabcut.pairwise_weight": FACTOR,
    "deeplabcut.score_bias": (-100.0, 100.0),
    "deeplabcut.stride": (8, 8),  # of the default head
    "deeplabcut.topdown_channels": (1, 4096),
    "hourglass.stacks": (1, 8),
    "hourglass.levels": (1, 6),
    "hourglass.stride": (4, 4),
    "hourglass.growth": (0.0, 10.0),
    "hourglass.sigma": (0.1, 1e4),
    "hourglass.score_bias": (-100.0, 100.0),
    "patch.size": (1, 255),
    "patch.radius": (0.0, 1000.0),
    "patch.ring": (0.0, 1000.0),
    **dict.fromkeys(("patch.positives", "patch.near", "patch.anywhere", "patch.hard"), (1, 1000)),
    "patch.l2": FACTOR,
    "faster_rcnn.dropout": (0.0, OPEN),
    "faster_rcnn.box": (1.0, 1e4),
    "faster_rcnn.box_shift": (-1e4, 1e4),
    "faster_rcnn.anchor_sizes": (1.0, 1e4),
    "faster_rcnn.anchor_ratios": (0.01, 100.0),
    "faster_rcnn.head_weights": (TINY, 1000.0),
    **dict.fromkeys(("faster_rcnn.rpn_low", "faster_rcnn.rpn_high", "faster_rcnn.proposals_iou"), SHARE),
    **dict.fromkeys(("faster_rcnn.rpn_positive_fraction", "faster_rcnn.head_positive_fraction"), SHARE),
    **dict.fromkeys(("faster_rcnn.head_iou", "faster_rcnn.average_iou"), SHARE),
    **dict.fromkeys(("faster_rcnn.rpn_beta", "faster_rcnn.head_beta"), FACTOR),
    **dict.fromkeys(("faster_rcnn.rpn_sampled", "faster_rcnn.head_sampled"), (1, 100_000)),
    **dict.fromkeys(("faster_rcnn.proposals_before", "faster_rcnn.proposals_after"), (1, 100_000)),
    "faster_rcnn.proposals_min_side": LENGTH,
    "faster_rcnn.second_looks": (0, 100),
}
NESTED = ("optimizer.rates", "optimizer.groups", "data.symmetric_pairs", "data.bodyparts")
DEFAULTS = dict(flat(default_config().to_dict()))


def is_numeric(value):
    items = value if isinstance(value, tuple) else (value,)
    return bool(items) and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in items)


def owner_of(name):
    """The section of a field, and its own name."""
    section, _, field = name.rpartition(".")
    return {"": Run, "data.paw_on_ball": PawOnBallConfig, **sections()}[section], field


def filled(name, value):
    """The default with every number replaced."""
    default = DEFAULTS[name]
    return (value,) * len(default) if isinstance(default, tuple) else value


def checked(name, value):
    """Checks the default config with one field changed, as an edited config file would."""
    values = default_config().to_dict()
    *path, field = name.split(".")
    place = values
    for section in path:
        place = place[section]
    place[field] = value
    check_config(ConfigDict(values, convert_dict=True))


def outside(value, way):
    return value + way if isinstance(value, int) else math.nextafter(value, way * math.inf)


def test_every_number_of_the_config_has_a_range():
    numeric = {name for name, value in DEFAULTS.items() if is_numeric(value)}
    assert numeric == RANGES.keys()
    assert {name for name, value in DEFAULTS.items() if isinstance(value, tuple)} == {*NESTED} | {
        name for name in numeric if isinstance(DEFAULTS[name], tuple)
    }


@pytest.mark.parametrize("name", RANGES)
def test_ends_of_the_range_are_valid_and_what_lies_outside_is_not(name):
    section, field = owner_of(name)
    for value, way in zip(RANGES[name], (-1, 1), strict=True):
        fields = {field: filled(name, value)}
        if name == "data.split_fractions":
            fields[field] = (1 - value, value, 0.0)
        elif name in ("faster_rcnn.rpn_low", "faster_rcnn.rpn_high"):
            fields = {"rpn_low": value, "rpn_high": value}
        elif name == "steps_per_dispatch":
            fields |= dict.fromkeys(("steps", "log_every", "eval_every", "checkpoint_every"), value)
        section(**fields)
        wrong = outside(value, way)
        if math.isfinite(wrong):
            with pytest.raises(InputError, match=rf"^config\.{name}\b"):
                section(**{field: filled(name, wrong)})


@pytest.mark.parametrize("name", RANGES)
def test_extreme_values_are_valid_or_one_sentence_that_names_the_field(name):
    low, high = RANGES[name]
    for extreme in (-1, 0, -1.0, 0.0, math.nan, math.inf, -math.inf, 1e30, 1e300, 10**30, 10**400, "1", None, True):
        value, number = filled(name, extreme), isinstance(extreme, (int, float)) and not isinstance(extreme, bool)
        whole = isinstance(low, int)
        valid = number and low <= extreme <= high and (isinstance(extreme, int) or not whole)
        valid |= number and extreme == 0 and name in ("predict.temperature", "scale")  # unset
        if valid and name in ("faster_rcnn.rpn_high", "data.split_fractions"):  # valid with other values of their kin
            continue
        if valid:
            checked(name, value)
        else:
            with pytest.raises(InputError, match=rf"^config\.{name}\b"):
                checked(name, value)


@pytest.mark.parametrize("name", [*NESTED, *(name for name in RANGES if isinstance(DEFAULTS[name], tuple))])
def test_malformed_tuples_are_one_sentence_that_names_the_field(name):
    for value in (1, 0.5, "x", None, ((),), (((1,),),), (math.nan,), ("x", ("y",)), ((0.005, 1000), 3), {"a": 1}, [[]]):
        with pytest.raises(InputError, match=rf"^(unknown config field )?config\.{name}\b"):
            checked(name, value)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("optimizer.rates", (0.005, 1000), "write ((0.005, 1000),), with a comma after the only element"),
        ("optimizer.rates", ((math.nan, 1000),), "finite"),
        ("optimizer.rates", ((-0.1, 1000),), "rates from 0 to 1000"),
        ("optimizer.rates", ((0.1, 2**31),), "increasing steps"),
        ("optimizer.groups", ("stem/.*", 0.0, 0), "write (('stem/.*', 0.0, 0),), with a comma"),
        ("optimizer.groups", (("stem/.*", -1.0, 0),), "neither number negative nor huge"),
        ("optimizer.groups", (("stem/.*", 1.0, -1),), "neither number negative nor huge"),
        ("optimizer.groups", (("stem/.*", 1.0, 10**30),), "neither number negative nor huge"),
        ("data.symmetric_pairs", ("left", "right"), "write (('left', 'right'),), with a comma"),
        ("pcutoff", 60.0, "from 0 to 1; write 0.6 for 60 %"),
        ("optimizer.ema_decay", 99.0, "at least 0 and less than 1; write 0.99 for 99 %"),
        ("optimizer.momentum", 1.0, "at least 0 and less than 1"),
        ("augment.flip_p", 50.0, "write 0.5 for 50 %"),
        ("augment.scale", (1.25, 0.75), "two positive numbers, the smaller first"),
    ],
)
def test_the_likely_slip_is_named(name, value, words):
    with pytest.raises(InputError, match=re.escape(f"config.{name} = {value!r} must be ") + ".*" + re.escape(words)):
        checked(name, value)


def test_a_radius_that_misses_labels_between_cells_is_a_warning():
    config = default_config()
    assert make_method(config, ("paw",)).warnings == ()
    config.deeplabcut.radius = 5.6
    (warning,) = make_method(config, ("paw",)).warnings
    assert "config.deeplabcut.radius = 5.6 px is less than 5.7 px" in warning
    assert dataclasses.replace(Settings(), radius=0.1).radius == 0.1


def test_the_largest_valid_rates_stay_finite():
    settings = Optimizer(rates=((0.0, 1), (1000.0, 2**31 - 1)), rate_factor=1000.0)
    assert float(make_schedule(settings, 2**31 - 1)(5)) == 1e6
