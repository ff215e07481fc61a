"""How much of the truth do the 95 % regions of the 3D models hold where the data are drawn from the models?

    python -m launch.regions --data=FOLDER --json=FILE [--seeds=5] [--frames=100] [--sweeps=300]

FOLDER holds the extract of Rat7M; cameras and priors are those of `launch/rat7m.py`. Each seed draws positions and
observations. Bodyparts of Models 0 and 1 walk at random. With limbs as well the prior is a product of densities that
cannot be drawn forward; so for Model 2 and GIMBAL the root alone walks, in prior and data, and states, headings,
directions and limbs are drawn in turn. Regions are those of the curvature at the most probable positions, found from
the median over pairs of cameras, and those of four chains of draws that burn in for as many sweeps as they keep.
"""

import argparse
import dataclasses
from pathlib import Path

import jax
import numpy as np

from launch.rat7m import MODELS, cameras_of, covered, priors
from pawjax.files import write_json
from pawjax.pose3d import gibbs
from pawjax.pose3d.accuracy import distances
from pawjax.pose3d.parameters import Observations, Prior
from pawjax.pose3d.triangulation import triangulate
from pawjax.progress import track

FREE = 1e9  # mm^2, step variance of a bodypart that does not walk


def unit_vectors(rng: np.random.Generator, mean: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    """Draws [..., 3] of von Mises-Fisher distributions with means [..., 3] and concentrations [...]."""
    uniform, angle = rng.random(kappa.shape), rng.uniform(0, 2 * np.pi, kappa.shape)
    some = np.maximum(kappa, 1e-9)
    along = np.clip(1 + np.log(uniform + (1 - uniform) * np.exp(-2 * some)) / some, -1, 1)
    across = np.sqrt(1 - along**2)
    drawn = np.stack([across * np.cos(angle), across * np.sin(angle), along], -1)  # around z
    mirror = mean - [0, 0, 1]
    length = np.linalg.norm(mirror, axis=-1, keepdims=True)
    mirror = np.where(length > 1e-9, mirror / np.maximum(length, 1e-9), 0)
    return drawn - 2 * (drawn * mirror).sum(-1, keepdims=True) * mirror


def limbs_from_root(
    rng: np.random.Generator, prior: Prior, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Positions [..., T, K, 3], headings and states [..., T] of an animal whose root is at [..., T, 3].

    Limbs point anywhere without pose states; headings and states are then None.
    """
    limbs, states, frames = prior.limbs, prior.states, root.shape[-2]
    shape = *root.shape[:-1], len(limbs.parents)
    heading, state, mean, kappa = None, None, np.broadcast_to([0.0, 0, 1], (*shape, 3)), np.zeros(shape)
    if states is not None:
        heading, state = rng.uniform(-np.pi, np.pi, shape[:-1]), np.empty(shape[:-1], int)
        for t in range(frames):
            rows = states.transitions[state[..., t - 1]] if t else states.initial
            state[..., t] = (rng.random(shape[:-2])[..., None] > np.cumsum(rows, -1)[..., :-1]).sum(-1)
        mean, kappa = states.directions[state], states.concentrations[state]
    x, y, z = np.moveaxis(unit_vectors(rng, mean, kappa), -1, 0)
    if heading is not None:
        cosine, sine = np.cos(heading)[..., None], np.sin(heading)[..., None]
        x, y = cosine * x - sine * y, sine * x + cosine * y
    offset = limbs.length[:, None] * np.stack([x, y, z], -1)
    offset = offset + np.sqrt(limbs.variance)[:, None] * rng.normal(size=offset.shape)
    positions, placed = np.zeros_like(offset), set()
    while len(placed) < len(limbs.parents):
        for k, parent in enumerate(limbs.parents):
            if k == parent:
                positions[..., k, :] = root
                placed.add(k)
            elif parent in placed:
                positions[..., k, :] = positions[..., parent, :] + offset[..., k, :]
                placed.add(k)
    return positions, heading, state


def walk(rng: np.random.Generator, variance: np.ndarray, first: np.ndarray, frames: int) -> np.ndarray:
    """Random walks [T, K, 3] from `first` [K, 3] with steps of variance [K]."""
    steps = np.sqrt(variance)[:, None] * rng.normal(size=(frames - 1, *first.shape))
    return first + np.concatenate([np.zeros((1, *first.shape)), np.cumsum(steps, 0)])


def observe(rng: np.random.Generator, prior: Prior, positions: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Pixels [T, C, K, 2] of positions [T, K, 3] with the noise of the prior."""
    image = np.einsum("cij,tkj->tcki", matrices[..., :3], positions) + matrices[:, None, :, 3]
    image = image[..., :2] / image[..., 2:]
    is_out = rng.random(image.shape[:3]) < prior.noise.probability
    return image + np.sqrt(np.where(is_out, prior.noise.outlier, prior.noise.inlier))[..., None] * rng.normal(
        size=image.shape
    )


def run(seed: int, name: str, prior: Prior, matrices: np.ndarray, first: np.ndarray, frames: int, sweeps: int) -> dict:
    """Errors in mm, and shares covered by the regions of the fit and of the draws, of one model and seed."""
    rng = np.random.default_rng(seed)
    truth = walk(rng, prior.step_variance, first, frames)
    if prior.limbs is not None:
        root = [k for k, parent in enumerate(prior.limbs.parents) if parent == k]
        truth, _, _ = limbs_from_root(rng, prior, truth[:, root[0]])
        free = np.where(np.isin(np.arange(len(first)), root), prior.step_variance, FREE)
        prior = dataclasses.replace(prior, step_variance=free)
    pixels = observe(rng, prior, truth, matrices)
    start = triangulate(cameras_of(matrices), np.moveaxis(pixels, 1, 0), method="median").points
    fit = MODELS[name].fit(Observations(pixels), matrices, prior, np.asarray(start))
    draws = gibbs.sample(
        jax.random.key(seed), Observations(pixels), matrices, prior, fit, burn_in=sweeps, kept=sweeps, thin=1
    )
    return {
        "start_mm": float(distances(np.asarray(start), truth).mean()),
        "fit_mm": float(distances(fit.mean, truth).mean()),
        "drawn_mm": float(distances(draws.mean, truth).mean()),
        "fit_covered": covered(fit.mean, fit.covariance, truth),
        "drawn_covered": covered(draws.mean, draws.covariance, truth),
        "accepted": float(np.mean(draws.accepted)),
    }


def main() -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--sweeps", type=int, default=300)
    flags = parser.parse_args()
    data, fitted = (np.load(flags.data / f"mock_{name}.npz") for name in ("data", "params"))
    matrices, first = data["camera_matrices"], data["triangulated_pos_3d"][0]
    results = {}
    print("| | start, mm | fit, mm | drawn, mm | covered by the curvature | by the draws | accepted |")
    print("|---|---|---|---|---|---|---|")
    for name, prior in priors(data, fitted).items():
        runs = [
            run(seed, name, prior, matrices, first, flags.frames, flags.sweeps)
            for seed in track(range(flags.seeds), name)
        ]
        row = results[name] = {key: [one[key] for one in runs] for key in runs[0]}
        millimetres = " | ".join(f"{np.mean(row[key]):.2f}" for key in ("start_mm", "fit_mm", "drawn_mm"))
        shares = " | ".join(
            f"{np.mean(row[key]):.1%} ({min(row[key]):.1%} to {max(row[key]):.1%})"
            for key in ("fit_covered", "drawn_covered")
        )
        print(f"| {name} | {millimetres} | {shares} | {np.mean(row['accepted']):.2f} |", flush=True)
        write_json(flags.json, results)


if __name__ == "__main__":
    main()
