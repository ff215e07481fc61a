"""Consensus of the cameras on each frame by itself.

    python -m pawjax.triangulate --config=configs/pose3d_ransac.py --model=ransac \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv --out=points

Views within 15 px of the projected point agree, and two or more must. The likelihood of 0.6 is DeepLabCut's default
pcutoff.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "ransac"
    return variant(config, arg)
