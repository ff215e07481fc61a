"""Faster R-CNN on a ResNet-50: the hybrid of the student report, configs/frcnn_vgg16.py with a deeper network.

    python -m pawjax.train --config=configs/frcnn_r50.py --config.data.source=deeplabcut --config.data.path=PROJECT

Proposals and regions come from the map of the third block (stride 16); the fourth block is the head (He et al. 2015).

Use it on a GPU with torchvision's weights of ResNet-50. Result: none yet at full width. A narrow version on CPU cores
is in launch/README.md, Experiment 4.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "faster_rcnn"
    config.steps = 50_000
    config.batch_size = 2
    config.eval_every = 1000
    config.checkpoint_every = 1000
    config.model.norm = "frozen"
    config.faster_rcnn.proposals_before = (12_000, 6000)
    config.faster_rcnn.proposals_after = (2000, 300)
    config.faster_rcnn.proposals_min_side = 16.0
    config.optimizer.schedule = "stepwise_scaled"
    config.optimizer.rates = ((0.001, 50_000), (0.0001, 70_000))
    config.optimizer.weight_decay = 0.0005
    if arg == "smoke":
        config.faster_rcnn.box = (32.0, 32.0)
        config.faster_rcnn.anchor_sizes = (32.0,)
    return variant(config, arg)
