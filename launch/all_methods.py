"""Every 2D method on the same frames, with as many steps: from the linear patch classifier to pretrained features.

    python launch/sweep.py launch/all_methods.py --out=runs/all --seeds=1 -- --config.scale=0.63 \\
        --config.augment.crop="(0,0)" --config.data.source=lightning_pose --config.data.path=FOLDER \\
        --config.data.bodyparts="('paw3RF_top',)" --config.data.split_file=SPLIT.json
    python -m pawjax.compare runs/all/*/seed0 --out=runs/comparison

All networks are at full width, and all but EfficientNet-Lite0 start from random weights. Each has the recipe of its own
config but for the number of steps and the batch size. BOX is the side of the detector's box, px of the network's input.
The patch classifier sees frames at a quarter of their size.
"""

import os

BOX = float(os.environ.get("BOX", "48"))


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    box = [f"--config.faster_rcnn.box=({BOX},{BOX})", f"--config.faster_rcnn.anchor_sizes=({BOX},)"]
    settings = {
        "patch": ["patch", "--config.scale=0.25"],
        "convnet": ["convnet"],
        "hourglass, 2 stacks": ["hourglass"],
        "DeepLabCut, ResNet-50": ["dlc_r50_fast"],
        "DeepLabCut, ResNet-101": ["dlc_r50_fast", "--config.model.backbone=resnet101"],
        "Faster R-CNN, ResNet-50": ["frcnn_r50_fast", *box],
        "EfficientNet-Lite0, ImageNet": ["lite0"],
    }
    same = ["--config.steps=400", "--config.batch_size=8", "--config.eval_every=100", "--config.checkpoint_every=100"]
    return {name: [f"--config=configs/{config}.py", *same, *flags] for name, (config, *flags) in settings.items()}
