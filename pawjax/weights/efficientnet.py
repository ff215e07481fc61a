"""EfficientNet-Lite's names in PyTorch (efficientnet_lite_pytorch, from TensorFlow's): '_blocks.0._bn1.weight'.

A block's batch norms count its convolutions from 0, whether or not it has an expansion, which is the first of three.
"""

import re
from collections.abc import Mapping

import numpy as np

SIZES = {(16, 320): 0, (21, 320): 1, (21, 352): 2, (24, 384): 3, (30, 448): 4}  # by blocks, and channels of the last
LAYERS = {"_expand_conv": "expand", "_depthwise_conv": "depthwise", "_project_conv": "project"}
NORMS = {"_bn0": "expand", "_bn1": "depthwise", "_bn2": "project"}
NORM = {
    "weight": "params/backbone/{}/scale",
    "bias": "params/backbone/{}/bias",
    "running_mean": "batch_stats/backbone/{}/mean",
    "running_var": "batch_stats/backbone/{}/var",
}


def leaf_of_efficientnet(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    """pawjax's path of a tensor, and its value in pawjax's layout; None for an unknown name, and for the classifier."""
    module, _, leaf = name.rpartition(".")
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module)
    if block:
        place, layer = f"block{int(block[1]) + 1}/", block[2]
        convolution, norm = LAYERS.get(layer), NORMS.get(layer)
    else:
        place, convolution, norm = "", *{"_conv_stem": ("stem", None), "_bn0": (None, "stem")}.get(module, (None, None))
    if convolution and leaf == "weight" and value.ndim == 4:  # a depthwise kernel is [channels, 1, kh, kw]
        return f"params/backbone/{place}{convolution}/kernel", value.transpose(2, 3, 1, 0)
    if norm and leaf in NORM:
        return NORM[leaf].format(place + norm), value
    return None


def size_of(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Which EfficientNet-Lite has leaves of these shapes, by pawjax's names: 0 to 4; None for another network."""
    kernels = (f"params/backbone/block{n}/project/kernel" for n in range(1, len(shapes) + 1))
    projections = [shapes[name] for name in kernels if name in shapes]
    return SIZES.get((len(projections), projections[-1][-1])) if projections else None
