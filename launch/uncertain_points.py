"""What do the 3D models gain from a tracker that says how uncertain each point is?

    python -m launch.uncertain_points --motion=01_01.bvh --rig=mock_data.npz --json=FILE [--seeds=5]

The motion, cameras and outliers of `launch/cmu_motion.py`, but each point has a noise of its own: a deviation of
exp(N(1, 0.8)) px, 2.7 px in the median, that changes from frame to frame. Synthetic. The tracker says this deviation,
off by a factor of exp(N(0, 0.3)), as the covariance of its point, and a likelihood: high for inliers (Beta(8, 2)),
lower for outliers (Beta(2, 3)). Model 1, Model 2 and GIMBAL are fitted with noise that is constant for each camera and
joint, as learned from the first 60 % of the frames; with the covariances; with outliers' probabilities by the
likelihoods; and with both. Prints mean errors in mm on 150 later frames, and how many true positions the 95 % regions
cover.
"""

import argparse
import dataclasses
from pathlib import Path

import jax
import numpy as np

from launch.cmu_motion import JOINTS, SKIN, SPINE, STATES, TAUGHT, TESTED, motion_of, observe
from launch.rat7m import MODELS, cameras_of, covered
from pawjax.files import write_json
from pawjax.pose3d.accuracy import distances
from pawjax.pose3d.parameters import Observations
from pawjax.pose3d.priors import learn_prior, noise_by_likelihood
from pawjax.pose3d.triangulation import triangulate
from pawjax.progress import track

WAYS = ("constant", "covariances", "likelihoods", "both")
FITTED = ("model1", "model2", "gimbal")
LEAST = 1.0  # px^2, of an inlier beyond what its covariance says
FAR = 15.0  # px, of an outlier from where it should be


def compare(seed: int, motion: np.ndarray, parents: tuple[int, ...], matrices: np.ndarray) -> dict[str, list[float]]:
    """{'way, model': [error in mm, share covered]} of one seed."""
    rng, names = np.random.default_rng(seed), tuple(JOINTS)
    motion = motion + SKIN * rng.normal(size=motion.shape)
    cut = int(TAUGHT * len(motion))
    first = cut + rng.integers(len(motion) - cut - TESTED + 1)
    image = np.einsum("cij,tkj->tcki", matrices[..., :3], motion) + matrices[:, None, :, 3]
    image = image[..., :2] / image[..., 2:]
    deviation = np.exp(1 + 0.8 * rng.normal(size=image.shape[:3]))
    seen = observe(rng, motion, matrices, deviation[..., None])
    is_out = np.linalg.norm(seen - image, axis=-1) > FAR + 3 * deviation
    likelihood = np.where(is_out, rng.beta(2, 3, is_out.shape), rng.beta(8, 2, is_out.shape))
    said = deviation * np.exp(0.3 * rng.normal(size=deviation.shape))
    spine = tuple(names.index(name) for name in SPINE)
    prior = learn_prior(
        jax.random.key(seed), Observations(seen[:cut]), matrices, motion[:cut], names, parents, spine, STATES
    )
    test = slice(first, first + TESTED)
    covariance = said[test, ..., None, None] ** 2 * np.eye(2)
    start = triangulate(cameras_of(matrices), np.moveaxis(seen[test], 1, 0), method="ransac").points
    results = {}
    for way in WAYS:
        noise = prior.noise
        if way in ("covariances", "both"):
            noise = dataclasses.replace(noise, inlier=np.full_like(noise.inlier, LEAST))
        if way in ("likelihoods", "both"):
            noise = noise_by_likelihood(noise, likelihood[test])
        observations = Observations(seen[test], covariance if way in ("covariances", "both") else None)
        for model in FITTED:
            fit = MODELS[model].fit(observations, matrices, dataclasses.replace(prior, noise=noise), np.asarray(start))
            error = float(np.nanmean(distances(fit.mean, motion[test])))
            results[f"{way}, {model}"] = [error, covered(fit.mean, fit.covariance, motion[test])]
    return results


def main() -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True)
    parser.add_argument("--rig", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    flags = parser.parse_args()
    data = np.load(flags.rig)
    matrices, middle = data["camera_matrices"], np.nanmean(data["groundtruth_pos_3d"], (0, 1))
    motion, parents = motion_of(flags.motion, middle)
    runs = [compare(seed, motion, parents, matrices) for seed in track(range(flags.seeds), "seeds")]
    print("| noise | " + " | ".join(f"{model}: mm, covered" for model in FITTED) + " |\n|---" + "|---" * 3 + "|")
    means = {name: np.mean([run[name] for run in runs], 0).tolist() for name in runs[0]}
    for way in WAYS:
        cells = [f"{means[f'{way}, {m}'][0]:.2f}, {means[f'{way}, {m}'][1]:.0%}" for m in FITTED]
        print(f"| {way} | " + " | ".join(cells) + " |")
    spread = {name: float(np.std([run[name][0] for run in runs], ddof=1)) if len(runs) > 1 else 0 for name in means}
    write_json(flags.json, {"means": means, "deviation_over_seeds_mm": spread, "seeds": flags.seeds})


if __name__ == "__main__":
    main()
