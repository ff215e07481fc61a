"""Experiment 4 of the sources: Faster R-CNN on DeepLabCut's ResNet-50, between VGG-16, DeepLabCut and the best we know.

VGG-16 stands there twice: as in the sources, and with RoI align, without dropout and at half the rate.

python launch/sweep.py launch/experiment4.py --out=runs/experiment4 --seeds=3
"""


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    vgg = "--config=configs/frcnn_vgg16.py"
    align = [
        "--config.detector.pool=align",
        "--config.detector.dropout=0.0",
        "--config.optimizer.groups=(('.*',0.5,0),)",
    ]
    return {
        "Faster R-CNN, VGG-16": [vgg],
        "Faster R-CNN, VGG-16 with RoI align": [vgg, *align],
        "Faster R-CNN, ResNet-50": ["--config=configs/frcnn_r50.py"],
        "Faster R-CNN, ResNet-50, finer map": ["--config=configs/frcnn_r50_fast.py"],
        "DeepLabCut, ResNet-50": ["--config=configs/dlc_r50.py"],
    }
