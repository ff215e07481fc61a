"""Converts foreign tensor names and layouts to pawjax's: torchvision's and timm's ResNets, DeepLabCut 3 snapshots.

pawjax names a leaf by its path, 'params/backbone/block1_unit1/conv1/kernel'; see `pawjax.models`. The names of TF-slim,
of VGG-16, of EfficientNet-Lite and of torchvision's detectors have files of their own.
"""

import re
from collections.abc import Mapping

import numpy as np

from pawjax.weights.detection import is_of_detector_head, is_of_pyramid, leaf_of_detector, plain_name
from pawjax.weights.efficientnet import leaf_of_efficientnet
from pawjax.weights.slim import leaf_of_slim
from pawjax.weights.vgg import leaf_of_vgg

NORM = {
    "weight": "params/{}/scale",
    "bias": "params/{}/bias",
    "running_mean": "batch_stats/{}/mean",
    "running_var": "batch_stats/{}/var",
}
DEEPLABCUT_HEADS = {
    "heads.bodypart.heatmap_head.deconv_layers.0": "scoremap",
    "heads.bodypart.locref_head.deconv_layers.0": "locref",
}


def read_weights(
    tensors: Mapping[str, np.ndarray], anchors: tuple[int, int] = (1, 1)
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Renames and transposes known tensors: {pawjax's path: float32 array}, and the unknown names.

    Convolutions [out, in, kh, kw] become [kh, kw, in, out]; transposed convolutions [in, out, kh, kw] become
    [kh, kw, out, in], the layout of `pawjax.models.layers.Deconvolution`.

    Args:
      tensors: by name.
      anchors: of a detector, see `pawjax.weights.detection.leaf_of_detector`.
    """
    known, unknown = {}, []
    pyramid = is_of_pyramid(map(_bare, tensors))
    for name, value in tensors.items():
        bare = _bare(name)
        if pyramid and is_of_detector_head(bare):
            unknown.append(name)
            continue
        plain = plain_name(bare)
        leaf = _leaf(plain, value) or leaf_of_slim(plain, value) or leaf_of_vgg(plain, value)
        leaf = leaf or leaf_of_detector(plain, value, anchors) or leaf_of_efficientnet(plain, value)
        if leaf:
            known[leaf[0]] = np.ascontiguousarray(leaf[1], np.float32)
        else:
            unknown.append(name)
    return known, unknown


def variant_of(tensors: Mapping[str, np.ndarray]) -> str:
    """'torchvision' or 'slim': the geometry that a residual network's tensors were trained in; '' for other tensors.

    Both have the same shapes; see `pawjax.models.resnet.VARIANTS`.
    """
    for variant, leaf_of in (("torchvision", _leaf), ("slim", leaf_of_slim)):
        if any(leaf_of(plain_name(_bare(name)), value) for name, value in tensors.items()):
            return variant
    return ""


def _bare(name: str) -> str:
    return name.removeprefix("module.")


def _leaf(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    return _backbone(name.removeprefix("backbone.model."), value) or _head(name, value)


def _backbone(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    stem = re.fullmatch(r"(conv|bn)1\.(\w+)", name)
    if stem:
        return _layer("backbone/stem", stem[1], stem[2], value)
    match = re.fullmatch(r"layer([1-4])\.(\d+)\.(?:(conv|bn)([1-3])|downsample\.([01]))\.(\w+)", name)
    if not match:
        return None
    block, unit, kind, index, shortcut, leaf = match.groups()
    place = f"backbone/block{block}_unit{int(unit) + 1}/" + (f"conv{index}" if kind else "shortcut")
    return _layer(place, kind or ("conv", "bn")[int(shortcut)], leaf, value)


def _layer(place: str, kind: str, leaf: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    if kind == "conv" and leaf == "weight" and value.ndim == 4:
        return f"params/{place}/kernel", value.transpose(2, 3, 1, 0)
    if kind == "bn" and leaf in NORM:
        return NORM[leaf].format(place), value
    return None


def _head(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    module, _, leaf = name.rpartition(".")
    if module not in DEEPLABCUT_HEADS or leaf not in ("weight", "bias"):
        return None
    if leaf == "weight":
        place = f"params/{DEEPLABCUT_HEADS[module]}/kernel"
        return (place, value.transpose(2, 3, 1, 0)) if value.ndim == 4 else None
    return f"params/{DEEPLABCUT_HEADS[module]}/bias", value
