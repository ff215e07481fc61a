"""A narrow Faster R-CNN ResNet-50 (C4) on `paw_on_ball` at half its size (400x300): C4's rows of Experiment 4.

    python -m pawjax.train --config=configs/experiments/ball_frcnn_r50.py

Test RMSE 5.90 px, mean error 2.26 px, no error over 50 px among 159, in 26 min on one core of an Intel Xeon. With the
best 64 proposals, all of them in the loss: 3.44 px, 1.70 px, none, 38 min; launch/experiment4.py has the flags.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "faster_rcnn"
    config.steps = 600
    config.eval_every = 100
    config.checkpoint_every = 100
    config.data.paw_on_ball.n_frames = 800
    config.data.paw_on_ball.height, config.data.paw_on_ball.width = 300, 400
    config.model.stem_channels = 16
    config.faster_rcnn.box = (64.0, 64.0)
    config.faster_rcnn.anchor_sizes = (64.0,)
    config.faster_rcnn.anchor_ratios = (1.0,)
    config.faster_rcnn.class_agnostic = True
    config.faster_rcnn.proposals_before = (500, 500)
    config.faster_rcnn.proposals_after = (200, 50)
    config.faster_rcnn.head_sampled = 32
    config.faster_rcnn.head_beta = 0.1111
    config.augment.rotation = 10.0
    config.augment.scale = (0.9, 1.1)
    config.augment.shift = 0.05
    config.augment.noise = 6.0
    config.augment.brightness = 15.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.98
    if arg == "smoke":
        config.faster_rcnn.box = (32.0, 32.0)
        config.faster_rcnn.anchor_sizes = (32.0,)
    return variant(config, arg)
