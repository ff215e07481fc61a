"""How fast the points of tracks move, and the moments of tracks that are in doubt."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from pawjax.tracks.tracks import Tracks

LIKELIHOOD, JUMP, SECOND, DISAGREEMENT = KINDS = ("likelihood", "jump", "second", "disagreement")
JUMP_FACTOR = 4.0  # a jump is this many times as long as 95 % of the bodypart's steps
JUMP_LEAST = 3.0  # px, added to those: labels are no more exact
SECOND_RATIO, SECOND_LEAST = 0.5, 0.1  # of the likelihoods of a second place that counts, to the first and by itself
DISAGREEMENT_FACTOR = 4.0  # networks disagree by this many times the bodypart's median disagreement, and JUMP_LEAST
PAUSE = 0.1  # seconds; moments of one kind and bodypart that are closer are one


@dataclasses.dataclass(frozen=True)
class Moment:
    """Some frames in which one bodypart is in doubt.

    Attributes:
      kind: of KINDS: the likelihood is low, a point jumps that the network is sure of, a second place is as likely, or
        the networks of an ensemble (or the views of one) disagree.
      first, worst, last: frames.
      bodypart: index.
      value: at the worst frame: the likelihood; the jump, px; the likelihood of the second place over the first's; or
        the disagreement, px.
    """

    kind: str
    first: int
    worst: int
    last: int
    bodypart: int
    value: float


def steps_of(tracks: Tracks) -> np.ndarray:
    """float32 [T, A, K]: distance of each point from itself in the frame before, px; NaN in the first frame."""
    steps = np.full(tracks.likelihood.shape, np.nan, np.float32)
    steps[1:] = np.hypot(*np.moveaxis(np.diff(tracks.keypoints, axis=0), -1, 0))
    return steps


def speeds_of(tracks: Tracks) -> np.ndarray:
    """float32 [T, A, K]: speed since the frame before, px/s; NaN in the first frame and where time does not advance."""
    seconds = np.diff(tracks.times, prepend=np.nan)
    seconds = np.where(seconds > 0, seconds, np.nan).astype(np.float32)
    return steps_of(tracks) / seconds[:, None, None]


class Doubt(NamedTuple):
    """One kind of doubt in every frame: arrays [T, K].

    Attributes:
      where: bool, whether the bodypart is in doubt.
      value: what is told, see `Moment`.
      badness: how bad it is; 1 is the limit of doubt, about.
    """

    where: np.ndarray
    value: np.ndarray
    badness: np.ndarray


def doubts_of(tracks: Tracks, pcutoff: float) -> dict[str, Doubt]:
    """Every kind of doubt about the tracks of one animal; a lower likelihood than `pcutoff` is in doubt."""
    likelihood = np.nan_to_num(tracks.likelihood[:, 0])
    sure = likelihood >= pcutoff
    steps = np.nan_to_num(steps_of(tracks)[:, 0])
    sure_steps = np.where(sure & np.roll(sure, 1, axis=0), steps, 0)
    longest = JUMP_FACTOR * (JUMP_LEAST + np.percentile(sure_steps, 95, axis=0))
    second = np.nan_to_num(tracks.second[:, 0, :, 2])
    ratio = second / np.maximum(likelihood, 1e-9)
    apart = np.nan_to_num(tracks.disagreement[:, 0])
    most = JUMP_LEAST + DISAGREEMENT_FACTOR * np.median(apart, axis=0)
    return {
        LIKELIHOOD: Doubt(~sure, likelihood, (1 - likelihood) / max(1 - pcutoff, 1e-9)),
        JUMP: Doubt(sure_steps > longest, sure_steps, sure_steps / longest),
        SECOND: Doubt((ratio >= SECOND_RATIO) & (second >= SECOND_LEAST), ratio, ratio / SECOND_RATIO),
        DISAGREEMENT: Doubt(apart > most, apart, apart / most),
    }


def find_moments(tracks: Tracks, pcutoff: float, most: int) -> list[Moment]:
    """The moments in doubt of one animal, at most `most` of each kind: the worst of each kind, the next worst, ...

    Args:
      tracks: of one animal.
      pcutoff: a lower likelihood is in doubt.
      most: moments of each kind.
    """
    pause = round(PAUSE * tracks.frames_per_second)
    found = [_worst(kind, *doubt, pause, most) for kind, doubt in doubts_of(tracks, pcutoff).items()]
    return [moment for rank in itertools.zip_longest(*found) for moment in rank if moment]


def _worst(
    kind: str, where: np.ndarray, values: np.ndarray, badness: np.ndarray, pause: int, most: int
) -> list[Moment]:
    moments = []
    for k in range(where.shape[1]):
        frames = np.flatnonzero(where[:, k])
        breaks = np.flatnonzero(np.diff(frames) > pause + 1) + 1
        for stretch in np.split(frames, breaks) if len(frames) else []:
            worst = stretch[badness[stretch, k].argmax()]
            moment = Moment(kind, int(stretch[0]), int(worst), int(stretch[-1]), k, float(values[worst, k]))
            moments.append((-badness[worst, k], moment.worst, k, moment))
    return [moment for *_, moment in sorted(moments, key=lambda item: item[:3])[:most]]
