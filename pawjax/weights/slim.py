"""TF-slim's names: `resnet_v1_50`, `_101` and `_152`, and the snapshots of DeepLabCut's TensorFlow engine.

The files are checkpoints converted to .npz by `third_party/tf_slim/convert.py`. Kernels are [kh, kw, in, out] and those
of the heads [kh, kw, out, in], as in `pawjax.models.layers`; nothing is transposed. The location refinement holds x and
y of the first bodypart, then of the second, as in pawjax.
"""

import re

import numpy as np

LEAVES = {
    "weights": "params/{}/kernel",
    "biases": "params/{}/bias",
    "BatchNorm/gamma": "params/{}/scale",
    "BatchNorm/beta": "params/{}/bias",
    "BatchNorm/moving_mean": "batch_stats/{}/mean",
    "BatchNorm/moving_variance": "batch_stats/{}/var",
}
HEADS = {
    "part_pred": "scoremap",
    "locref_pred": "locref",
    "intermediate_supervision": "intermediate_scoremap",
}
BACKBONE = re.compile(
    r"resnet_v1_\d+/(?:(conv1)|block([1-4])/unit_(\d+)/bottleneck_v1/(conv[1-3]|shortcut))/(weights|BatchNorm/\w+)"
)
HEAD = re.compile(r"pose/(\w+)/block4/(weights|biases)")


def leaf_of_slim(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    """pawjax's path of a variable, and its value; None for an unknown name."""
    match = BACKBONE.fullmatch(name)
    if match:
        stem, block, unit, layer, leaf = match.groups()
        place = "backbone/stem" if stem else f"backbone/block{block}_unit{unit}/{layer}"
    else:
        match = HEAD.fullmatch(name)
        if not match or match[1] not in HEADS:
            return None
        place, leaf = HEADS[match[1]], match[2]
    return (LEAVES[leaf].format(place), value) if leaf in LEAVES else None
