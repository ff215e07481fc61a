"""Model 2: Model 1, and limbs that keep their lengths.

    python -m pawjax.triangulate --config=configs/pose3d_model2.py --model=model2 \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv \\
        --skeleton=snout-neck,neck-tail --out=points

Limbs of uniform direction ('direction'; the other form is 'distance'), whose mean lengths and variances, like step,
noise and rates of outliers, are learned from the recording. No point is left out: see pose3d_model1.py.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "model2"
    config.cut = 0.0
    return variant(config, arg)
