"""Which frames of a video are worth labelling: those in doubt, apart in time, and different to look at."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from pawjax.tracks.moments import DISAGREEMENT, JUMP, LIKELIHOOD, SECOND, Doubt, doubts_of
from pawjax.tracks.tracks import Tracks

SPREAD = "spread"  # a further kind of doubt here: the score map's peak is wide
SPREAD_FACTOR = 2.0  # times the bodypart's median is in doubt
NEAR = 0.25  # seconds; frames that are closer show almost the same
POOL = 5  # times as many frames in doubt as are chosen are compared by what they show
MOST_ROUNDS = 50  # of k-means


@dataclasses.dataclass(frozen=True)
class Choice:
    """A frame worth labelling.

    Attributes:
      frame: its number.
      kind: the doubt that counts most: of `pawjax.tracks.moments.KINDS`, or SPREAD.
      bodypart: index.
      value: as in `pawjax.tracks.moments.Moment`; for SPREAD the standard deviation, px.
    """

    frame: int
    kind: str
    bodypart: int
    value: float

    def reason(self, bodyparts: Sequence[str]) -> str:
        """Why it was chosen, in a few words."""
        name = bodyparts[self.bodypart]
        return {
            LIKELIHOOD: f"{name}: likelihood {self.value:.2f}",
            JUMP: f"{name} jumps {self.value:.0f} px",
            SECOND: f"{name}: another place is {self.value:.2f} times as likely",
            DISAGREEMENT: f"{name}: views or networks disagree by {self.value:.0f} px",
            SPREAD: f"{name}: spread of {self.value:.0f} px",
        }[self.kind]


def rank(tracks: Tracks, pcutoff: float, n: int, labelled: Iterable[int] = ()) -> list[Choice]:
    """The frames in most doubt, the worst first, none within NEAR seconds of another.

    They are POOL * n, fewer in a short video: about half of the frames that are so far apart, but at least n.

    A frame's doubt is the sum over kinds of the mean over bodyparts of b / (1 + b), with b how bad it is: at 1 doubt
    begins, and a jump through the whole frame is hardly worse than one through half of it.

    Args:
      tracks: of one animal.
      pcutoff: a lower likelihood is in doubt.
      n: number of frames that will be chosen from them.
      labelled: frames that are labelled; others within NEAR seconds of them are left out as well.
    """
    doubts = doubts_of(tracks, pcutoff) | {SPREAD: _spread(tracks)}
    badness = np.stack([doubt.badness / (1 + doubt.badness) for doubt in doubts.values()])  # [kinds, T, K]
    order = np.argsort(-badness.mean(-1).sum(0), kind="stable")
    times, free = tracks.times, np.ones(len(tracks), bool)
    for frame in labelled:
        if frame < len(tracks):
            free &= np.abs(times - times[frame]) >= NEAR
    most = max(n, min(POOL * n, round(float(np.ptp(times)) / NEAR / 2)))
    found = []
    for frame in order.tolist():
        if len(found) < most and free[frame]:
            free &= np.abs(times - times[frame]) >= NEAR
            kind, k = np.unravel_index(badness[:, frame].argmax(), badness[:, frame].shape)
            name, doubt = list(doubts.items())[kind]
            found.append(Choice(frame, name, int(k), float(doubt.value[frame, k])))
    return found


def vary(ranked: Sequence[Choice], thumbnails: np.ndarray, n: int, seed: int) -> list[Choice]:
    """n of the ranked frames that look different, in the order of the video: the first of each of n clusters.

    Args:
      ranked: M of them, of `rank`.
      thumbnails: [M, ...], small pictures of them.
      n: number of frames; all are chosen if there are no more.
      seed: of the clusters' first centres.
    """
    clusters = cluster(thumbnails.reshape(len(ranked), -1).astype(np.float64), n, seed) if len(ranked) > n else ()
    firsts = [int(np.flatnonzero(clusters == label)[0]) for label in np.unique(clusters)] or list(range(len(ranked)))
    others = [i for i in range(len(ranked)) if i not in firsts]  # equal pictures make fewer clusters
    chosen = [ranked[i] for i in [*firsts, *others][:n]]
    return sorted(chosen, key=lambda choice: choice.frame)


def cluster(points: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The cluster, from 0 to n - 1, of each of M points [M, D], by k-means (Lloyd, 1982).

    The first centres are points far apart, drawn as by Arthur and Vassilvitskii (2007).
    """
    rng = np.random.default_rng(seed)
    centres = points[[rng.integers(len(points))]]
    while len(centres) < n:
        nearest = _squares(points, centres).min(1)
        total = nearest.sum()
        chances = nearest / total if total > 0 else np.full(len(points), 1 / len(points))
        centres = np.concatenate([centres, points[[rng.choice(len(points), p=chances)]]])
    labels = _squares(points, centres).argmin(1)
    for _ in range(MOST_ROUNDS):
        centres = np.stack(
            [points[labels == i].mean(0) if (labels == i).any() else centre for i, centre in enumerate(centres)]
        )
        before, labels = labels, _squares(points, centres).argmin(1)
        if (labels == before).all():
            break
    return labels


def _squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances [M, n]."""
    return np.stack([((points - centre) ** 2).sum(1) for centre in centres], axis=1)


def _spread(tracks: Tracks) -> Doubt:
    """The standard deviation of each point by its score map, px."""
    variance = np.trace(np.nan_to_num(tracks.covariance[:, 0]), axis1=-2, axis2=-1)
    deviation = np.sqrt(np.maximum(variance, 0))
    limit = np.maximum(SPREAD_FACTOR * np.median(deviation, axis=0), 1e-9)
    return Doubt(deviation > limit, deviation, deviation / limit)
