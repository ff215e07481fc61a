"""How near do triangulation, Models 0, 1, 2 and GIMBAL come where the truth is known, and how much is certain?

    python -m launch.cmu_motion --motion=01_01.bvh --rig=mock_data.npz --json=FILE [--seeds=5]

A person's motion (CMU Graphics Lab), scaled to limbs of 50 mm, every fourth frame, each joint shaken by 1.5 mm as skin
is, is seen by the six cameras of Rat7M's extract (`launch/rat7m.py`). The first 60 % of the frames teach the priors;
the test is 150 frames in a row of the rest, others for each seed. Observations are synthetic: Gaussian noise of 2 to 6
px for each camera and joint; outliers at rates of Beta(0.6, 3), and of 0.35 to 0.95 in four of the six views of four
joints. Outliers last about ten frames, and cameras tend to have them together; about half of those of arms and legs lie
where the joint of the other side is, at the same time in all cameras that err, the others are off by 60 px in x and y.

Prints mean errors in mm, raw and after the best rigid motion of each frame, and the differences from one way to the
next with 95 % intervals of a paired bootstrap over seeds and spells of ten frames. Variants: other rigs, other numbers
of pose states, outliers' probabilities that are doubled or halved in the prior, and another behaviour: the priors are
taught where the person jumps forward (frames 40 to 210 of 01_01), and tested where it stands and turns round (to 310).
"""

import argparse
import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from launch.bvh import read_bvh
from launch.rat7m import MODELS, covered, fitted_to
from pawjax.files import write_json
from pawjax.pose3d.accuracy import aligned, distances
from pawjax.pose3d.parameters import Observations, Prior
from pawjax.pose3d.priors import learn_prior
from pawjax.progress import track

JOINTS = {  # and their parents
    "Hips": "Hips",
    "Spine1": "Hips",
    "Neck1": "Spine1",
    "Head": "Neck1",
    **{
        f"{side}{joint}": f"{side}{parent}" if parent in ("UpLeg", "Leg", "Foot", "Arm", "ForeArm") else parent
        for side in ("Left", "Right")
        for joint, parent in {
            "UpLeg": "Hips",
            "Leg": "UpLeg",
            "Foot": "Leg",
            "ToeBase": "Foot",
            "Arm": "Spine1",
            "ForeArm": "Arm",
            "Hand": "ForeArm",
        }.items()
    },
}
SPINE = ("Hips", "Spine1")  # upright: the heading comes from the pose states
HARD = ("LeftHand", "RightFoot", "LeftLeg", "RightForeArm")
LIMB, SKIN = 50.0, 1.5  # mm
EVERY, TAUGHT, TESTED, SPELL, STATES = 4, 0.6, 150, 10, 40
CHAIN = ("median", "model0", "model1", "model2", "gimbal")
JUMPS, TURN = slice(40, 210), slice(210, 310)  # of 01_01, by the heights of the feet and the heading of the hips


class Variant(NamedTuple):
    """The cameras, the number of pose states, a factor of the outliers' probabilities, and the frames."""

    cameras: list[int]
    states: int = STATES
    factor: float = 1.0
    taught: slice | None = None  # the first `TAUGHT` of all frames
    tested: slice | None = None  # some of the later ones


