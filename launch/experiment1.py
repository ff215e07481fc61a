"""Experiment 1 of the student report: which frame size and which learning rate?

    CONFIGS=configs/experiments/mirror_paw_ python launch/sweep.py launch/experiment1.py \\
        --out=runs/experiment1 --seeds=3 -- --config.data.path=FOLDER

The config is ${CONFIGS}dlc_r50.py; without CONFIGS it is the recipe for a GPU, configs/dlc_r50.py.
"""

import os

CONFIGS = os.environ.get("CONFIGS", "configs/")
SCALES = (0.5, 0.6, 0.8, 1.0, 1.2)
RATES = (0.3, 1.0, 3.0)  # times the recipe's, at the recipe's scale


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    config = f"--config={CONFIGS}dlc_r50.py"
    scales = {f"scale {scale}": [config, f"--config.scale={scale}"] for scale in SCALES}
    rates = {
        f"learning rate x{factor}": [config, f"--config.optimizer.rate_factor={factor}"]
        for factor in RATES
        if factor != 1.0
    }
    return scales | rates
