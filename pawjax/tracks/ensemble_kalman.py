"""Ensemble Kalman smoothing: one track of the tracks that several networks made of the same video, after Biderman et
al. (2024), Nature Methods 21, 1316.

In each frame the members' median measures a point that `pawjax.tracks.kalman` smooths, with the members' spread as the
covariance: where they disagree, the frame counts little, and the frames around it tell where the point is. To the
spread of a few members, itself uncertain, the bodypart's median variance over all frames is added, so that members that
agree by chance do not count without limit. A point that one member alone has counts as one of typical spread; every
measurement counts by its likelihood as well.

Two things differ from the paper. The point moves at constant velocity instead of walking at random, which is far closer
to how a paw moves at 150 frames/s. And not only the smoothness but also the scale of the covariances is fitted to the
track, so that errors that all members share do not make them too small.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from pawjax.errors import InputError
from pawjax.tracks.filters import with_points
from pawjax.tracks.kalman import smooth
from pawjax.tracks.tracks import Tracks

NAME = "ensemble Kalman smoother"
TIME = 1e-4  # seconds; times of the same frame are no farther apart


def ensemble_smooth(members: Sequence[Tracks]) -> Tracks:
    """The most probable positions given the tracks of M networks, with their covariances.

    Likelihoods are the means of the members'. Gaps, and the ends, are treated as by `pawjax.tracks.kalman.smooth`.

    Args:
      members: 2 or more tracks of one video, each by another network.

    Raises InputError for one member alone, for members of other bodyparts, frames or times, and for times that go back.
    """
    return smooth(joined(members), f"{NAME} of {len(members)} networks")


def smooth_joined(tracks: Tracks) -> Tracks:
    """As `ensemble_smooth`, of tracks that an ensemble made: their disagreement is the spread, equal in x and y.

    Raises InputError for tracks without disagreement, which one view of one network made, and for times that go back.
    """
    apart = tracks.disagreement.astype(np.float64)
    if len(tracks) and not np.isfinite(apart).any():
        raise InputError(
            "the ensemble Kalman smoother needs tracks of several networks, whose disagreement weighs the frames, and "
            "these were made by one: predict with --workdir=RUN,RUN,RUN, or use the filter 'kalman'"
        )
    spread = apart[..., None, None] ** 2 / 2 * np.eye(2)
    return smooth(dataclasses.replace(tracks, covariance=_floored(spread)), NAME)


def joined(members: Sequence[Tracks]) -> Tracks:
    """The members' median in every frame and its covariance by their spread, not smoothed over time.

    A point's covariance is NaN where one member alone has it, its likelihood the mean over all members. Raises
    InputError as `ensemble_smooth` does.
    """
    check_members(members)
    first = members[0]
    points = np.stack([np.where(_there(member), member.keypoints, np.nan) for member in members]).astype(np.float64)
    present = np.isfinite(points[..., 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # points that no member has
        middle = np.nanmedian(points, axis=0)
    apart = np.where(present[..., None], points - middle, 0)
    count = present.sum(0)
    squares = np.einsum("mtaki,mtakj->takij", apart, apart)
    spread = squares / np.where(count > 1, count - 1, np.nan)[..., None, None]
    disagreement = np.sqrt((apart**2).sum((0, -1)) / np.where(count > 1, count, np.nan))
    likelihood = np.mean([np.nan_to_num(member.likelihood) for member in members], axis=0)
    result = dataclasses.replace(
        first,
        likelihood=likelihood.astype(np.float32),
        covariance=_floored(spread),
        second=np.full_like(first.second, np.nan),
        disagreement=disagreement.astype(np.float32),
        origin=_origin(members),
    )
    return with_points(result, middle, f"median of {len(members)} networks")


def check_members(members: Sequence[Tracks]) -> None:
    """Raises InputError, one sentence, unless there are 2 or more members of the same bodyparts, frames and times."""
    if len(members) < 2:
        raise InputError("an ensemble needs the tracks of 2 or more networks: one alone has no spread")
    first = members[0]
    for number, member in enumerate(members[1:], 2):
        if member.bodyparts != first.bodyparts:
            odd = sorted(set(member.bodyparts) ^ set(first.bodyparts))
            why = f"only one of them has '{odd[0]}'" if odd else "the order differs"
            raise InputError(f"member {number} of the ensemble has other bodyparts than member 1: {why}")
        if member.likelihood.shape != first.likelihood.shape:
            (t, a, _), (u, b, _) = member.likelihood.shape, first.likelihood.shape
            raise InputError(
                f"member {number} of the ensemble has {t} frames of {a} animals, member 1 has {u} of {b}: give "
                "tracks of the same video"
            )
        if member.size != first.size:
            raise InputError(
                f"member {number} of the ensemble has frames of {member.size[1]}x{member.size[0]} px, member 1 of "
                f"{first.size[1]}x{first.size[0]}: give tracks of the same video"
            )
        late = np.flatnonzero(~(np.abs(member.times - first.times) <= TIME))
        if len(late):
            raise InputError(
                f"member {number} of the ensemble has frame {late[0]} at {member.times[late[0]]:.4f} s, member 1 at "
                f"{first.times[late[0]]:.4f} s: give tracks of the same video"
            )


def _there(tracks: Tracks) -> np.ndarray:
    """bool [T, A, K, 1]: the member has the point."""
    return (np.isfinite(tracks.keypoints).all(-1) & (tracks.likelihood > 0))[..., None]


def _floored(spread: np.ndarray) -> np.ndarray:
    """The spreads [T, A, K, 2, 2] and the median over frames of their mean variance in x and y; float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bodyparts that no two members ever have
        typical = np.nanmedian(np.trace(spread, axis1=-2, axis2=-1) / 2, axis=0)
    return (spread + typical[..., None, None] * np.eye(2)).astype(np.float32)


def _origin(members: Sequence[Tracks]) -> dict[str, str]:
    """What all members share, and 'member1 run' and so on of what they do not."""
    origins = [member.origin for member in members]
    shared = {name: value for name, value in origins[0].items() if all(one.get(name) == value for one in origins)}
    own = {
        f"member{number} {name}": value
        for number, one in enumerate(origins, 1)
        for name, value in one.items()
        if name not in shared
    }
    return shared | own
