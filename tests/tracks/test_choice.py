"""Frames worth labelling: the doubtful, not those close to labelled ones, and different to look at."""

import numpy as np
import pytest

from pawjax.tracks.choice import NEAR, POOL, Choice, cluster, rank, vary

T = 400


@pytest.fixture
def tracks(make_tracks):
    """Two bodyparts that rest for 16 s."""
    return make_tracks(np.tile(np.array([[[5.0, 6], [20, 30]]]), (T, 1, 1, 1)))


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("likelihood", "b: likelihood 0.10"),
        ("jump", "b jumps 40 px"),
        ("second", "b: another place is 0.90 times as likely"),
        ("disagreement", "b: views or networks disagree by 25 px"),
        ("spread", "b: spread of 5 px"),
    ],
)
def test_every_kind_of_doubt_counts_and_is_told(tracks, kind, reason):
    tracks.covariance[:] = np.eye(2) / 8
    if kind == "likelihood":
        tracks.likelihood[100, 0, 1] = 0.1
    elif kind == "jump":
        tracks.keypoints[100:, 0, 1] += [24, 32]
    elif kind == "second":
        tracks.second[100, 0, 1] = 1, 1, 0.9
    elif kind == "disagreement":
        tracks.disagreement[:] = 1
        tracks.disagreement[100, 0, 1] = 25
    else:
        tracks.covariance[100, 0, 1] = [[16, 0], [0, 9]]
    first = rank(tracks, 0.6, 3)[0]
    assert (first.frame, first.bodypart, first.kind) == (100, 1, kind) and first.reason(tracks.bodyparts) == reason


def test_frames_are_apart_in_time_from_each_other_and_from_labelled_ones(tracks):
    tracks.likelihood[:, 0, 0] = np.random.default_rng(0).uniform(0, 1, T)
    ranked = rank(tracks, 0.6, 4, labelled=[50, 51, 10_000])
    frames = np.array([choice.frame for choice in ranked])
    assert len(frames) == POOL * 4
    assert np.diff(np.sort(frames)).min() >= NEAR * 25 and np.abs(frames - 50).min() >= NEAR * 25
    worst = tracks.likelihood[frames, 0, 0]
    assert (np.diff(worst) >= 0).all() and worst[0] == np.delete(tracks.likelihood[:, 0, 0], range(44, 58)).min()
    assert rank(tracks, 0.6, 4, labelled=range(T)) == []
    assert len(rank(tracks, 0.6, 20)) == 32  # half of 16 s / NEAR


def test_missing_points_are_in_doubt(tracks):
    tracks.likelihood[100] = np.nan
    tracks.keypoints[100] = np.nan
    assert rank(tracks, 0.6, 1)[0].frame == 100


def test_the_worst_frame_of_each_look_is_chosen():
    looks = np.repeat([0, 80, 160, 240], 5)[:, None, None] + np.random.default_rng(1).integers(0, 9, (20, 6, 8))
    order = np.random.default_rng(2).permutation(20)
    ranked = [Choice(int(frame), "likelihood", 0, 0.1) for frame in order]
    chosen = vary(ranked, looks[order], 4, seed=0)
    expected = sorted(
        min((place, frame) for place, frame in enumerate(order) if frame // 5 == look)[1] for look in range(4)
    )
    assert [choice.frame for choice in chosen] == expected
    assert all(vary(ranked, looks[order], 4, seed=0) == chosen for _ in range(3))


def test_equal_pictures_still_give_as_many_frames_as_asked():
    ranked = [Choice(frame, "jump", 0, 9.0) for frame in (7, 3, 5, 1)]
    assert [choice.frame for choice in vary(ranked, np.zeros((4, 3, 3)), 3, seed=0)] == [3, 5, 7]
    assert [choice.frame for choice in vary(ranked, np.zeros((4, 3, 3)), 9, seed=0)] == [1, 3, 5, 7]


def test_clusters_are_no_worse_than_scipys():
    from scipy.cluster.vq import kmeans2

    points = np.random.default_rng(3).normal(size=(90, 4)) + 6 * np.random.default_rng(4).integers(0, 2, (90, 4))

    def scatter(labels):
        return sum(((points[labels == i] - points[labels == i].mean(0)) ** 2).sum() for i in np.unique(labels))

    theirs = min(scatter(kmeans2(points, 6, minit="++", rng=seed)[1]) for seed in range(5))
    assert min(scatter(cluster(points, 6, seed)) for seed in range(5)) <= 1.05 * theirs
