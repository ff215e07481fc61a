"""A stacked hourglass: two at 256 features, with Newell's blocks, and the recipe of configs/dlc_r50_fast.py.

    python -m pawjax.train --config=configs/hourglass.py --config.data.source=deeplabcut --config.data.path=PROJECT
    python -m pawjax.evaluate --workdir=runs/hourglass --split=test

Each hourglass is trained on Gaussian targets of its own score maps, which the next one reads. Maps have a stride of 4;
the peak of the last ones is located within its cell by a Newton step.

- `--config.hourglass.stacks=1`, 4 or 8, as published; `--config.model.stem_channels=16` for 64 features instead of 256.
- As in LEAP, one or two narrow hourglasses at full resolution whose maps are not read again:
  `--config.hourglass.stride=1 --config.hourglass.reinject=False --config.hourglass.sigma=5
  --config.model.stem_channels=16`
- As in SLEAP, three with plain convolutions, wider on every level:
  `--config.hourglass.stacks=3 --config.hourglass.block=plain --config.hourglass.growth=0.5 --config.hourglass.sigma=10`
- The paper's loss is the squared error of the raw maps: `--config.hourglass.score_loss=squared_error
  --config.hourglass.score_bias=0`. The cross entropy here starts to learn sooner.
- Bodyparts identified only by their position in the frame: train on whole frames, --config.augment.crop="(0,0)".
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.method = "hourglass"
    config.steps = 600
    config.scale = 0.8
    config.log_every = 10
    config.eval_every = 100
    config.checkpoint_every = 100
    config.hourglass.score_loss = "cross_entropy"
    config.hourglass.score_bias = -4.0
    config.hourglass.sigma = 8.0
    config.predict.decode = "taylor"
    config.augment.crop = (256, 256)
    config.augment.anywhere_p = 0.2
    config.augment.rotation = 15.0
    config.augment.rotation_p = 1.0
    config.augment.scale = (0.8, 1.25)
    config.augment.scale_p = 1.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.weight_decay = 0.01
    config.optimizer.warmup_steps = 20
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.98
    if arg == "smoke":  # compiles sooner
        config.hourglass.levels = 1
    return variant(config, arg)
