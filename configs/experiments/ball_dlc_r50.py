"""A narrow DeepLabCut ResNet-50 on `paw_on_ball` at half its size (400x300): DeepLabCut's rows of Experiment 4.

    python -m pawjax.train --config=configs/experiments/ball_dlc_r50.py

Test RMSE 3.50 px, mean error 1.46 px, no error over 50 px among 159, in 16 min on one core of an Intel Xeon.
ResNet-101 (`--config.model.backbone=resnet101`): 3.31 px, 1.29 px, none, 24 min. See launch/README.md, Experiment 4.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 600
    config.eval_every = 100
    config.checkpoint_every = 100
    config.data.paw_on_ball.n_frames = 800
    config.data.paw_on_ball.height, config.data.paw_on_ball.width = 300, 400
    config.model.stem_channels = 16
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 10.0
    config.deeplabcut.radius = 16.0
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
    return variant(config, arg)
