"""DeepLabCut, ResNet-50, from random weights: the most accuracy for the minute, on four CPU cores.

    python -m pawjax.train --config=configs/dlc_r50_fast.py --config.data.source=deeplabcut --config.data.path=PROJECT
    python -m pawjax.evaluate --workdir=runs/dlc_r50_fast --split=test

Frames at 0.8 of their size, crops around the animal, Gaussian targets, AdamW with a cosine, an average of the weights,
and points voted on by the cells around them.

- For animals seen from above add --config.augment.rotation=180.0 --config.augment.flip_p=0.5 and the pairs of left and
  right bodyparts, as --config.data.symmetric_pairs="(('leftear','rightear'),)".
- Where a bodypart is told from its double by its place in the picture, show whole frames:
  --config.augment.crop="(0,0)". A size that makes both sides multiples of 128 is fastest on a CPU.
- More steps are more accuracy: --config.steps=1400.

Errors and times are in the README.
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
    config.model.score_bias = -4.0
    config.target.target = "gaussian"
    config.target.sigma = 10.0
    config.target.radius = 16.0
    config.target.locref_weight = 0.5
    config.predict.refine = "votes"
    config.augment.crop = (256, 256)
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
