"""The launch scripts of the 3D models, at a tiny size: they run, and what they print is what they measured."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from launch import cmu_motion, growth3d, regions, uncertain_points
from pawjax.pose3d.parameters import Limbs, Noise, PoseStates, Prior
from tests.pose3d.conftest import ring


@pytest.fixture
def person(monkeypatch):
    """A person that walks instead of the motion file."""
    rng, names = np.random.default_rng(0), list(cmu_motion.JOINTS)
    parents = tuple(names.index(parent) for parent in cmu_motion.JOINTS.values())
    towards = rng.normal(size=(18, 3)) + np.cumsum(0.05 * rng.normal(size=(60, 18, 3)), 0)
    positions = np.repeat(np.cumsum(rng.normal(size=(60, 1, 3)), 0), 18, 1)
    for k, parent in enumerate(parents):
        if k != parent:
            limb = towards[:, k] / np.linalg.norm(towards[:, k], axis=-1, keepdims=True)
            positions[:, k] = positions[:, parent] + 50 * limb
    for script in (growth3d, uncertain_points):
        monkeypatch.setattr(script, "motion_of", lambda path, middle: (positions + middle, parents))
        monkeypatch.setattr(script, "STATES", 2)


def test_growth_measures_one_size_in_its_own_process(person, monkeypatch, capsys, tmp_path):
    flags = ["growth3d", "--motion=m.bvh", f"--json={tmp_path}/found.json"]
    monkeypatch.setattr(sys, "argv", [*flags, "--one=30,3,model0"])
    growth3d.main()
    row = json.loads(capsys.readouterr().out)
    assert row["seconds"] > 0 and row["more_mb"] >= 0
    done, asked = SimpleNamespace(stdout=f"a warning\n{json.dumps(row)}\n"), []
    monkeypatch.setattr(growth3d.subprocess, "run", lambda command, **_: asked.append(command[-1]) or done)
    monkeypatch.setattr(sys, "argv", [*flags, "--frames=100,1000", "--cameras=2,6", "--ways=ransac,gimbal"])
    growth3d.main()
    sizes = ["100,6", "1000,6", "1000,2"]
    assert asked == [f"--one={size},{way}" for way in ("ransac", "gimbal") for size in sizes]
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == 6 and found["gimbal, 1000 frames, 2 cameras"] == row


def test_every_camera_of_the_ring_sees_the_origin_in_its_middle():
    image = growth3d.ring(5) @ [0, 0, 0, 1]
    np.testing.assert_allclose(image, growth3d.AWAY * np.array([[growth3d.MIDDLE, growth3d.MIDDLE, 1]] * 5))
    up = growth3d.ring(5) @ [0, 0, 10, 1]
    assert (up[:, 1] / up[:, 2] < growth3d.MIDDLE).all(), "z is up, y in pixels down"


def test_uncertain_points_are_compared(person, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(uncertain_points, "TESTED", 12)
    monkeypatch.setattr(uncertain_points, "FITTED", ("model1",))
    np.savez(tmp_path / "rig.npz", camera_matrices=ring(4), groundtruth_pos_3d=np.array([[[30.0, -20, 10]]]))
    flags = [f"--rig={tmp_path}/rig.npz", f"--json={tmp_path}/found.json", "--motion=m.bvh", "--seeds=2"]
    monkeypatch.setattr(sys, "argv", ["uncertain_points", *flags])
    uncertain_points.main()
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["means"]) == [f"{way}, model1" for way in uncertain_points.WAYS]
    assert all(0 < error < 30 and 0 < share <= 1 for error, share in found["means"].values())
    assert found["means"]["both, model1"][0] < found["means"]["constant, model1"][0]
    assert capsys.readouterr().out.count("\n") >= 6


def test_unit_vectors_are_those_of_scipy():
    rng, mean = np.random.default_rng(1), np.array([2.0, -1, -2]) / 3
    for kappa in (0.0, 0.7, 60.0):
        drawn = regions.unit_vectors(rng, np.tile(mean, (20_000, 1)), np.full(20_000, kappa))
        law = stats.vonmises_fisher(mean, kappa) if kappa else stats.uniform_direction(3)
        other = law.rvs(20_000, random_state=rng)
        for axis in (mean, [0, 0, 1], [1, 0, 0]):
            assert stats.ks_2samp(drawn @ axis, other @ axis).pvalue > 1e-3
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=-1), 1)
    up = regions.unit_vectors(rng, np.tile([0.0, 0, 1], (9, 1)), np.full(9, 1e6))
    np.testing.assert_allclose(up, np.tile([0, 0, 1], (9, 1)), atol=0.02)


def test_limbs_follow_from_the_root():
    rng = np.random.default_rng(2)
    states = PoseStates(
        np.array([[[1, 0, 0], [0, 0, 1], [0, 1, 0.0]], [[0, 0, 1], [0, 0, 1], [0, 0, -1]]]),
        np.full((2, 3), 1e4),
        np.array([0.25, 0.75]),
        np.array([[0.9, 0.1], [0.3, 0.7]]),
        (1, 2),
    )
    limbs = Limbs(np.array([30.0, 0, 20]), np.array([1e-6, 1, 1e-6]), (2, 1, 1))  # the root is neither first nor last
    prior = Prior(np.ones(3), Noise(*np.ones((3, 2, 3))), limbs, states, ("a", "b", "c"))
    root = rng.normal(size=(4000, 2, 3))
    positions, heading, state = regions.limbs_from_root(rng, prior, root)
    np.testing.assert_array_equal(positions[..., 1, :], root)
    near, far = positions[..., 2, :] - root, positions[..., 0, :] - positions[..., 2, :]
    np.testing.assert_allclose(np.linalg.norm(near, axis=-1), 20, atol=0.1)
    np.testing.assert_allclose(np.linalg.norm(far, axis=-1), 30, atol=0.1)
    flat = state == 0
    off = np.arctan2(far[..., 1], far[..., 0]) - heading  # state 0: 'a' is along x from 'c', 'c' along y from 'b'
    assert np.abs(np.angle(np.exp(1j * off)))[flat].max() < 0.1 and (near[~flat][:, 2] < -19).all()
    assert abs(flat[:, 0].mean() - 0.25) < 0.03 and abs(flat[flat[:, 0], 1].mean() - 0.9) < 0.04
