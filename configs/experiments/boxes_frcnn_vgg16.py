"""A narrow Faster R-CNN VGG-16 on `paw_on_ball` at half its size (400x300): Experiment 3, on label boxes and rates.

    CONFIGS=configs/experiments/boxes_ BOX_SCALE=0.5 python launch/sweep.py launch/experiment3.py \\
        --out=runs/experiment3 --seeds=3

RoI align, no dropout, anchors of 64, 128 and 256 px in three shapes. Best row: boxes of 50x50 px at half the learning
rate, three seeds, test RMSE 12.5 ± 6.1 px, mean error 4.8 ± 1.4 px, on CPU cores. See launch/README.md, Experiment 3.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "faster_rcnn"
    config.steps = 400
    config.batch_size = 4
    config.eval_every = 100
    config.checkpoint_every = 100
    config.data.paw_on_ball.n_frames = 800
    config.data.paw_on_ball.height, config.data.paw_on_ball.width = 300, 400
    config.model.stem_channels = 16
    config.model.backbone = "vgg16"
    config.faster_rcnn.anchor_sizes = (64.0, 128.0, 256.0)
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
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.98
    if arg == "smoke":
        config.faster_rcnn.box = (32.0, 32.0)
        config.faster_rcnn.anchor_sizes = (32.0,)
    return variant(config, arg)
