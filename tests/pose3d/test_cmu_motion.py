"""Where the truth is known, each model comes nearer to it than the one before (slow); motion files are read."""

import json
import sys

import numpy as np
import pytest

from launch import cmu_motion
from launch.bvh import read_bvh
from pawjax.errors import InputError

ARM = """HIERARCHY
ROOT Hip
{
    OFFSET 1 0 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    JOINT Elbow
    {
        OFFSET 0 2 0
        CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT Hand
        {
            OFFSET 3 0 0
            CHANNELS 3 Zrotation Yrotation Xrotation
            End Site
            {
                OFFSET 9 9 9
            }
        }
    }
}
MOTION
Frames: 2
Frame Time: 0.1
0 0 0  0 0 0  0 0 0  0 0 0
5 0 1  90 0 0  0 90 0  0 0 0
"""


def test_joints_lie_where_the_turns_of_their_parents_put_them(tmp_path):
    path = tmp_path / "arm.bvh"
    path.write_text(ARM)
    motion = read_bvh(path)
    assert motion.joints == ("Hip", "Elbow", "Hand") and motion.parents == (-1, 0, 1)
    np.testing.assert_allclose(motion.positions[0], [[1, 0, 0], [1, 2, 0], [4, 2, 0]], atol=1e-12)
    # Frame 2 by hand: z by 90 degrees takes y to -x; below the elbow first y by 90 degrees, which takes x to -z.
    np.testing.assert_allclose(motion.positions[1], [[6, 0, 1], [4, 0, 1], [4, 0, -2]], atol=1e-12)
    path.write_text("no motion")
    with pytest.raises(InputError, match="is no .bvh file"):
        read_bvh(path)


def test_outliers_come_at_their_rates_and_last():
    rng = np.random.default_rng(0)
    matrices = np.tile([[1000.0, 0, 0, 0], [0, 1000, 0, 0], [0, 0, 1, 500]], (6, 1, 1))
    still = np.tile(rng.uniform(-100, 100, (len(cmu_motion.JOINTS), 3)), (600, 1, 1))
    image = 1000 * still[..., :2] / (still[..., 2:] + 500)
    far = np.linalg.norm(cmu_motion.observe(rng, still, matrices) - image[:, None], axis=-1) > 30
    hard = [list(cmu_motion.JOINTS).index(name) for name in cmu_motion.HARD]
    rates = far.mean(0)
    assert ((rates[:, hard] > 0.2).sum(0) >= 4).all() and 0.1 < far.mean() < 0.4
    begins = (far[1:] & ~far[:-1]).sum()
    assert 3 < far.sum() / begins < 20, "frames that an outlier lasts"


@pytest.mark.slow
def test_each_model_beats_the_one_before(shared_data, tmp_path, monkeypatch):
    report, shared = tmp_path / "report.json", shared_data
    files = [f"--motion={shared / 'cmu-mocap/01_01.bvh'}", f"--rig={shared / 'rat7m-extract/mock_data.npz'}"]
    options = [f"--json={report}", "--seeds=2", "--variants=six cameras"]
    monkeypatch.setattr(sys, "argv", ["cmu_motion", *files, *options])
    cmu_motion.main()
    result = json.loads(report.read_text())["six cameras"]
    steps = list(result["differences_mm"].values())
    assert all(high < 0 for _, _, high in steps[1:]), "from Model 0 on, with all of its interval"
    assert 0.85 < result["covered"] < 0.99
