"""DeepLabCut on a ResNet-101 with intermediate supervision: a second score map on unit 12 of 23 of the conv4 block.

The cross entropy of that map, with the same targets, is added to the loss with weight 1 (DeeperCut, Insafutdinov et al.
2016).

    python -m pawjax.train --config=configs/dlc_r101_supervised.py \\
        --config.data.source=deeplabcut --config.data.path=PROJECT

Use it on a GPU, preferably with pretrained weights. Result: none yet, it has not been trained for its 50,000 steps. A
narrow version on CPU cores is in launch/README.md, Experiment 2.
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
    config.deeplabcut.intermediate = "block3_unit12"
    config.optimizer.schedule = "stepwise_scaled"
    return variant(config, arg)
