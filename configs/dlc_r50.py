"""DeepLabCut on a ResNet-50, with the recipe of the student report and of DeepLabCut's TensorFlow engine.

Targets are discs of 17 px; the loss is sigmoid cross entropy + 0.05 Huber; SGD with momentum follows DeepLabCut's
stepwise learning rate, stretched to the length of the run.

    python -m pawjax.train --config=configs/dlc_r50.py --config.data.source=deeplabcut --config.data.path=PROJECT

Use it on a GPU or with pretrained weights; on a CPU use configs/dlc_r50_fast.py. Result: none yet, it has not been
trained for its 50,000 steps. A narrow version on CPU cores is in launch/README.md, Experiments 1, 2 and 4.
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
