"""The recipe of configs/dlc_r50_fast.py on DeepLabCut's open-field example: an animal seen from above.

    python -m pawjax.train --config=configs/experiments/open_field_dlc_r50_fast.py --config.data.path=PROJECT \\
        --config.steps=1400 --config.eval_every=140

81 training frames of 640x480 with four bodyparts: test RMSE 3.47 px, mean error 2.77 px, no error over 50 px among 92,
in 22 min alongside other jobs on a 4-core AMD EPYC (earlier code, one seed).
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
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 10.0
    config.deeplabcut.radius = 16.0
    config.deeplabcut.locref_weight = 0.5
    config.predict.decode = "votes"
    config.augment.crop = (256, 256)
    config.augment.rotation = 180.0
    config.augment.rotation_p = 1.0
    config.augment.scale = (0.8, 1.25)
    config.augment.scale_p = 1.0
    config.augment.flip_p = 0.5
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.99
    if arg != "smoke":  # its synthetic frames have other bodyparts
        config.data.source = "deeplabcut"
        config.data.symmetric_pairs = (("leftear", "rightear"),)
    return variant(config, arg)
