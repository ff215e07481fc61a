"""The smallest end-to-end experiment, for tests of the engine."""

import sys
from functools import partial

from ml_collections import ConfigDict

from pawjax.config import default_config, smoke
from pawjax.models.backbones import BACKBONES
from pawjax.models.efficientnet import SIZES, EfficientNetLite
from pawjax.models.resnet import UNITS, ResNet

DEPTH, TINY = 14, "resnet14"  # unpublished: four blocks of one unit each, which halves the compile time
UNITS[DEPTH] = (1, 1, 1, 1)
BACKBONES[TINY] = partial(ResNet, DEPTH)
TINY_SIZE, TINY_LITE = -1, "efficientnet_lite_tiny"  # the same: seven stages of one block each
SIZES[TINY_SIZE] = (1.0, 0.25)
BACKBONES[TINY_LITE] = partial(EfficientNetLite, TINY_SIZE)


def tiny_config() -> ConfigDict:
    """A ResNet-14 of 8 channels on 20 synthetic frames of 64 x 96."""
    config = smoke(default_config())
    config.model.backbone, config.model.stem_channels = TINY, 8
    config.data.paw_on_ball.update(height=64, width=96)
    config.optimizer.name, config.optimizer.schedule = "adamw", "cosine"
    config.optimizer.ema_decay = 0.9
    return config


def command(module: str) -> list[str]:
    """The command that runs `python -m MODULE` with the tiny network registered."""
    program = f"import runpy, tests.tiny; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", program]
