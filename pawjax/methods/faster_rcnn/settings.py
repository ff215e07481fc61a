"""The settings of Faster R-CNN: those of py-faster-rcnn, torchvision and detectron2 are values of the same fields."""

import dataclasses
from typing import ClassVar

from pawjax.models.detector import POOLS
from pawjax.sections import Section

SMALLEST_BOX = 1.0  # px; minimum side of a box
LONGEST = 10_000.0  # px
MOST_REGIONS = 100_000
FRACTIONS = (
    *("rpn_low", "rpn_high", "rpn_positive_fraction", "proposals_iou"),
    *("head_iou", "head_positive_fraction", "average_iou"),
)


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The section `config.faster_rcnn`. Lengths are pixels of the network's input; pairs of proposal counts are for
    (training, prediction).

    Attributes:
      feature_map: 'stride16', with block 4 of a ResNet, fc6 and fc7 of a VGG or two dense layers as head; or, but for
        VGGs, 'stride8', a pyramid of strides 32, 16 and 8 with a head of two dense layers.
      pool: pooling of regions, 'align' (bilinear samples) or 'max' (of whole cells, as in the paper).
      class_agnostic: one box per region instead of one per bodypart.
      dropout: rate in the dense head of a VGG.
      box: (width, height) of the box around a keypoint.
      box_shift: (x, y) from the keypoint to the centre of its box.
      anchor_sizes: square roots of the anchors' areas.
      anchor_ratios: height / width.
      anchors_inside: train only on anchors that lie within the image, as py-faster-rcnn does.
      rpn_low, rpn_high: IoU with a labelled box below which an anchor is background, and at which it is an object.
      rpn_sampled: anchors per image in the loss.
      rpn_positive_fraction: maximum fraction of them that are objects.
      rpn_beta: error up to which smooth L1 is quadratic; 0 for L1.
      proposals_before, proposals_after: number before and after non-maximum suppression.
      proposals_iou: IoU above which one suppresses another.
      proposals_min_side: minimum width and height of a proposal, clipped to the image.
      head_iou: minimum IoU with a labelled box for a region to be an object.
      head_sampled, head_positive_fraction, head_beta: the same for the head's regions.
      head_weights: factors of the head's deltas x, y, width, height.
      average_iou: minimum IoU with the likeliest box for a box to be averaged with it.
      second_looks: times that the head refines its own box, taking it as a region.
    """

    section: ClassVar[str] = "faster_rcnn"

    feature_map: str = "stride16"
    pool: str = "align"
    class_agnostic: bool = False
    dropout: float = 0.0
    box: tuple[float, float] = (100.0, 100.0)
    box_shift: tuple[float, float] = (0.0, 0.0)
    anchor_sizes: tuple[float, ...] = (128.0, 256.0, 512.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchors_inside: bool = False
    rpn_low: float = 0.3
    rpn_high: float = 0.7
    rpn_sampled: int = 256
    rpn_positive_fraction: float = 0.5
    rpn_beta: float = 1 / 9
    proposals_before: tuple[int, int] = (2000, 1000)
    proposals_after: tuple[int, int] = (1000, 300)
    proposals_iou: float = 0.7
    proposals_min_side: float = 1.0
    head_iou: float = 0.5
    head_sampled: int = 128
    head_positive_fraction: float = 0.25
    head_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    head_beta: float = 1.0
    average_iou: float = 0.6
    second_looks: int = 0

    def __post_init__(self):
        self.require_choice("feature_map", ("stride16", "stride8"))
        self.require_choice("pool", POOLS)
        self.require_share("dropout", below_one=True)
        for field in ("box", "box_shift", "proposals_before", "proposals_after"):
            self.require(field, len(getattr(self, field)) == 2, "two numbers")
        self.require(
            "box",
            min(self.box) >= SMALLEST_BOX,
            f"(width, height) of at least {SMALLEST_BOX:g} px: a box without area overlaps nothing, so it cannot be "
            "learnt",
        )
        self.require_range("box", SMALLEST_BOX, LONGEST)
        self.require_range("box_shift", -LONGEST, LONGEST)
        for field in ("anchor_sizes", "anchor_ratios", "head_weights"):
            self.require(field, len(getattr(self, field)) > 0, "positive numbers")
        self.require_range("anchor_sizes", SMALLEST_BOX, LONGEST)
        self.require_range("anchor_ratios", 0.01, 100)
        self.require_positive("head_weights", 1000)
        self.require("head_weights", len(self.head_weights) == 4, "four numbers: x, y, width, height")
        for field in FRACTIONS:
            self.require_share(field)
        self.require("rpn_low", self.rpn_low <= self.rpn_high, f"at most rpn_high = {self.rpn_high}")
        for field in ("rpn_sampled", "head_sampled", "proposals_before", "proposals_after"):
            self.require_range(field, 1, MOST_REGIONS)
        for field in ("rpn_beta", "head_beta"):
            self.require_range(field, 0, 1000)
        self.require_range("second_looks", 0, 100)
        self.require_range("proposals_min_side", 0, LONGEST)
