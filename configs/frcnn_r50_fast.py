"""Faster R-CNN on a ResNet-50 from random weights: the detector with the lowest error, on four CPU cores.

    python -m pawjax.train --config=configs/frcnn_r50_fast.py --config.data.source=deeplabcut --config.data.path=PROJECT
    python -m pawjax.evaluate --workdir=runs/frcnn_r50_fast --split=test

A map of stride 8, one anchor of the size of the box, one box for all bodyparts, RoI align, a box loss that is linear
except for small errors, crops around the animal, AdamW with a cosine schedule, and a moving average of the weights.

Result: none yet at full width. A narrow version on `paw_on_ball` has test RMSE 1.84 px after 21 min on one core of an
Intel Xeon (launch/README.md, Experiment 4).
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "faster_rcnn"
    config.steps = 600
    config.scale = 0.8
    config.log_every = 10
    config.eval_every = 100
    config.checkpoint_every = 100
    config.faster_rcnn.feature_map = "stride8"
    config.faster_rcnn.box = (64.0, 64.0)
    config.faster_rcnn.anchor_sizes = (64.0,)
    config.faster_rcnn.anchor_ratios = (1.0,)
    config.faster_rcnn.class_agnostic = True
    config.faster_rcnn.proposals_before = (500, 500)
    config.faster_rcnn.proposals_after = (200, 50)
    config.faster_rcnn.head_sampled = (
        200  # all proposals: few of them are other paws, which the head must learn to reject
    )
    config.faster_rcnn.head_beta = 1 / 9
    config.augment.crop = (256, 256)
    config.augment.rotation = 15.0
    config.augment.rotation_p = 1.0
    config.augment.scale = (0.8, 1.25)
    config.augment.scale_p = 1.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.weight_decay = 0.01
    config.optimizer.warmup_steps = 20
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.99
    return variant(config, arg)
