"""Experiment 2 of the sources: does depth help, and intermediate supervision?

python launch/sweep.py launch/experiment2.py --out=runs/experiment2 --seeds=3
"""


def get_sweep() -> dict[str, list[str]]:
    """Name of each setting -> flags of pawjax.train."""
    return {
        "ResNet-50": ["--config=configs/dlc_r50.py"],
        "ResNet-101": ["--config=configs/dlc_r101.py"],
        "ResNet-101 + supervision": ["--config=configs/dlc_r101_supervised.py"],
    }
