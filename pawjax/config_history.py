"""Renamed config fields: refused on the command line with the new name, moved in configs of old runs."""

import re
from collections.abc import Sequence
from typing import Any

RENAMED = {  # old name -> new name
    "accumulate": "microbatches",
    "device_budget": "device_gb",
    "data.labels": "data.label_file",
    "data.split": "data.split_file",
    "data.n_frames": "data.paw_on_ball.n_frames",
    "data.height": "data.paw_on_ball.height",
    "data.width": "data.paw_on_ball.width",
    "data.data_seed": "data.paw_on_ball.seed",
    "model.width": "model.stem_channels",
    "model.lineage": "model.variant",
    "model.score_bias": "deeplabcut.score_bias",
    "model.intermediate": "deeplabcut.intermediate",
    "model.intermediate_locref": "deeplabcut.intermediate_locref",
    **{
        f"target.{field}": f"deeplabcut.{field}"
        for field in ("target", "radius", "sigma", "score_loss", "locref_weight", "locref_stdev", "intermediate_weight")
    },
    "target.unlabelled": "data.unlabelled",
    "detector.rpn_positive": "faster_rcnn.rpn_positive_fraction",
    "detector.head_positive": "faster_rcnn.head_positive_fraction",
    "detector.agree_iou": "faster_rcnn.average_iou",
    "detector.refinements": "faster_rcnn.second_looks",
    **{
        f"detector.{field}": f"faster_rcnn.{field}"
        for field in (
            *("class_agnostic", "dropout", "box", "box_shift", "anchor_sizes", "anchor_ratios", "anchors_inside"),
            *("rpn_low", "rpn_high", "rpn_sampled", "rpn_beta", "proposals_before", "proposals_after"),
            *("proposals_iou", "proposals_min_side", "head_iou", "head_sampled", "head_weights", "head_beta"),
        )
    },
    "predict.refine": "predict.decode",
}
REPLACED = {  # old name -> what to write now
    "model.depth": "write --config.model.backbone=resnet50 (or resnet26, resnet101, resnet152)",
    "detector.backbone": "write --config.model.backbone=vgg16 or resnet50",
    "detector.map": "write --config.faster_rcnn.feature_map=stride16 for 'c4' and stride8 for 'fine'",
    "detector.pool": "write --config.faster_rcnn.pool=align or max",
    "augment.symmetric_pairs": "name the bodyparts, --config.data.symmetric_pairs=\"(('left_ear','right_ear'),)\"",
}


def explain_old_field(argument: str) -> str:
    """An error message for an argument that sets a field by an old name; '' for any other argument."""
    match = re.match(r"--config\.([\w.]+)", argument)
    field = match[1] if match else ""
    if field in RENAMED:
        return f"config.{field} was renamed to config.{RENAMED[field]}: write --config.{RENAMED[field]}="
    return f"config.{field} was removed: {REPLACED[field]}" if field in REPLACED else ""


def upgrade(config: dict[str, Any], bodyparts: Sequence[str]) -> dict[str, Any]:
    """The content of a run's config.json with current names; one that has them already is returned unchanged.

    Args:
      config: nested dicts of values.
      bodyparts: the run's; old configs referred to them by index, new ones by name.
    """
    if "target" not in config:
        return config
    old = dict(flat(config))
    new = {RENAMED.get(name, name): value for name, value in old.items() if name not in REPLACED}
    depth, backbone = old["model.depth"], old.get("detector.backbone", "resnet")
    is_vgg = config["method"] == "faster_rcnn" and backbone == "vgg16"
    new["model.backbone"] = "vgg16" if is_vgg else f"resnet{depth}"
    fine = old.get("detector.map", "c4") == "fine" and not is_vgg
    new["faster_rcnn.feature_map"] = "stride8" if fine else "stride16"
    new["faster_rcnn.pool"] = {"pool": "max"}.get(old.get("detector.pool", "align"), "align")
    pairs = old.get("augment.symmetric_pairs", ())
    new["data.symmetric_pairs"] = [[bodyparts[i] for i in pair] for pair in pairs]
    return _nested(new)


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """(full name, value) of every field of nested dicts."""
    rows = []
    for name, value in values.items():
        rows += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return rows


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *folders, last = name.split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return nested
