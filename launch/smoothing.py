"""What does each smoother of 2D tracks gain, where the truth is known?

    python launch/smoothing.py [--seeds=5] [--json=FILE]

The four feet of the synthetic mouse walk, trot and groom for 20 s at 150 frames/s, in frames of 800x600. No network is
trained: 5 are imitated. Each has 1.5 px of noise of its own and 1 px that all share; in bouts of about 8 frames, 5 % of
all, each takes the other side's foot with probability 1/2, and has the right place as its next best; in others, 2 %,
the foot is hidden and each guesses with 30 px of noise. Likelihoods are lower in bouts, but tell little of which place
is wrong. Prints, for each way to make one track, errors in px, means over seeds; --json has every seed's.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pawjax.data.paw_on_ball.look import session_look
from pawjax.data.paw_on_ball.motion import session_motion
from pawjax.tracks import Tracks
from pawjax.tracks.ensemble_kalman import ensemble_smooth, joined
from pawjax.tracks.filters import median
from pawjax.tracks.kalman import smooth
from pawjax.tracks.viterbi import choose

N_FRAMES, RATE, N_NETWORKS, SIZE = 3000, 150.0, 5, (600, 800)
OWN, SHARED, BLIND = 1.5, 1.0, 30.0  # standard deviations of noise, px
SWAPPED, HIDDEN, BOUT = 0.05, 0.02, 8  # shares of frames, and the mean length of a bout in frames
LOST = 20.0  # px: a point farther off counts as lost
LIMBS = ("left_fore", "right_fore", "left_hind", "right_hind")
OTHER_SIDE = [1, 0, 3, 2]

WAYS: dict[str, Callable[[list[Tracks]], Tracks]] = {
    "one network": lambda members: members[0],
    "one network, temporal median": lambda members: median(members[0]),
    "one network, Kalman": lambda members: smooth(members[0]),
    "one network, Viterbi": lambda members: choose(members[0]),
    "one network, Viterbi and Kalman": lambda members: smooth(choose(members[0])),
    "mean of networks": lambda members: mean_of(members),
    "mean of networks, temporal median": lambda members: median(mean_of(members)),
    "mean of networks, Kalman": lambda members: smooth(mean_of(members)),
    "median of networks": lambda members: joined(members),
    "ensemble Kalman": lambda members: ensemble_smooth(members),
    "ensemble Kalman of Viterbi": lambda members: ensemble_smooth([choose(member) for member in members]),
}


class Scene(NamedTuple):
    """The networks' tracks, and the true points [T, 1, 4, 2], px."""

    members: list[Tracks]
    truth: np.ndarray


def scene(seed: int) -> Scene:
    """The feet of one session of the synthetic mouse, and what imitated networks make of them."""
    rng = np.random.default_rng(seed)
    motion, view = session_motion(seed, 0), session_look(seed, 0, *SIZE).view
    times = np.arange(N_FRAMES) / RATE
    feet = [motion.at(motion.feet[limb], times)[:, :2] for limb in LIMBS]
    truth = np.stack([[view.project(point) for point in foot] for foot in feet], axis=1)[:, None]
    shared = truth + rng.normal(scale=SHARED, size=truth.shape)
    swapped, hidden = bouts(rng, SWAPPED), bouts(rng, HIDDEN)
    return Scene([network(rng, shared, swapped, hidden, times, m) for m in range(N_NETWORKS)], truth)


def bouts(rng: np.random.Generator, share: float) -> np.ndarray:
    """bool [T, 1, 4]: runs of frames, BOUT long in the mean, which are `share` of all."""
    enter, leave = share / (1 - share) / BOUT, 1 / BOUT
    inside = np.zeros((N_FRAMES, 1, len(LIMBS)), bool)
    for t in range(1, N_FRAMES):
        inside[t] = rng.random(inside[t].shape) < np.where(inside[t - 1], 1 - leave, enter)
    return inside


def network(
    rng: np.random.Generator, shared: np.ndarray, swapped: np.ndarray, hidden: np.ndarray, times: np.ndarray, m: int
) -> Tracks:
    """The tracks of one imitated network."""
    shape = swapped.shape
    here = shared + rng.normal(scale=OWN, size=shared.shape)
    here += hidden[..., None] * rng.normal(scale=BLIND, size=shared.shape)
    there = shared[:, :, OTHER_SIDE] + rng.normal(scale=OWN, size=shared.shape)
    wrong = swapped & (rng.random(shape) < 0.5)
    first = np.where(wrong[..., None], there, here)
    next_best = np.where(wrong[..., None], here, there)
    doubtful = swapped | hidden
    likelihood = np.where(doubtful, rng.uniform(0.3, 0.8, shape), rng.uniform(0.8, 1, shape))
    other = likelihood * np.where(doubtful, rng.uniform(0.3, 1, shape), rng.uniform(0, 0.2, shape))
    return Tracks(
        keypoints=first.astype(np.float32),
        likelihood=likelihood.astype(np.float32),
        covariance=np.full((*shape, 2, 2), np.nan, np.float32),
        second=np.concatenate([next_best, other[..., None]], axis=-1).astype(np.float32),
        times=times,
        bodyparts=LIMBS,
        size=SIZE,
        frames_per_second=RATE,
        origin={"video": "synthetic", "run": f"network{m}"},
    )


def mean_of(members: list[Tracks]) -> Tracks:
    """The mean of the members, without their spread."""
    points = np.mean([member.keypoints for member in members], axis=0)
    likelihood = np.mean([member.likelihood for member in members], axis=0)
    return Tracks(**{**vars(members[0]), "keypoints": points, "likelihood": likelihood})


def numbers(points: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Errors of points [T, 1, K, 2]: their mean, median, root mean square, px, and the share over LOST."""
    error = np.linalg.norm(points - truth, axis=-1)
    return {
        "mean_px": float(error.mean()),
        "median_px": float(np.median(error)),
        "rmse_px": float(np.sqrt((error**2).mean())),
        "lost": float((error > LOST).mean()),
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(1, arguments.seeds + 1):
        members, truth = scene(seed)
        for way, make in WAYS.items():
            start = time.perf_counter()
            tracks = make(members)
            seconds = time.perf_counter() - start
            found[way].append(numbers(tracks.keypoints, truth) | {"seconds": seconds})
    print("| track | mean px | median px | RMSE px | over 20 px | s |\n|---|---|---|---|---|---|")
    for way, rows in found.items():
        mean = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
        print(
            f"| {way} | {mean['mean_px']:.2f} | {mean['median_px']:.2f} | {mean['rmse_px']:.2f} | "
            f"{100 * mean['lost']:.2f} % | {mean['seconds']:.2f} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
