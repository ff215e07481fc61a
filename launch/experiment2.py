"""Experiment 2 of the student report: do a deeper network and intermediate supervision help?

    CONFIGS=configs/experiments/mirror_paw_ python launch/sweep.py launch/experiment2.py \\
        --out=runs/experiment2 --seeds=3 -- --config.data.path=FOLDER

The config is ${CONFIGS}dlc_r50.py; without CONFIGS the settings are configs/dlc_r50.py, dlc_r101.py and
dlc_r101_supervised.py.
"""

import os

CONFIGS = os.environ.get("CONFIGS", "configs/")


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    config, deeper = f"--config={CONFIGS}dlc_r50.py", "--config.model.backbone=resnet101"
    return {
        "ResNet-50": [config],
        "ResNet-101": [config, deeper],
        "ResNet-101 + supervision": [config, deeper, "--config.deeplabcut.intermediate=block3_unit12"],
    }
