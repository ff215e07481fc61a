"""Experiment 3 of the student report, Faster R-CNN on VGG-16: which box around the label, and which learning rate?

    CONFIGS=configs/experiments/boxes_ BOX_SCALE=0.5 python launch/sweep.py launch/experiment3.py \\
        --out=runs/experiment3 --seeds=3

The config is ${CONFIGS}frcnn_vgg16.py; without CONFIGS it is the recipe for a GPU, configs/frcnn_vgg16.py. The boxes
are meant for frames of 800x600; BOX_SCALE=0.5 halves them for frames of half that size. `python -m
pawjax.evaluate --boxes` reports how well the anchors fit them.
"""

import os

CONFIGS = os.environ.get("CONFIGS", "configs/")

# (width, height) of the box, and (x, y) from the labelled point to its centre. The report tried five boxes of unstated
# sizes: a point, then larger ones, chosen after looking at the failures. Its labels lay at the edge of the foot.
BOXES = {
    "a point": ((5, 5), (0, 0)),
    "larger, at the point": ((60, 60), (0, 0)),
    "larger, shifted": ((60, 60), (15, -15)),
    "larger still, centred on the foot": ((100, 100), (0, 0)),
    "the paw's extent": ((48, 32), (0, 0)),
}
RATES = {"0.0005": 0.5, "0.002": 2.0}  # learning rate -> times the recipe's 0.001; with the config's box of 100 px


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    config, scale = f"--config={CONFIGS}frcnn_vgg16.py", float(os.environ.get("BOX_SCALE", "1"))

    def pair(values: tuple[float, float]) -> str:
        return str(tuple(scale * value for value in values))

    boxes = {
        f"box: {name}": [
            config,
            f"--config.faster_rcnn.box={pair(size)}",
            f"--config.faster_rcnn.box_shift={pair(shift)}",
        ]
        for name, (size, shift) in BOXES.items()
    }
    default = boxes["box: larger still, centred on the foot"]
    rates = {
        f"learning rate {rate}": [*default, f"--config.optimizer.rate_factor={factor}"]
        for rate, factor in RATES.items()
    }
    return boxes | rates
