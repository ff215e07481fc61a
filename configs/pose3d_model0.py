"""Model 0: bodyparts that move little from frame to frame, and Gaussian noise.

    python -m pawjax.triangulate --config=configs/pose3d_model0.py --model=model0 \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv --out=points

Step and noise are learned from the recording. Every point pulls, so those of a likelihood below 0.6, DeepLabCut's
default pcutoff, are left out.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "model0"
    return variant(config, arg)
