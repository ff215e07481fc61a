"""The config: validation of its sections, and renamed fields."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from pawjax.config import check_config, default_config, sections
from pawjax.config_history import RENAMED, REPLACED, explain_old_field, upgrade
from pawjax.errors import InputError
from pawjax.sections import Section

OLD = json.loads((Path(__file__).parent / "golden" / "configs_before_sections.json").read_text())  # smoke versions


def fields_of(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from fields_of(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_default_config_is_valid_and_holds_the_sections_defaults():
    config = default_config()
    check_config(config)
    assert set(sections()) == {name for name, value in config.items() if hasattr(value, "items")}
    assert config.faster_rcnn.anchor_sizes == (128.0, 256.0, 512.0) and config.deeplabcut.locref_stdev == 7.2801


@pytest.mark.parametrize(
    "field, value, constraint",
    [
        ("steps", -1, "at least 0"),
        ("log_every", 0, "at least 1"),
        ("log_every", 3, "a multiple of config.steps_per_dispatch = 2"),
        ("scale", float("nan"), "finite"),
        ("seed", -1, "at least 0"),
        ("parallel", "threads", "one of jit, pmap"),
        ("dtype", "float16", "one of float32, bfloat16"),
        ("method", "deeplabcat", "one of deeplabcut, faster_rcnn, hourglass, patch"),
        ("predict.temperature", 1e-4, "at least 0.001"),
        ("predict.scales", (1.0, 0.0), "at least 0.01"),
        ("data.unlabelled", "x", "one of auto, ignore, negative"),
    ],
)
def test_invalid_value_is_named_with_its_constraint(field, value, constraint):
    config = default_config()
    config.steps_per_dispatch = 2 if field == "log_every" else 1
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=rf"config\.{field} = .* must be {constraint}"):
        check_config(config)


@pytest.mark.parametrize(
    "section, field, value, wanted",
    [
        ("", "steps", "six", "a whole number"),
        ("", "steps", True, "a whole number"),
        ("", "tensorboard", 1, "True or False"),
        ("data", "bodyparts", (1, 2), "(a string, ...)"),
        ("augment", "scale", (0.9, "b"), "(a number, a number)"),
        ("augment", "scale", (0.9, 1.0, 1.1), "(a number, a number)"),
        ("faster_rcnn", "anchor_sizes", 32.0, "(a number, ...)"),
        ("optimizer", "groups", (("heads",),), "((a string, a number, a whole number), ...)"),
        ("data.paw_on_ball", "height", "tall", "a whole number"),
    ],
)
def test_value_of_another_type_is_named(section, field, value, wanted):
    values = default_config().to_dict()
    place = values
    for name in filter(None, section.split(".")):
        place = place[name]
    place[field] = value
    name = f"{section}.{field}" if section else field
    with pytest.raises(InputError, match=re.escape(f"config.{name} = {value!r} must be {wanted}")):
        check_config(ConfigDict(values, convert_dict=True))


def test_fields_of_other_types_are_left_to_the_section():
    """A method defined elsewhere may have them, or, with postponed annotations, types that are only text."""

    @dataclasses.dataclass(frozen=True)
    class Toy(Section):
        section = "toy"
        depth: int | None = None
        sides: tuple[int | None, str] = (None, "left")
        rate: "float" = 0.1

    values = {"depth": None, "sides": [3, "right"], "rate": "fast"}
    assert Toy.of({"toy": values}) == Toy(None, (3, "right"), "fast")
    with pytest.raises(InputError, match=re.escape("config.toy.sides = (3, 4) must be (any value, a string)")):
        Toy.of({"toy": values | {"sides": [3, 4]}})


def test_whole_numbers_and_lists_of_json_are_accepted():
    config = default_config()
    with config.ignore_type():
        config.scale, config.augment.scale = 1, [1, 2]
    check_config(config)
    assert sections()["augment"].of(config).scale == (1, 2)


@pytest.mark.parametrize(
    "model, message",
    [
        ({"backbone": "resnet50", "dpeth": 50}, "unknown config field config.model.dpeth"),
        (3, "unknown config field config.model:"),
        ({}, r"config.model.\w+ is missing"),
    ],
)
def test_unknown_and_missing_fields_are_named(model, message):
    with pytest.raises(InputError, match=message):
        check_config(ConfigDict(default_config().to_dict() | {"model": model}, convert_dict=True))


def test_old_field_names_are_refused_with_the_new_ones():
    new = set(fields_of(default_config().to_dict()))
    assert set(RENAMED.values()) <= new and not (RENAMED.keys() | REPLACED.keys()) & new
    assert "--config.deeplabcut.radius=" in explain_old_field("--config.target.radius=9")
    assert "--config.model.backbone=resnet50" in explain_old_field("--config.model.depth=50")
    assert explain_old_field("--config.model.norm=group") == explain_old_field("--workdir=target.radius") == ""


def test_every_old_field_has_a_new_place():
    new = set(fields_of(default_config().to_dict()))
    for name, old in OLD.items():
        assert set(fields_of(old)) - new <= RENAMED.keys() | REPLACED.keys(), name


@pytest.mark.parametrize("name", OLD)
def test_configs_of_old_runs_are_upgraded(name):
    values = upgrade(OLD[name], ("left", "right"))
    assert set(fields_of(values)) <= set(fields_of(default_config().to_dict()))
    config = default_config()
    config.update(json.loads(json.dumps(values), object_hook=lambda v: v))
    assert upgrade(values, ()) == values


def test_upgrade_converts_values():
    vgg, fast = upgrade(OLD["frcnn_vgg16"], ()), upgrade(OLD["frcnn_r50_fast"], ())
    assert (vgg["model"]["backbone"], vgg["faster_rcnn"]["pool"]) == ("vgg16", "max")
    assert (fast["model"]["backbone"], fast["faster_rcnn"]["feature_map"]) == ("resnet50", "stride8")
    supervised = upgrade(OLD["dlc_r101_supervised"], ())
    assert supervised["deeplabcut"]["intermediate"] == "block3_unit12"
    assert supervised["model"]["backbone"] == "resnet101" and supervised["data"]["paw_on_ball"]["n_frames"] == 20
    old = json.loads(json.dumps(OLD["quickstart"]))
    old["augment"]["symmetric_pairs"] = [[0, 2]]
    assert upgrade(old, ("a", "b", "c"))["data"]["symmetric_pairs"] == [["a", "c"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("init_from", "a\0b"),
        ("data.path", "\0"),
        ("data.split_file", "s\0.json"),
        ("data.bodyparts", ("snout", "t\0ail")),
        ("data.symmetric_pairs", (("a", "b\0"),)),
    ],
)
def test_nul_in_a_string_is_refused(field, value):
    config = default_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=f"config.{field} = .*the character NUL"):
        check_config(config)


def test_nul_in_an_argument_or_a_run_folder_is_refused():
    from pawjax import evaluate
    from pawjax.cli import call
    from pawjax.engine.runlog import check_folder

    assert call(evaluate.ENTRY_POINT, ["--workdir=a\0b"]) == 2
    for name in ("a\0b", b"caf\xe9".decode("utf-8", "surrogateescape")):
        with pytest.raises(InputError, match="contains NUL or bytes that are not UTF-8"):
            check_folder(Path(name))
