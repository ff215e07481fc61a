"""Experiment 4 of the sources and the final comparison: their four models, and the best that we know of each detector.

The sources' are DeepLabCut on both ResNets and Faster R-CNN on VGG-16 and ResNet-50. Ours teach the head on every
region that is proposed, and VGG-16 with RoI align, without dropout and at half the rate.

    python launch/sweep.py launch/experiment4.py --out=runs/experiment4 --seeds=3
    python -m pawjax.compare runs/experiment4/*/seed0 --out=runs/comparison --published=launch/published.csv
"""


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    vgg, c4 = "--config=configs/frcnn_vgg16.py", "--config=configs/frcnn_r50.py"
    every = ["--config.detector.proposals_after=(200,50)", "--config.detector.head_sampled=200"]
    align = [
        "--config.detector.pool=align",
        "--config.detector.dropout=0.0",
        "--config.optimizer.rate_factor=0.5",
    ]
    best = ["--config.detector.proposals_after=(64,50)", "--config.detector.head_sampled=64"]
    return {
        "DeepLabCut, ResNet-50": ["--config=configs/dlc_r50.py"],
        "DeepLabCut, ResNet-101": ["--config=configs/dlc_r101.py"],
        "Faster R-CNN, VGG-16": [vgg],
        "Faster R-CNN, VGG-16, RoI align, all in the loss": [vgg, *align, *every],
        "Faster R-CNN, ResNet-50": [c4],
        "Faster R-CNN, ResNet-50, the best 64, all in the loss": [c4, *best],
        "Faster R-CNN, ResNet-50, finer map, all in the loss": ["--config=configs/frcnn_r50_fast.py", *every],
    }
