"""torchvision's detectors: its `FasterRCNN` on a ResNet's first three blocks (C4) or on VGG-16.

Their networks' tensors are named as in the plain files, after a prefix. With a feature pyramid, as in the published
`fasterrcnn_resnet50_fpn`, only the network below it is used: the rest was trained on other maps. (That file was trained
with an epsilon of zero in its frozen batch norm, which is 1e-5 here as in torchvision's other files.)

torchvision orders a cell's anchors by ratio, then size; `pawjax.methods.detection_targets` by size, then ratio.
"""

import re
from collections.abc import Iterable

import numpy as np

PLAIN_NAMES = (
    (r"backbone\.(?:body\.)?((?:conv1|bn1|layer[1-4])\..+)", r"\1"),
    (r"backbone\.(?:body\.)?(?:features\.)?(\d+\.(?:weight|bias))", r"features.\1"),
    (r"roi_heads\.box_head\.(?:layer4|0)\.(\d+\.(?:conv\d|bn\d|downsample\.\d)\.\w+)", r"layer4.\1"),
    (r"roi_heads\.box_head\.(?:fc6|1)\.(weight|bias)", r"classifier.0.\1"),  # numbered if in a Sequential that flattens
    (r"roi_heads\.box_head\.(?:fc7|4)\.(weight|bias)", r"classifier.3.\1"),
)
OUTER = {  # layers of no plain network: pawjax's name, and channels per anchor
    "rpn.head.conv": ("rpn/conv", 0),  # until torchvision 0.13
    "rpn.head.conv.0.0": ("rpn/conv", 0),
    "rpn.head.cls_logits": ("rpn/score", 1),
    "rpn.head.bbox_pred": ("rpn/box", 4),
    "roi_heads.box_predictor.cls_score": ("class_score", 0),
    "roi_heads.box_predictor.bbox_pred": ("class_box", 0),
}
BLOCK4 = ("/backbone/block4_", "/box_head/block4_")  # a ResNet's last block may be in either


def plain_name(name: str) -> str:
    """A detector tensor's name in the file of the plain network; other names unchanged."""
    for pattern, plain in PLAIN_NAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(plain)
    return name


def is_of_pyramid(names: Iterable[str]) -> bool:
    """Whether these names are of a detector whose heads read a feature pyramid."""
    return any(name.startswith("backbone.fpn.") for name in names)


def is_of_detector_head(name: str) -> bool:
    """Whether a tensor belongs to a detector's layers after its backbone."""
    return name.startswith(("rpn.", "roi_heads."))


def leaf_of_detector(name: str, value: np.ndarray, anchors: tuple[int, int]) -> tuple[str, np.ndarray] | None:
    """pawjax's path, and value in pawjax's layout, of a proposal network's or last layers' tensor; else None.

    Args:
      name, value: of the tensor.
      anchors: numbers of sizes and of ratios of a cell's anchors. A file with another total keeps its order.
    """
    layer, _, leaf = name.rpartition(".")
    if layer not in OUTER or value.ndim not in {"weight": (2, 4), "bias": (1,)}.get(leaf, ()):
        return None
    place, channels = OUTER[layer]
    sizes, ratios = anchors
    if channels and len(value) == channels * sizes * ratios:
        by_ratio = value.reshape(ratios, sizes, channels, *value.shape[1:])
        value = by_ratio.swapaxes(0, 1).reshape(value.shape)
    if leaf == "bias":
        return f"params/{place}/bias", value
    return f"params/{place}/kernel", value.T if value.ndim == 2 else value.transpose(2, 3, 1, 0)


def with_block4_in_place(leaves: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The leaves, with a ResNet's last block renamed as in the network that has the leaves `names`.

    It ends the backbone of most networks, but is the head of a C4 detector.
    """
    names = set(names)

    def place(name: str) -> str:
        others = [name.replace(first, second) for first, second in (BLOCK4, BLOCK4[::-1]) if first in name]
        return others[0] if name not in names and others and others[0] in names else name

    return {place(name): value for name, value in leaves.items()}
