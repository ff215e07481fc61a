"""A logistic regression on patches of 17x17 pixels, at a quarter of the frame's size: the floor for any network.

    python -m pawjax.train --config=configs/patch.py --config.data.source=deeplabcut --config.data.path=PROJECT
    python -m pawjax.evaluate --workdir=runs/patch --split=test

Positive patches lie within 1.5 px of the label; negative ones around it, anywhere, and where the classifier errs most:
without these last ones a linear model finds bright places, not bodyparts. It has one weight for each pixel of a patch
and a bias, 290 for each bodypart. Frames are not augmented. `launch/optimisers.py` compares optimizers on it.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "patch"
    config.steps = 600
    config.scale = 0.25
    config.batch_size = 16
    config.eval_every = 200
    config.checkpoint_every = 200
    for kind in ("rotation", "scale", "brightness", "contrast", "gamma", "blur", "noise", "occlusion"):
        config.augment[f"{kind}_p"] = 0.0  # a linear model cannot become invariant to any of them
    config.augment.shift, config.augment.margin = 0.0, 0.0  # frames stay in place: their border is part of patches
    config.optimizer.name = "adam"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 3e-2
    return variant(config, arg)
