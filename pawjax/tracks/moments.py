"""How fast the points of tracks move, and the moments of tracks that are in doubt."""

import dataclasses
import itertools

import numpy as np

from pawjax.tracks.tracks import Tracks

LIKELIHOOD, JUMP, SECOND = KINDS = ("likelihood", "jump", "second")
JUMP_FACTOR = 4.0  # a jump is this many times as long as 95 % of the bodypart's steps
JUMP_LEAST = 3.0  # px, added to those: labels are no more exact
SECOND_RATIO, SECOND_LEAST = 0.5, 0.1  # of the likelihoods of a second place that counts, to the first and by itself
PAUSE = 0.1  # seconds; moments of one kind and bodypart that are closer are one


@dataclasses.dataclass(frozen=True)
class Moment:
    """Some frames in which one bodypart is in doubt.

    Attributes:
      kind: of KINDS: the likelihood is low, a point jumps that the network is sure of, or a second place is as likely.
      first, worst, last: frames.
      bodypart: index.
      value: at the worst frame: the likelihood; the jump, px; or the likelihood of the second place over the first's.
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


def find_moments(tracks: Tracks, pcutoff: float, most: int) -> list[Moment]:
    """The moments in doubt of one animal, at most `most` of each kind: the worst of each kind, the next worst, ...

    Args:
      tracks: of one animal.
      pcutoff: a lower likelihood is in doubt.
      most: moments of each kind.
    """
    likelihood = np.nan_to_num(tracks.likelihood[:, 0])
    sure = likelihood >= pcutoff
    steps = np.nan_to_num(steps_of(tracks)[:, 0])
    sure_steps = np.where(sure & np.roll(sure, 1, axis=0), steps, 0)
    usual = JUMP_LEAST + np.percentile(sure_steps, 95, axis=0)
    second = np.nan_to_num(tracks.second[:, 0, :, 2])
    ratio = second / np.maximum(likelihood, 1e-9)
    doubts = {  # kind: where, the value that is told, and how bad it is
        LIKELIHOOD: (~sure, likelihood, 1 - likelihood),
        JUMP: (sure_steps > JUMP_FACTOR * usual, sure_steps, sure_steps / usual),
        SECOND: ((ratio >= SECOND_RATIO) & (second >= SECOND_LEAST), ratio, ratio),
    }
    pause = round(PAUSE * tracks.frames_per_second)
    found = [_worst(kind, *doubt, pause, most) for kind, doubt in doubts.items()]
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
