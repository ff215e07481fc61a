"""The smallest experiment that still goes the whole way, for tests of the engine."""

from ml_collections import ConfigDict

from pawjax.config import default_config, smoke


def tiny_config() -> ConfigDict:
    """A ResNet-26 of width 8 on 20 synthetic frames of 64 x 96."""
    config = smoke(default_config())
    config.model.backbone, config.model.stem_channels = "resnet26", 8
    config.data.paw_on_ball.update(height=64, width=96)
    config.optimizer.name, config.optimizer.schedule = "adamw", "cosine"
    config.optimizer.ema_decay = 0.9
    return config
