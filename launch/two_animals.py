"""Does a run that was trained on frames of one animal find two in a frame, without mixing them?

    python -m launch.two_animals RUN --out=FOLDER [--way=darker|beside --overlap=PX]

Composes pairs of the run's test frames, whose labels are known, to frames of two animals, and predicts them as
`pawjax.load(RUN, animals=2)` does. With --way=darker the pixels are the darker ones of both frames: right for a dark
animal before a bright floor, where pairs whose animals overlap are left out; every other pair has the second frame
turned by 180 degrees, so that its animal is elsewhere. --way=beside puts the frames side by side, overlapping by
--overlap px, where the pixels are the brighter ones: two rigs whose animals do not walk. The frames are synthetic: real
animals touch, climb and hide each other.

Prints, for pairs by the least distance between labels of the two: how many skeletons are free of a foreign point, i.e.
have each point nearer to the label of one and the same animal than to the other's; how many labels are found within
--near px by the skeleton of their animal, after the best assignment of skeletons to animals; and the error of these.
FOLDER/two_animals.png shows frames that went wrong, and others from the closest to the farthest animals.
"""

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from pawjax.data import LabelledFrames
from pawjax.inference.run import open_run
from pawjax.inference.tracker import load
from pawjax.report import style
from pawjax.structure import Tree

BODY = 40  # grey levels that an animal is darker than the floor, which is the median of all frames
OVERLAP = 100  # pixels of both bodies, at most, for animals that do not overlap
BATCH = 8
SHOWN, COLUMNS = 8, 4  # frames in the picture


class Pair(NamedTuple):
    """A composed frame uint8 [H, W, C], the labels [2, K, 2] (x, y) px of its animals, and which are known [2, K]."""

    image: np.ndarray
    points: np.ndarray
    known: np.ndarray

    @property
    def apart(self) -> float:
        """Least distance between labels of the two animals, px."""
        first, second = (points[known] for points, known in zip(self.points, self.known, strict=True))
        return float(np.linalg.norm(first[:, None] - second, axis=-1).min())


def darker(frames: LabelledFrames, rows: np.ndarray) -> list[Pair]:
    """Pairs of frames of one size by their darker pixels, every other one with the second turned; none overlap."""
    floor, pairs = np.median(frames.images, axis=0), []
    for number, (i, j) in enumerate(itertools.combinations(rows, 2)):
        images, points = [frames.images[i], frames.images[j]], [frames.keypoints[i, 0], frames.keypoints[j, 0]]
        bodies = [(floor - image > BODY).all(-1) for image in images]
        if number % 2:
            height, width = images[1].shape[:2]
            images[1], bodies[1] = images[1][::-1, ::-1], bodies[1][::-1, ::-1]
            points[1] = (width - 1, height - 1) - points[1]
        if (bodies[0] & bodies[1]).sum() <= OVERLAP:
            known = np.stack([frames.labelled[i, 0], frames.labelled[j, 0]])
            pairs.append(Pair(np.minimum(*images), np.stack(points).astype(np.float32), known))
    return pairs


def beside(frames: LabelledFrames, rows: np.ndarray, overlap: int) -> list[Pair]:
    """Pairs of frames side by side; where they overlap, the brighter pixels."""
    pairs, (height, width, channels) = [], frames.images.shape[1:]
    for i, j in itertools.combinations(rows, 2):
        wide = np.zeros((height, 2 * width - overlap, channels), np.uint8)
        wide[:, :width] = frames.images[i]
        wide[:, width - overlap :] = np.maximum(wide[:, width - overlap :], frames.images[j])
        points = np.stack([frames.keypoints[i, 0], frames.keypoints[j, 0] + (width - overlap, 0)])
        known = np.stack([frames.labelled[i, 0], frames.labelled[j, 0]])
        if known.any(-1).all():
            pairs.append(Pair(wide, points.astype(np.float32), known))
    return pairs


class Found(NamedTuple):
    """What the two skeletons of a frame are worth.

    is_pure, whether no skeleton mixes the animals; errors [2, K], px, of the labels by the skeleton of their animal,
    infinite where it lacks the point, NaN where there is no label.
    """

    is_pure: bool
    errors: np.ndarray


def judge(pair: Pair, keypoints: np.ndarray, near: float) -> Found:
    """Compares the skeletons [2, K, 2] of a frame with its labels.

    A point is of the animal whose label is the nearest; if only one of the animals has one, only within `near` px.
    """
    away = np.linalg.norm(keypoints[:, None] - pair.points, axis=-1)  # [skeleton, animal, K]
    away = np.where(np.isnan(away) | ~pair.known, np.inf, away)
    owner, least = away.argmin(1), away.min(1)
    told = np.isfinite(least) & (pair.known.all(0) | (least <= near))  # else the other animal's may be unlabelled
    is_pure = all(len(set(owner[s, told[s]])) <= 1 for s in range(2))
    costs = np.where(pair.known, np.minimum(away, np.hypot(*pair.image.shape[:2])), 0).sum(-1)
    skeletons, animals = linear_sum_assignment(costs)
    errors = np.where(pair.known, away[skeletons[np.argsort(animals)], np.arange(2)], np.nan)
    return Found(is_pure, errors)


