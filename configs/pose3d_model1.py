"""Model 1: Model 0, and points that may be outliers.

    python -m pawjax.triangulate --config=configs/pose3d_model1.py --model=model1 \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv --out=points

Step, noise and rates of outliers are learned from the recording. No point is left out: one of low likelihood is
probably an outlier, which the model weighs. The triangulation that it starts and learns from is RANSAC's.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "model1"
    config.cut = 0.0
    return variant(config, arg)
