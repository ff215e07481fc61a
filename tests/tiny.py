"""The smallest experiment that still goes the whole way, for tests of the engine."""

import sys

from ml_collections import ConfigDict

from pawjax.config import default_config, smoke
from pawjax.methods import deeplabcut, detection_config
from pawjax.models.resnet import UNITS

TINY = 14  # the depth of no published net: the four blocks with one unit each, which compile in half the time
UNITS[TINY] = (1, 1, 1, 1)
for choices in (deeplabcut.CHOICES, detection_config.CHOICES):
    choices["model.depth"] = tuple(UNITS)


def tiny_config() -> ConfigDict:
    """A ResNet-14 of width 8 on 20 synthetic frames of 64 x 96."""
    config = smoke(default_config())
    config.model.depth, config.model.width = TINY, 8
    config.data.height, config.data.width = 64, 96
    config.optimizer.name, config.optimizer.schedule = "adamw", "cosine"
    config.optimizer.ema_decay = 0.9
    return config


def command(module: str) -> list[str]:
    """The words that run `python -m MODULE` in a process that knows the tiny net too."""
    program = f"import runpy, tests.tiny; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", program]
