"""How many labelled frames does a new project need, from random weights and from those of another project?

    PRETRAINED=runs/openfield python launch/sweep.py launch/label_efficiency.py --out=runs/frames --seeds=3 -- \\
        --config.data.source=lightning_pose --config.data.path=FOLDER --config.data.split_file=SPLIT.json

PRETRAINED is a run, or a file of weights. Every seed draws frames of its own; fewer frames are among more.
"""

import os

FRAMES = (5, 10, 20, 40, 63)


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    starts = {"from scratch": [], "from another project": [f"--config.init_from={os.environ['PRETRAINED']}"]}
    recipe = ["--config=configs/dlc_r50_fast.py", "--config.data.split_seed={seed}"]
    return {
        f"{start}, {n} frames": [*recipe, *flags, f"--config.data.n_train={n}"]
        for start, flags in starts.items()
        for n in FRAMES
    }
