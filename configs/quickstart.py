"""A first run: a small network on small synthetic frames of `paw_on_ball` (200x150).

    python -m pawjax.train --config=configs/quickstart.py
    python -m pawjax.evaluate --workdir=runs/quickstart --split=test

Result: test RMSE 1.94 px, mean error 0.98 px, no error over 50 px among 159, after 4.5 min of training on a 2-core AMD
EPYC beside other jobs.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.steps = 600
    config.batch_size = 16
    config.log_every = 20
    config.eval_every = 100
    config.checkpoint_every = 100
    config.data.paw_on_ball.update(n_frames=800, height=150, width=200)
    config.model.backbone, config.model.stem_channels = "resnet26", 32
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 6.0
    config.deeplabcut.radius = 10.0
    config.augment.rotation = 10.0
    config.augment.scale = (0.9, 1.1)
    config.augment.shift = 0.05
    config.augment.noise = 6.0
    config.augment.brightness = 15.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 20
    config.optimizer.weight_decay = 0.01
    config.optimizer.ema_decay = 0.98
    return variant(config, arg)
