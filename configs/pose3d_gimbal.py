"""GIMBAL: Model 2, and an animal that turns about z and takes poses (Zhang et al., AISTATS 2021).

    python -m pawjax.triangulate --config=configs/pose3d_gimbal.py --model=gimbal \\
        --calibration=calibration.toml --tracks=left=left.csv,right=right.csv \\
        --skeleton=snout-neck,neck-tail --spine=tail,neck --out=points

The directions of limbs are learned as a mixture of at most 40 pose states, fewer where there are not 10 frames for
each; all else as in pose3d_model2.py. The authors' own parameters for Rat7M have 180 states.

From Python, `pawjax.pose3d.gimbal.fit_sessions` fits several recordings of one rig and equal length side by side, which
is for GPUs and TPUs.
"""

from ml_collections import ConfigDict

from pawjax.pose3d.settings import default_config, variant


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.model = "gimbal"
    config.cut = 0.0
    config.states = 40
    return variant(config, arg)
