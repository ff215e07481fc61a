"""What does a tree over the bodyparts find that each bodypart's map alone does not? And what do pairwise terms add?

    python launch/structure.py RUN --out=FOLDER --pairs=paw2LF_top:paw3RF_top,paw1LH_top:paw4RH_top

Predicts the run's test frames with and without --structure=tree, as they are and with synthetic occlusions: in copies
of each frame, squares of its mean brightness hide bodyparts drawn at random among the labelled ones. Real occlusions
look otherwise. A run with config.deeplabcut.pairwise_weight has two trees: 'tree', of the labels alone, and 'pairs', of
what its network says of each image. Prints the errors against the labels, of all points and of those hidden; how many
points lie nearer to the label of their partner in --pairs than to their own; and how far the trees move points whose
map has a single peak.
FOLDER/occluded.png shows the frames that the last tree changes most.
"""

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pawjax import cli
from pawjax.data import LabelledFrames
from pawjax.data.batches import make_store
from pawjax.data.symmetry import Pairs, pair_indices
from pawjax.inference import compiler
from pawjax.inference.run import Run, open_run
from pawjax.inference.stream import stream_store
from pawjax.inference.views import make_predict
from pawjax.metrics import GROSS_MISS, distances
from pawjax.models.fold import with_fields
from pawjax.ops.warp import apply_affine
from pawjax.report.gallery import points_grid

SURE, ALONE = 0.5, 0.05  # likelihoods of the best place, at least, and of the next, at most, in a map with one peak
MOVED = 1.0  # px
SHOWN = 6  # frames in the picture


def chosen(frames: LabelledFrames, rows: np.ndarray, copies: int = 1) -> LabelledFrames:
    """The frames at `rows`, each `copies` times."""
    rows = np.repeat(rows, copies)
    arrays = {name: getattr(frames, name)[rows] for name in ("images", "sizes", "keypoints", "labelled", "absent")}
    names = {name: tuple(getattr(frames, name)[i] for i in rows) for name in ("ids", "videos")}
    return dataclasses.replace(frames, **arrays, **names)


