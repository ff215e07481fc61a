"""A small convolutional network: eight layers, between the linear model of configs/patch.py and a ResNet.

    python -m pawjax.train --config=configs/convnet.py --config.data.source=deeplabcut --config.data.path=PROJECT
    python -m pawjax.evaluate --workdir=runs/convnet --split=test

It is DeepLabCut's method and the recipe of configs/dlc_r50_fast.py with the backbone `convnet`: what its error lacks to
that of a ResNet is what depth buys. It sees 91 px around each place.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 600
    config.scale = 0.8
    config.log_every = 10
    config.eval_every = 100
    config.checkpoint_every = 100
    config.model.backbone, config.model.stem_channels = "convnet", 16
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 10.0
    config.deeplabcut.radius = 16.0
    config.deeplabcut.locref_weight = 0.5
    config.predict.decode = "votes"
    config.augment.crop = (256, 256)
    config.augment.anywhere_p = 0.2
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
