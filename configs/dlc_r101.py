"""DeepLabCut on a ResNet-101: the recipe of configs/dlc_r50.py with the deeper network.

    python -m pawjax.train --config=configs/dlc_r101.py --config.data.source=deeplabcut --config.data.path=PROJECT

Use it on a GPU, preferably with pretrained weights. Result: none yet, it has not been trained for its 50,000 steps. A
narrow version on CPU cores is in launch/README.md, Experiments 2 and 4.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 50_000
    config.scale = 0.8
    config.eval_every = 1000
    config.checkpoint_every = 1000
    config.model.backbone = "resnet101"
    config.optimizer.schedule = "stepwise_scaled"
    return variant(config, arg)
