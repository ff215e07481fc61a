"""DeepLabCut, ResNet-50: the sources' recipe.

Discs of 17 px, sigmoid cross entropy + 0.05 Huber, SGD with momentum and DeepLabCut's stepwise rate, stretched to the
run's length.

    python -m pawjax.train --config=configs/dlc_r50.py --config.data.source=deeplabcut --config.data.path=PROJECT

Meant for a GPU or for pretrained weights; on a CPU use configs/dlc_r50_fast.py. Not yet run to its end.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 50_000
    config.scale = 0.8
    config.eval_every = 1000
    config.checkpoint_every = 1000
    config.optimizer.schedule = "stepwise_scaled"
    return variant(config, arg)
