"""The median over pairs of cameras of each frame by itself, as DeepLabCut-3D and the authors of GIMBAL start.

    python -m pawjax.triangulate --config=configs/pose3d_median.py --model=median \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv --out=points

The likelihood of 0.6 is DeepLabCut's default pcutoff.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "median"
    return variant(config, arg)