def motion_of(path: Path, middle: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Positions [T, K, 3] in mm, z up, around `middle`, and the joints' parents."""
    motion, names = read_bvh(path), list(JOINTS)
    positions = motion.positions[::EVERY, [motion.joints.index(name) for name in names]][..., [2, 0, 1]]
    parents = tuple(names.index(parent) for parent in JOINTS.values())
    limbs = np.linalg.norm(positions - positions[:, list(parents)], axis=-1)[:, 1:]
    positions = positions * LIMB / limbs.mean()
    return positions - positions.mean((0, 1)) + middle, parents


def slow(rng: np.random.Generator, frames: int, *shape: int) -> np.ndarray:
    """Standard normal values [frames, *shape] that stay alike for about `SPELL` frames."""
    stays = np.exp(-1 / SPELL)
    values = [rng.normal(size=shape)]
    for _ in range(frames - 1):
        values.append(stays * values[-1] + np.sqrt(1 - stays**2) * rng.normal(size=shape))
    return np.array(values)


def observe(
    rng: np.random.Generator, positions: np.ndarray, matrices: np.ndarray, deviation: np.ndarray | None = None
) -> np.ndarray:
    """Pixels [T, C, K, 2] of positions [T, K, 3], with noise, of `deviation` [T, C, K, 1] if given, and outliers."""
    names = list(JOINTS)
    frames, cameras, joints = len(positions), len(matrices), len(names)
    image = np.einsum("cij,tkj->tcki", matrices[..., :3], positions) + matrices[:, None, :, 3]
    image = image[..., :2] / image[..., 2:]
    rates = rng.beta(0.6, 3, (cameras, joints))
    for name in HARD:
        some = rng.permutation(cameras)[: max(2 * cameras // 3, 1)]
        rates[some, names.index(name)] = rng.uniform(0.35, 0.95, len(some))
    together = np.sqrt(0.5) * (slow(rng, frames, 1, joints) + slow(rng, frames, cameras, joints))
    ranks = together.argsort(0).argsort(0) / frames  # so that the shares are the rates
    other = {"Left": "Right", "Right": "Left"}
    side = lambda name: next((s for s in other if name.startswith(s)), "")  # noqa: E731
    partner = [names.index(name.replace(side(name), other[side(name)], 1)) if side(name) else -1 for name in names]
    swaps = (slow(rng, frames, 1, joints) > 0) & (np.array(partner) >= 0)
    off = np.where(swaps[..., None], image[:, :, partner], image + 60 * slow(rng, frames, cameras, joints, 2))
    if deviation is None:
        deviation = rng.uniform(2, 6, (cameras, joints, 1))
    return np.where((ranks < rates)[..., None], off, image) + deviation * rng.normal(size=image.shape)


def compare(
    seed: int, motion: np.ndarray, parents: tuple[int, ...], matrices: np.ndarray, variant: Variant
) -> dict[str, np.ndarray]:
    """{way: errors [2, T, K] in mm, raw and after rigid motion} of one seed, and 'covered' for GIMBAL."""
    rng, names, matrices = np.random.default_rng(seed), tuple(JOINTS), matrices[variant.cameras]
    cut = int(TAUGHT * len(motion))
    first = cut + rng.integers(len(motion) - cut - TESTED + 1)
    taught, tested = variant.taught or slice(cut), variant.tested or slice(first, first + TESTED)
    motion = motion + SKIN * rng.normal(size=motion.shape)
    seen = observe(rng, motion, matrices)
    spine = tuple(names.index(name) for name in SPINE)
    prior = learn_prior(
        jax.random.key(seed),
        Observations(seen[taught]),
        matrices,
        motion[taught],
        names,
        parents,
        spine,
        variant.states,
    )
    likely = np.clip(variant.factor * prior.noise.probability, 1e-6, 0.95)
    noise = dataclasses.replace(prior.noise, probability=likely)
    prior = dataclasses.replace(prior, noise=noise)
    gaussian = dataclasses.replace(noise, probability=np.full_like(noise.probability, 1e-6))
    less: dict[str, Prior] = {
        "model0": dataclasses.replace(prior, noise=gaussian, limbs=None, states=None),
        "model1": dataclasses.replace(prior, limbs=None, states=None),
        "model2": dataclasses.replace(prior, states=None),
        "gimbal": prior,
    }
    truth, pixels = motion[tested], seen[tested]
    found = fitted_to(pixels, matrices, less)
    results = {
        name: np.stack([distances(positions, truth), distances(aligned(positions, truth), truth)])
        for name, positions in found.items()
    }
    fit = MODELS["gimbal"].fit(Observations(pixels), matrices, prior, found["model2"])
    return results | {"covered": covered(fit.mean, fit.covariance, truth)}


def intervals(runs: list[dict[str, np.ndarray]], draws: int = 2000) -> dict[str, list[float]]:
    """{step: [mean, low, high]} of the difference in mm from each way to the next, over points that both have."""
    rng, results = np.random.default_rng(0), {}
    for before, after in zip(CHAIN[:-1], CHAIN[1:], strict=True):
        spells = [np.nanmean((run[after] - run[before])[0].reshape(-1, SPELL * len(JOINTS)), axis=1) for run in runs]
        spells = np.concatenate(spells)
        means = spells[rng.integers(len(spells), size=(draws, len(spells)))].mean(1)
        results[f"{after} - {before}"] = [float(spells.mean()), *np.percentile(means, [2.5, 97.5]).tolist()]
    return results


def main() -> None:
    """Prints the tables and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True)
    parser.add_argument("--rig", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", default="", help="those to run, divided by ';'; all if empty")
    flags = parser.parse_args()
    data = np.load(flags.rig)
    matrices, middle = data["camera_matrices"], np.nanmean(data["groundtruth_pos_3d"], (0, 1))
    motion, parents = motion_of(flags.motion, middle)
    six = list(range(len(matrices)))
    variants = {"six cameras": Variant(six)}
    variants |= {
        f"cameras {', '.join(str(c + 1) for c in rig)}": Variant(rig) for rig in ([0, 2, 3, 5], [0, 2, 5], [0, 3])
    }
    variants |= {f"{number} pose states": Variant(six, number) for number in (1, 10, 120)}
    variants |= {f"outliers' probabilities times {by:g}": Variant(six, factor=by) for by in (2.0, 0.5)}
    variants["another behaviour"] = Variant(six, taught=JUMPS, tested=TURN)
    chosen = flags.variants.split(";") if flags.variants else list(variants)
    results = {}
    for name in chosen:
        runs = [compare(seed, motion, parents, matrices, variants[name]) for seed in track(range(flags.seeds), name)]
        ways = [way for way in runs[0] if way != "covered"]
        means = {way: np.mean([np.nanmean(run[way], (1, 2)) for run in runs], 0).tolist() for way in ways}
        results[name] = {
            way: {"raw_mm": raw, "procrustes_mm": rigid, "missing": float(np.mean([np.isnan(r[way][0]) for r in runs]))}
            for way, (raw, rigid) in means.items()
        }
        steps, share = intervals(runs), float(np.mean([run["covered"] for run in runs]))
        results[name] |= {"differences_mm": steps, "covered": share}
        print(f"\n{name}: " + ", ".join(f"{way} {raw:.2f} / {rigid:.2f}" for way, (raw, rigid) in means.items()))
        print(
            "; ".join(f"{step} {m:.2f} ({low:.2f} to {high:.2f})" for step, (m, low, high) in steps.items()), flush=True
        )
        print(f"95 % regions of GIMBAL cover {share:.1%}", flush=True)
        write_json(flags.json, results | {"seeds": flags.seeds})


if __name__ == "__main__":
    main()
