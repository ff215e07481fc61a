"""Faster R-CNN on VGG-16: the known recipe of the student report, completed by that of py-faster-rcnn.

    python -m pawjax.train --config=configs/frcnn_vgg16.py --config.data.source=deeplabcut --config.data.path=PROJECT

Boxes of 100 px centred on the paw, anchors of 128, 256 and 512 px in three shapes, RoI pooling, one box for each
bodypart; the keypoint is the centre of the best box. SGD with momentum; the report also tried the learning rate 0.0005.

Use it on a GPU with torchvision's weights of VGG-16. Result: none yet at full width. A narrow version on CPU cores is
in launch/README.md, Experiment 4: from random weights, RoI align without dropout (`--config.faster_rcnn.pool=align
--config.faster_rcnn.dropout=0.0`) has a much lower error.
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
    config.model.backbone = "vgg16"
    config.faster_rcnn.pool = "max"
    config.faster_rcnn.dropout = 0.5
    config.faster_rcnn.anchors_inside = True
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
