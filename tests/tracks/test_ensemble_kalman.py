"""The smoother of an ensemble: a Kalman smoother of its median, with frames of disagreement counting little."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pawjax.errors import InputError
from pawjax.tracks.ensemble_cameras import ensemble_smooth_cameras
from pawjax.tracks.ensemble_kalman import ensemble_smooth, joined
from pawjax.tracks.file import read_tracks, write_tracks
from pawjax.tracks.formats import write_filtered
from pawjax.tracks.kalman import Measurements, smooth, smoothed


def walks(rng, n_frames, n, size):
    """Paths [T, 1, n, 2] of points that swing about in a circle."""
    t = np.arange(n_frames)[:, None, None] / 30
    phase, rate = rng.uniform(0, 6, (n, 2)), rng.uniform(0.5, 1.5, (n, 2))
    return (size * (1.5 + np.sin(rate * t + phase)))[:, None]


def members_of(make_tracks, points, **arrays):
    return [make_tracks(one, origin={"video": "m1.mp4", "run": f"/runs/{m}"}, **arrays) for m, one in enumerate(points)]


def test_points_of_more_dimensions_are_smoothed_as_those_of_two():
    rng = np.random.default_rng(0)
    positions, there = rng.normal(size=(30, 4, 3)), rng.random((30, 4)) < 0.8
    noise, steps, ratios = rng.uniform(0.5, 2, (30, 4, 1, 1)), rng.uniform(0.3, 2, 30), np.array([1e-3, 0.1, 1, 10])
    means, covariances = smoothed(Measurements(positions, noise * np.eye(3), there), steps, ratios)
    for pair in ([0, 1], [2, 0]):
        flat, spreads = smoothed(Measurements(positions[..., pair], noise * np.eye(2), there), steps, ratios)
        state = [*pair, *(3 + i for i in pair)]
        np.testing.assert_allclose(means[..., state], flat, atol=1e-9)
        np.testing.assert_allclose(covariances[..., state, :][..., state], spreads, atol=1e-9)


def test_of_equal_spreads_it_is_the_kalman_smoother_of_the_mean(make_tracks):
    rng = np.random.default_rng(2)
    middle = walks(rng, 80, 3, 30) + rng.normal(size=(80, 1, 3, 2))
    apart = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[:, None, None, None]  # equal in all directions
    result, mean = ensemble_smooth(members_of(make_tracks, middle + apart)), smooth(make_tracks(middle))
    np.testing.assert_allclose(result.keypoints, mean.keypoints, rtol=1e-5)
    np.testing.assert_allclose(result.covariance, mean.covariance, rtol=1e-4, atol=1e-6)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1000), st.permutations(range(3)), st.integers(-500, 500), st.sampled_from([0.5, 2, 8]))
def test_order_place_and_unit_of_the_members_do_not_matter(make_tracks, seed, order, shift, unit):
    rng = np.random.default_rng(seed)
    points = walks(rng, 40, 2, 30) + rng.normal(size=(3, 40, 1, 2, 2))
    result = ensemble_smooth(members_of(make_tracks, points))
    other = ensemble_smooth(members_of(make_tracks, points[list(order)] * unit + shift))
    np.testing.assert_allclose(other.keypoints, result.keypoints * unit + shift, rtol=1e-4, atol=0.02)
    np.testing.assert_allclose(other.covariance, result.covariance * unit**2, rtol=1e-2, atol=1e-4)


@pytest.fixture
def ensemble(make_tracks):
    """5 networks with 1 px of noise of their own, each often lost where the paw is hard to see; and the truth."""
    rng = np.random.default_rng(3)
    truth = walks(rng, 400, 2, 60)
    points = truth + rng.normal(size=(5, *truth.shape))
    hard = rng.random(truth.shape[:3]) < 0.1
    lost = hard & (rng.random((5, *truth.shape[:3])) < 0.6)
    points[lost] += rng.normal(scale=40, size=(lost.sum(), 2))
    return members_of(make_tracks, points), truth, hard


def error_of(tracks, truth):
    return np.linalg.norm(tracks.keypoints - truth, axis=-1)


def test_frames_in_which_the_networks_disagree_count_little(ensemble, make_tracks):
    members, truth, hard = ensemble
    result, median = ensemble_smooth(members), joined(members)
    assert error_of(result, truth)[hard].mean() < 0.4 * error_of(median, truth)[hard].mean()
    assert error_of(result, truth)[~hard].mean() < 1.1 * error_of(median, truth)[~hard].mean()
    assert np.trace(result.covariance[hard].mean(0)) > 1.1 * np.trace(result.covariance[~hard].mean(0))
    assert result.disagreement[hard].mean() > 5 * result.disagreement[~hard].mean()
    assert result.origin["video"] == "m1.mp4" and result.origin["member5 run"] == "/runs/4"
    assert "ensemble Kalman smoother of 5 networks" in result.origin["filter"]


def test_the_filter_of_predict_uses_the_disagreement(ensemble, tmp_path):
    members, truth, hard = ensemble
    median = joined(members)
    unknown = dataclasses.replace(median, covariance=np.full_like(median.covariance, np.nan))
    write_tracks(tmp_path / "m1.tracks.h5", [unknown])
    result = read_tracks(write_filtered(tmp_path / "m1.tracks.h5", "ensemble_kalman"))
    assert error_of(result, truth)[hard].mean() < 0.4 * error_of(median, truth)[hard].mean()
    write_tracks(tmp_path / "m2.tracks.h5", [members[0]])
    with pytest.raises(InputError, match="m2.tracks.h5: .* needs tracks of several networks"):
        write_filtered(tmp_path / "m2.tracks.h5", "ensemble_kalman")


def test_points_that_some_members_lack(make_tracks):
    rng = np.random.default_rng(4)
    points = walks(rng, 60, 2, 30) + rng.normal(size=(3, 60, 1, 2, 2))
    points[:2, 10:20, 0, 0] = np.nan  # one member alone
    points[:, 30:33, 0, 0] = np.nan  # nobody
    points[:, :5, 0, 1] = np.nan
    likelihood = np.full((60, 1, 2), 0.8, np.float32)
    members = members_of(make_tracks, points, likelihood=likelihood)
    together, result = joined(members), ensemble_smooth(members)
    np.testing.assert_array_equal(together.keypoints[10:20, 0, 0], members[2].keypoints[10:20, 0, 0])
    assert np.isnan(together.covariance[10:20, 0, 0]).all() and np.isnan(together.disagreement[10:20, 0, 0]).all()
    assert np.isfinite(result.keypoints[:, 0, 0]).all() and np.isfinite(result.covariance[:, 0, 0]).all()
    assert np.isnan(result.keypoints[:5, 0, 1]).all() and np.isfinite(result.keypoints[5:, 0, 1]).all()
    np.testing.assert_allclose(result.likelihood, 0.8)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda one: dataclasses.replace(one, bodyparts=("a", "z")), "only one of them has 'b'"),
        (lambda one: dataclasses.replace(one, bodyparts=("b", "a")), "order differs"),
        (lambda one: one[:30], "30 frames"),
        (lambda one: dataclasses.replace(one, size=(10, 10)), "10x10 px"),
        (lambda one: dataclasses.replace(one, times=one.times + 0.01), "frame 0 at 0.0100 s"),
    ],
)
def test_members_of_another_video_are_refused(make_tracks, fault, words):
    tracks = make_tracks(np.zeros((40, 1, 2, 2)))
    with pytest.raises(InputError, match=words):
        ensemble_smooth([tracks, fault(tracks)])


def test_one_member_is_no_ensemble(make_tracks):
    with pytest.raises(InputError, match="2 or more networks"):
        ensemble_smooth([make_tracks(np.zeros((4, 1, 2, 2)))])


def rig(make_tracks, rng, n_frames=400, n=2):
    """Members [camera][member] of 3 cameras that see points in space through affine maps, and truths by camera."""
    t = np.arange(n_frames)[:, None, None] / 30
    space = 60 * np.sin(rng.uniform(0.5, 1.5, (n, 3)) * t + rng.uniform(0, 6, (n, 3)))[:, None]
    truths = {name: space @ rng.normal(size=(3, 2)) + 200 for name in ("left", "right", "top")}
    noisy = {name: truth + rng.normal(size=(4, *truth.shape)) for name, truth in truths.items()}
    return noisy, truths


def test_cameras_that_see_a_point_place_it_in_those_that_do_not(make_tracks):
    rng = np.random.default_rng(5)
    noisy, truths = rig(make_tracks, rng)
    noisy["left"][:, 100:160, 0, 0] += rng.normal(scale=50, size=(4, 60, 2))  # the networks are lost
    noisy["left"][:, 200:230, 0, 0] = np.nan
    members = {name: members_of(make_tracks, points) for name, points in noisy.items()}
    result = ensemble_smooth_cameras(members)
    alone = {name: ensemble_smooth(one) for name, one in members.items()}
    together = [error_of(result[name], truth).mean() for name, truth in truths.items()]
    assert np.mean(together) < 0.5 * np.mean([error_of(alone[name], truth).mean() for name, truth in truths.items()])
    error, before = error_of(result["left"], truths["left"])[:, 0, 0], error_of(alone["left"], truths["left"])[:, 0, 0]
    assert error[100:160].mean() < 0.2 * before[100:160].mean() and error[200:230].mean() < 0.5
    assert list(result) == list(members) and "3 cameras" in result["left"].origin["filter"]
    off = result["top"].keypoints - truths["top"]
    squared = np.einsum("taki,takij,takj->tak", off, np.linalg.inv(result["top"].covariance), off)
    assert 0.7 < squared.mean() < 3.5  # 2 where the covariances are those of the errors


def test_cameras_that_do_not_go_together_are_refused(make_tracks):
    noisy, _ = rig(make_tracks, np.random.default_rng(6), 40)
    members = {name: members_of(make_tracks, points) for name, points in noisy.items()}
    with pytest.raises(InputError, match="2 or more"):
        ensemble_smooth_cameras({"left": members["left"]})
    with pytest.raises(InputError, match="camera 'top' has 30 frames and camera 'left' 40"):
        ensemble_smooth_cameras(members | {"top": [one[:30] for one in members["top"]]})
    named = [dataclasses.replace(one, bodyparts=("a", "z")) for one in members["top"]]
    with pytest.raises(InputError, match="only one of them has 'b'"):
        ensemble_smooth_cameras(members | {"top": named})
    late = [dataclasses.replace(one, times=np.arange(40) / 20) for one in members["top"]]
    with pytest.raises(InputError, match="half a frame"):
        ensemble_smooth_cameras(members | {"top": late})
    noisy["top"][:, 5:, 0, 1] = np.nan
    with pytest.raises(InputError, match="see 'b' in 5 frames"):
        ensemble_smooth_cameras(members | {"top": members_of(make_tracks, noisy["top"])})