def occlude(frames: LabelledFrames, n_hidden: int, side: int, seed: int) -> tuple[LabelledFrames, np.ndarray]:
    """The frames with squares over `n_hidden` labelled points each, and which points lie under one: bool [N, K]."""
    rng, images = np.random.default_rng(seed), frames.images.copy()
    hidden = np.zeros(frames.labelled[:, 0].shape, bool)
    for i, image in enumerate(images):
        height, width = frames.sizes[i]
        image = image[:height, :width]
        grey = image.mean((0, 1)).round().astype(np.uint8)
        points, known = frames.keypoints[i, 0], frames.labelled[i, 0]
        for k in rng.permutation(np.flatnonzero(known))[:n_hidden]:
            left, top = (np.round(points[k]) - side // 2).astype(int)
            image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = grey
            inside = (points >= (left, top)) & (points <= (left + side - 1, top + side - 1))
            hidden[i] |= known & inside.all(-1)
    return dataclasses.replace(frames, images=images), hidden


def structures_of(run: str) -> dict[str, Run]:
    """The run without structure, with a tree of the labels and, if it has the head for it, with pairwise terms."""
    runs = {"none": open_run(run), "tree": open_run(run, structure="tree")}
    method = runs["tree"].method
    if method.pairwise(runs["tree"].variables) is not None:
        without = dataclasses.replace(method, net=with_fields(method.net, pairwise=False))
        runs |= {"tree": dataclasses.replace(runs["tree"], method=without), "pairs": runs["tree"]}
    return runs


def predicted(run: Run, frames: LabelledFrames) -> dict[str, np.ndarray]:
    """'keypoints' [N, K, 2], px of the frames, 'likelihood' [N, K] and 'second' [N, K, 3] of a run."""
    store = make_store(frames, np.arange(len(frames)), run.config.scale)
    predict = compiler.jit(make_predict(run.method, run.config, run.bodyparts, run.tree))
    points = stream_store(functools.partial(predict, run.variables), store, run.config.batch_size)
    keypoints = apply_affine(jnp.asarray(store.to_original), jnp.asarray(points["keypoints"]))
    return points | {"keypoints": np.asarray(keypoints)}


def swapped(keypoints: np.ndarray, frames: LabelledFrames, pairs: Pairs) -> np.ndarray:
    """Whether each point [N, K, 2] lies nearer to the label of its partner than to its own: bool [N, K]."""
    truth, known = frames.keypoints[:, 0], frames.labelled[:, 0]
    found = np.zeros(known.shape, bool)
    for pair in pairs:
        both = known[:, pair].all(-1)
        for one, other in (pair, pair[::-1]):
            own, others = (np.linalg.norm(keypoints[:, one] - truth[:, k], axis=-1) for k in (one, other))
            found[:, one] |= both & (others < own)
    return found


def rows_of(name: str, frames: LabelledFrames, points_of: dict, counted: np.ndarray, pairs: Pairs) -> list[str]:
    """A line of the table for the points of each structure, of those `counted` [N, K]."""
    lines = []
    counted = counted & frames.labelled[:, 0]
    for structure, points in points_of.items():
        d = distances(frames.keypoints, frames.labelled, points["keypoints"][:, None])[:, 0][counted]
        if not len(d):
            continue
        numbers = f"{np.median(d):.2f} | {np.percentile(d, 95):.2f} | {d.mean():.2f} | {(d > GROSS_MISS).sum()}"
        swaps = (swapped(points["keypoints"], frames, pairs) & counted).sum() if pairs else "-"
        lines.append(f"| {name} | {structure} | {len(d)} | {numbers} | {swaps} |")
    return lines


def draw(frames: LabelledFrames, points_of: dict, hidden: np.ndarray, bodyparts: Sequence[str], path: Path) -> None:
    """Draws the hidden points of each structure, of the frames where the last one changes the error most."""
    errors = [
        distances(frames.keypoints, frames.labelled, points["keypoints"][:, None])[:, 0]
        for points in points_of.values()
    ]
    gain = np.abs(np.where(hidden, errors[0] - errors[-1], 0)).max(1)
    best = np.argsort(-gain, kind="stable")[:SHOWN]
    cropped = [frames.images[i, : frames.sizes[i, 0], : frames.sizes[i, 1]] for i in best]
    images = [image for image in cropped for _ in points_of]
    keypoints = np.stack([points["keypoints"][i][None] for i in best for points in points_of.values()])
    titles = [
        f"{structure}: {errors[j][i][hidden[i]].max():.0f} px" for i in best for j, structure in enumerate(points_of)
    ]
    n = len(points_of)
    points_grid(images, keypoints, np.repeat(hidden[best, None], n, axis=0), path, titles, 2 * n, bodyparts)


def main() -> None:
    """Prints the table and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder; its data must be where they were")
    parser.add_argument("--out", type=Path, required=True, help="folder of the picture")
    parser.add_argument("--split", default="test", choices=["train", "dev", "test"])
    parser.add_argument("--pairs", default="", help="A:B,C:D; config.data.symmetric_pairs if empty")
    parser.add_argument("--copies", type=int, default=10, help="occluded copies of each frame")
    parser.add_argument("--hidden", type=int, default=3, help="bodyparts hidden in each copy")
    parser.add_argument("--side", type=int, default=40, help="of a square, px")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    runs = structures_of(flags.run)
    run = runs["tree"]
    names = [tuple(pair.split(":")) for pair in flags.pairs.split(",") if pair]
    pairs = pair_indices(names or run.config.data.symmetric_pairs, run.bodyparts)
    frames = run.frames()
    whole = chosen(frames, run.split(frames)[flags.split])
    copies, hidden = occlude(chosen(whole, np.arange(len(whole)), flags.copies), flags.hidden, flags.side, flags.seed)
    plain, occluded = ({name: predicted(one, some) for name, one in runs.items()} for some in (whole, copies))
    single = (plain["none"]["likelihood"] >= SURE) & (plain["none"]["second"][..., 2] <= ALONE)
    print("| points | structure | n | median, px | 95th percentile | mean | over 50 px | nearer to the partner |")
    print("|---|---|---|---|---|---|---|---|")
    for name, some, points_of, counted in (
        ("frames as they are", whole, plain, np.ones_like(single)),
        ("of these, maps with one peak", whole, plain, single),
        ("occluded copies", copies, occluded, np.ones_like(hidden)),
        ("of these, hidden points", copies, occluded, hidden),
        ("of these, the other points", copies, occluded, ~hidden),
    ):
        print("\n".join(rows_of(name, some, points_of, counted, pairs)))
    for name in list(runs)[1:]:
        moved = np.linalg.norm(plain[name]["keypoints"] - plain["none"]["keypoints"], axis=-1)[single]
        print(
            f"{name} moves {(moved > MOVED).sum()} of {single.sum()} points of maps with one peak by over {MOVED:g} px"
        )
    flags.out.mkdir(parents=True, exist_ok=True)
    draw(copies, occluded, hidden, run.bodyparts, flags.out / "occluded.png")


if __name__ == "__main__":
    cli.set_up_process()
    main()
