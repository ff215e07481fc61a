"""How many labelled frames does a new project need, from random weights and from the weights of another project?

    CONFIGS=configs/experiments/mirror_mouse_ PRETRAINED=runs/open_field python launch/sweep.py \\
        launch/label_efficiency.py --out=runs/frames --seeds=3 -- --config.data.path=FOLDER

The config is ${CONFIGS}dlc_r50_fast.py; without CONFIGS it is configs/dlc_r50_fast.py. PRETRAINED is a run folder or a
weight file. Every seed draws its own frames; smaller sets are subsets of larger ones.
"""

import os

CONFIGS = os.environ.get("CONFIGS", "configs/")
FRAMES = (5, 10, 20, 40, 63)


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    starts = {"from scratch": [], "from another project": [f"--config.init_from={os.environ['PRETRAINED']}"]}
    recipe = [f"--config={CONFIGS}dlc_r50_fast.py", "--config.data.split_seed={seed}"]
    return {
        f"{start}, {n} frames": [*recipe, *flags, f"--config.data.n_train={n}"]
        for start, flags in starts.items()
        for n in FRAMES
    }
