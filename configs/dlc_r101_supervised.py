"""DeepLabCut, ResNet-101 with intermediate supervision: a second score map on unit 12 of 23 of the conv4 block.

Its cross entropy, of the same discs, is added with weight 1 (DeeperCut, Insafutdinov et al. 2016).

    python -m pawjax.train --config=configs/dlc_r101_supervised.py

Meant for a GPU. Not yet run to its end.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 50_000
    config.scale = 0.8
    config.eval_every = 1000
    config.checkpoint_every = 1000
    config.model.depth = 101
    config.model.intermediate = "block3_unit12"
    config.optimizer.schedule = "stepwise_scaled"
    return variant(config, arg)
