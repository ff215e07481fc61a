"""Faster R-CNN from `config.detector` and `config.model`, after a look at every value."""

import math

import jax.numpy as jnp
from ml_collections import ConfigDict

from pawjax.config import check_choices
from pawjax.errors import InputError
from pawjax.methods.detection_targets import Anchors, LabelBox, Proposals, Regions
from pawjax.methods.faster_rcnn import FasterRCNN
from pawjax.models.detector import BACKBONES, MAPS, POOLS, Detector
from pawjax.models.layers import NORMS
from pawjax.models.resnet import LINEAGES, UNITS

CHOICES = {
    "detector.backbone": BACKBONES,
    "detector.map": MAPS,
    "detector.pool": POOLS,
    "model.depth": tuple(UNITS),
    "model.norm": NORMS,
    "model.lineage": tuple(LINEAGES),
    "data.unlabelled": ("ignore", "negative"),
}
SHARES = ("rpn_low", "rpn_high", "rpn_positive", "proposals_iou", "head_iou", "head_positive", "agree_iou")
POSITIVE = ("anchor_sizes", "anchor_ratios", "head_weights")
COUNTS = ("rpn_sampled", "head_sampled")
PAIRS = ("box", "box_shift", "proposals_before", "proposals_after")
SMALLEST_BOX = 1.0  # px; nothing is left of a smaller one


def from_config(config: ConfigDict, n_keypoints: int) -> FasterRCNN:
    """The method that `config.detector` and `config.model` describe.

    Raises InputError for a value out of range.
    """
    detector, model = config.detector, config.model
    _check(config)
    box = LabelBox(_floats(detector.box), _floats(detector.box_shift))
    anchors = Anchors(
        sizes=_floats(detector.anchor_sizes),
        ratios=_floats(detector.anchor_ratios),
        inside_only=detector.anchors_inside,
        low=detector.rpn_low,
        high=detector.rpn_high,
        n_sampled=detector.rpn_sampled,
        positive=detector.rpn_positive,
    )
    train, predict = detector.proposals_after
    proposals = Proposals(
        before=tuple(detector.proposals_before),
        after=(train, config.predict.proposals or predict),
        iou=detector.proposals_iou,
        min_side=detector.proposals_min_side,
    )
    regions = Regions(
        iou=detector.head_iou,
        n_sampled=detector.head_sampled,
        positive=detector.head_positive,
        weights=_floats(detector.head_weights),
    )
    net = Detector(
        n_keypoints,
        len(anchors.sizes) * len(anchors.ratios),
        backbone_name=detector.backbone,
        map=detector.map,
        depth=model.depth,
        width=model.width,
        norm=model.norm,
        lineage=model.lineage,
        remat=model.remat,
        pool=detector.pool,
        class_agnostic=detector.class_agnostic,
        dropout=detector.dropout,
        dtype=jnp.dtype(config.dtype),
    )
    return FasterRCNN(
        net,
        box,
        anchors,
        proposals,
        regions,
        rpn_beta=detector.rpn_beta,
        head_beta=detector.head_beta,
        unlabelled=config.data.unlabelled,
        agree_iou=detector.agree_iou,
        refinements=detector.refinements,
    )


def _check(config: ConfigDict) -> None:
    check_choices(config, CHOICES)
    detector = config.detector
    if detector.backbone == "vgg16" and config.model.lineage != "torchvision":
        raise InputError(
            f"config.model.lineage = '{config.model.lineage}' is of ResNets alone: config.detector.backbone = 'vgg16' "
            "wants 'torchvision'"
        )
    for name in PAIRS:
        if len(detector[name]) != 2 or not all(map(math.isfinite, detector[name])):
            raise InputError(f"config.detector.{name} = {detector[name]} must be two numbers")
    if min(detector.box) < SMALLEST_BOX:
        raise InputError(
            f"config.detector.box = {detector.box} must be (width, height) of at least {SMALLEST_BOX:g} px: a box "
            "without an area overlaps nothing, so that nothing could learn to find it"
        )
    for name in POSITIVE:
        if not detector[name] or not min(detector[name]) > 0:
            raise InputError(f"config.detector.{name} = {detector[name]} must be positive numbers")
    if len(detector.head_weights) != 4:
        raise InputError(f"config.detector.head_weights = {detector.head_weights} must be four numbers: x, y, w, h")
    for name in SHARES:
        if not 0 <= detector[name] <= 1:
            raise InputError(f"config.detector.{name} = {detector[name]} must be within 0 and 1")
    if detector.rpn_low > detector.rpn_high:
        raise InputError(f"config.detector.rpn_low = {detector.rpn_low} must not be above rpn_high")
    if not 0 <= detector.dropout < 1:
        raise InputError(f"config.detector.dropout = {detector.dropout} must be from 0 to under 1")
    counts = {name: detector[name] for name in COUNTS}
    counts |= {name: min(detector[name]) for name in ("proposals_before", "proposals_after")}
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"config.detector.{name} = {detector[name]} must be at least 1")
    if config.predict.proposals < 0:
        raise InputError(f"config.predict.proposals = {config.predict.proposals} must not be negative")
    for name in ("rpn_beta", "head_beta", "refinements", "proposals_min_side"):
        if detector[name] < 0:
            raise InputError(f"config.detector.{name} = {detector[name]} must not be negative")


def _floats(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(float, values))
