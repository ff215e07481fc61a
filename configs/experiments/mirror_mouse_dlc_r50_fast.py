"""The recipe of configs/dlc_r50_fast.py on Lightning Pose's mirror-mouse: whole frames, with mirrored ones.

    python -m pawjax.train --config=configs/experiments/mirror_mouse_dlc_r50_fast.py --config.data.path=FOLDER \\
        --config.steps=1600 --config.eval_every=160

63 training frames of 396x406 with 17 keypoints: test RMSE 6.99 px, mean error 4.28 px, one error over 50 px among 284,
in 26 min alongside other jobs on a 4-core AMD EPYC (earlier code, one seed).
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 600
    config.scale = 0.63
    config.log_every = 10
    config.eval_every = 100
    config.checkpoint_every = 100
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 10.0
    config.deeplabcut.radius = 16.0
    config.deeplabcut.locref_weight = 0.5
    config.predict.decode = "votes"
    config.augment.rotation = 15.0
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
        config.data.source = "lightning_pose"
    return variant(config, arg)
