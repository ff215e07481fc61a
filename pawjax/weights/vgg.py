"""VGG-16's names in torchvision and timm: 'features.0.weight', and the classifier's first two layers.

The layer after the pool to 7x7 cells takes them flattened, channels first there and channels last in
`pawjax.models.box_heads`: its rows are reordered. timm stores the same numbers as a 7x7 convolution.
"""

import re

import numpy as np

CONVOLUTIONS = {  # index in torchvision's `features`, where ReLUs and pools count too
    0: "conv1_1",
    2: "conv1_2",
    5: "conv2_1",
    7: "conv2_2",
    10: "conv3_1",
    12: "conv3_2",
    14: "conv3_3",
    17: "conv4_1",
    19: "conv4_2",
    21: "conv4_3",
    24: "conv5_1",
    26: "conv5_2",
    28: "conv5_3",
}
BOX_HEAD = {"classifier.0": "fc6", "classifier.3": "fc7", "pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7"}
CELLS = {"fc6": 7, "fc7": 1}  # cells along a side of the layer's input


def leaf_of_vgg(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    """pawjax's path of a tensor, and its value in pawjax's layout; None for an unknown name."""
    layer, _, leaf = name.rpartition(".")
    if leaf not in ("weight", "bias"):
        return None
    index = re.fullmatch(r"features\.(\d+)", layer)
    if index and int(index[1]) in CONVOLUTIONS:
        place = f"params/backbone/{CONVOLUTIONS[int(index[1])]}"
        if leaf == "bias":
            return f"{place}/bias", value
        return (f"{place}/kernel", value.transpose(2, 3, 1, 0)) if value.ndim == 4 else None
    if layer in BOX_HEAD:
        place = f"params/box_head/{BOX_HEAD[layer]}"
        if leaf == "bias":
            return f"{place}/bias", value
        side = CELLS[BOX_HEAD[layer]]
        if value.ndim not in (2, 4) or not value.size or value[0].size % side**2:  # another network's classifier
            return None
        outputs = len(value)
        return f"{place}/kernel", value.reshape(outputs, -1, side, side).transpose(2, 3, 1, 0).reshape(-1, outputs)
    return None