def row_of(name: str, found: list[Found], near: float) -> str:
    """A line of the table."""
    errors = np.concatenate([one.errors[~np.isnan(one.errors)] for one in found])
    close = errors[errors <= near]
    pure = np.mean([one.is_pure for one in found])
    shares = f"{100 * pure:.1f} % | {100 * len(close) / len(errors):.1f} %"
    return f"| {name} | {len(found)} | {shares} | {np.median(close):.2f} | {close.mean():.2f} |"


def words_of(errors: np.ndarray, near: float) -> str:
    """What a picture says of the errors of a frame."""
    n_missed = int((errors > near).sum())
    return f"labels missed: {n_missed}" if n_missed else f"errors up to {np.nanmax(errors):.1f} px"


def draw(images: np.ndarray, keypoints: np.ndarray, titles: list[str], tree: Tree, path: Path) -> None:
    """Draws images [N, H, W, C] with the skeletons [N, 2, K, 2] found in them, a colour for each."""
    rows = -(-len(images) // COLUMNS)
    tile = 3.2
    height, width = images.shape[1:3]
    with style.picture(path, COLUMNS * tile, rows * (tile * height / width + 0.25)) as figure:
        figure.get_layout_engine().set(wspace=0.01, hspace=0.01, w_pad=0.02, h_pad=0.02)
        for axes, image, skeletons, title in itertools.zip_longest(
            figure.subplots(rows, COLUMNS, squeeze=False).ravel(), images, keypoints, titles
        ):
            axes.set_axis_off()
            if image is None:
                continue
            axes.imshow(np.repeat(image, 3, -1) if image.shape[-1] == 1 else image)
            axes.set_title(title, fontsize=8, pad=3)
            for points, color in zip(skeletons, (style.ORANGE, style.BLUE), strict=True):
                for edge in zip(tree.parents, tree.children, strict=True):
                    axes.plot(*points[list(edge)].T, color=color, lw=1.2)
                axes.plot(*points.T, "o", ms=3, mfc=color, mec="white", mew=0.4)


def main() -> None:
    """Prints the table and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder; its data must be where they were")
    parser.add_argument("--out", type=Path, required=True, help="folder of the picture")
    parser.add_argument("--split", default="test", choices=["train", "dev", "test"])
    parser.add_argument("--way", default="darker", choices=["darker", "beside"])
    parser.add_argument("--overlap", type=int, default=0, help="of frames side by side, px")
    parser.add_argument("--most", type=int, default=240, help="frames")
    parser.add_argument("--near", type=float, default=20.0, help="px")
    flags = parser.parse_args()
    run = open_run(flags.run)
    frames, tracker = run.frames(), load(flags.run, animals=2)
    rows = run.split(frames)[flags.split]
    pairs = darker(frames, rows) if flags.way == "darker" else beside(frames, rows, flags.overlap)
    order = np.random.default_rng(0).permutation(len(pairs))
    pairs = [pairs[i] for i in order[: min(flags.most, len(pairs)) // BATCH * BATCH]]  # whole batches: compiled once
    images = np.stack([pair.image for pair in pairs])
    keypoints = np.concatenate([tracker(batch)[0] for batch in np.split(images, len(images) // BATCH)])
    found = [judge(pair, points, flags.near) for pair, points in zip(pairs, keypoints, strict=True)]
    print(f"| labels of the two | frames | no mixed skeleton | within {flags.near:g} px | their median, px | mean |")
    print("|---|---|---|---|---|---|")
    apart, groups = np.array([pair.apart for pair in pairs]), ((0, 50), (50, 100), (100, np.inf))
    print(row_of("all", found, flags.near))
    for low, high in groups:
        here = np.flatnonzero((apart >= low) & (apart < high))
        if len(here):
            name = f"{low} to {high} px apart" if np.isfinite(high) else f"{low} px apart and more"
            print(row_of(name, [found[i] for i in here], flags.near))
    wrong = [i for i, one in enumerate(found) if not one.is_pure][: SHOWN // 2]
    right = sorted((i for i, one in enumerate(found) if one.is_pure), key=lambda i: apart[i])  # the closest first
    shown = [*wrong, *right[:: max(1, len(right) // (SHOWN - len(wrong)))]][:SHOWN]
    titles = [f"{'' if found[i].is_pure else 'mixed; '}{words_of(found[i].errors, flags.near)}" for i in shown]
    flags.out.mkdir(parents=True, exist_ok=True)
    draw(images[shown], keypoints[shown], titles, run.find_tree_of_animals(2), flags.out / "two_animals.png")


if __name__ == "__main__":
    main()
