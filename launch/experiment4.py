"""Experiment 4 of the student report and the final comparison: its four models, and our best settings of each detector.

The report's models are DeepLabCut on two ResNets and Faster R-CNN on VGG-16 and ResNet-50. In our settings the head
trains on every proposed region, and VGG-16 has RoI align, no dropout and half the learning rate.

    CONFIGS=configs/experiments/ball_ python launch/sweep.py launch/experiment4.py --out=runs/experiment4 --seeds=3
    python -m pawjax.compare runs/experiment4/*/seed0 --out=runs/comparison \\
        --published=launch/published.csv

The configs are ${CONFIGS}dlc_r50.py, frcnn_vgg16.py, frcnn_r50.py and frcnn_r50_fast.py; without CONFIGS they are the
recipes for a GPU.
"""

import os

CONFIGS = os.environ.get("CONFIGS", "configs/")


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    dlc, vgg = f"--config={CONFIGS}dlc_r50.py", f"--config={CONFIGS}frcnn_vgg16.py"
    c4, fine = f"--config={CONFIGS}frcnn_r50.py", f"--config={CONFIGS}frcnn_r50_fast.py"
    every = ["--config.faster_rcnn.proposals_after=(200,50)", "--config.faster_rcnn.head_sampled=200"]
    align = [
        "--config.faster_rcnn.pool=align",
        "--config.faster_rcnn.dropout=0.0",
        "--config.optimizer.groups=(('.*',0.5,0),)",
    ]
    best = ["--config.faster_rcnn.proposals_after=(64,50)", "--config.faster_rcnn.head_sampled=64"]
    return {
        "DeepLabCut, ResNet-50": [dlc],
        "DeepLabCut, ResNet-101": [dlc, "--config.model.backbone=resnet101"],
        "Faster R-CNN, VGG-16": [vgg],
        "Faster R-CNN, VGG-16, RoI align, all in the loss": [vgg, *align, *every],
        "Faster R-CNN, ResNet-50": [c4],
        "Faster R-CNN, ResNet-50, the best 64, all in the loss": [c4, *best],
        "Faster R-CNN, ResNet-50, finer map, all in the loss": [fine, *every],
    }
