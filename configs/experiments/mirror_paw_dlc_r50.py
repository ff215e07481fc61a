"""A narrow DeepLabCut ResNet-50 on the near front paw of Lightning Pose's mirror-mouse: Experiments 1, 2 and 4.

    python -m pawjax.train --config=configs/experiments/mirror_paw_dlc_r50.py --config.data.path=FOLDER

Three seeds: test RMSE 6.5 ± 0.9 px, mean error 5.0 ± 0.7 px, no error over 50 px among 54. On CPU cores.
`--config.data.bodyparts="()"` trains all 17 keypoints instead. See launch/README.md.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 600
    config.scale = 0.6
    config.eval_every = 100
    config.checkpoint_every = 100
    config.model.stem_channels = 16
    config.deeplabcut.score_bias = -4.0
    config.augment.rotation = 10.0
    config.augment.rotation_p = 1.0
    config.augment.scale = (0.85, 1.18)
    config.augment.scale_p = 1.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.98
    if arg != "smoke":  # its synthetic frames have other bodyparts
        config.data.source = "lightning_pose"
        config.data.bodyparts = ("paw3RF_top",)
    return variant(config, arg)
