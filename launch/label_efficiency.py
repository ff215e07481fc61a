"""How many labelled frames does a project need, by what the network has learned before?

    FRAMES=5,10,20,40,63 PRETRAINED=runs/paw_on_ball python launch/sweep.py launch/label_efficiency.py \\
        --out=runs/frames --seeds=3 -- --config.data.source=lightning_pose --config.data.path=FOLDER

All settings are configs/lite0.py with as many steps as --config.steps says after `--`. PRETRAINED is a run of it on
paw_on_ball from random weights. Every seed draws its own frames; smaller sets are subsets of larger ones. FRAMES ends
with the number of all.
"""

import os

FRAMES = tuple(map(int, os.environ.get("FRAMES", "5,10,20,40,63").split(",")))


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    starts = {
        "ImageNet": [],
        "ImageNet, frozen backbone": ["--config.optimizer.groups=(('backbone/.*',0.0,0),)"],
        "paw_on_ball": [f"--config.init_from={os.environ['PRETRAINED']}"],
        "random weights": ["--config.init_from=", "--config.model.norm=batch"],
    }
    recipe = ["--config=configs/lite0.py", "--config.data.split_seed={seed}"]
    return {
        f"{start}, {n} frames": [*recipe, *flags, f"--config.data.n_train={n}"]
        for start, flags in starts.items()
        for n in FRAMES
    }
