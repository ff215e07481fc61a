"""How far from the truth do Models 0, 1, 2 and GIMBAL put a real rat, and how long do they take?

    python launch/rat7m.py --data=FOLDER --json=FILE [--sweeps=500]

FOLDER holds mock_data.npz and mock_params.npz, the extract of Rat7M in the tests of GIMBAL's authors: 100 frames, six
cameras, 18 bodyparts and motion capture. The settings are those of their paper's Table S1, the start is their
triangulation (median over pairs of cameras), and every model takes its most probable positions. Errors are mm, means
over all points with motion capture: raw, and after the best proper rigid motion of each frame. Covered is the share of
these points within the 95 % region of their covariance. Seconds are medians of --turns calls after the first, which
also compiles. With --sweeps each model is drawn from as well, by four chains that burn in for as many sweeps, and its
error is that of the mean.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np

from pawjax.files import write_json
from pawjax.pose3d import gibbs, gimbal, model0, model1, model2
from pawjax.pose3d.accuracy import aligned, distances
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior

REGION = 7.815  # squared deviations within which a Gaussian in three dimensions has 95 % of its mass
WORST = ("KneeL", "ElbowL", "ArmR")  # most often mistaken by the 2D tracker


def priors(data: np.lib.npyio.NpzFile, fitted: np.lib.npyio.NpzFile) -> dict[str, Prior]:
    """The prior of each model, Table S1 of the paper; unnamed rows there are those of the fitted parameters."""
    names = tuple(map(str, data["keypoint_names"]))
    cameras, bodyparts = fitted["obs_inlier_variance"].shape
    same = lambda value: np.full((cameras, bodyparts), value)  # noqa: E731
    gaussian = Noise(same(1e3), same(1e6), same(0.0))
    mixture = Noise(*(fitted[f"obs_{name}"] for name in ("inlier_variance", "outlier_variance", "outlier_probability")))
    limbs = Limbs(fitted["pos_radius"], fitted["pos_radial_variance"], tuple(map(int, data["parents"])))
    number = len(fitted["state_probability"])
    states = PoseStates(
        fitted["state_directions"],
        fitted["state_concentrations"],
        fitted["state_probability"],
        np.full((number, number), 1 / number),  # the mean of their Dirichlet prior
        tuple(map(int, fitted["crf_keypoints"])),
    )
    slow, fast = np.full(bodyparts, 50.0), np.full(bodyparts, 100.0)  # mm^2 a frame
    return {
        "model0": Prior(fast, gaussian, None, None, names),
        "model1": Prior(fast, mixture, None, None, names),
        "model2": Prior(slow, mixture, limbs, None, names),
        "gimbal": Prior(slow, mixture, limbs, states, names),
    }


def timed(call: Callable, turns: int) -> tuple:
    """What the call returns, the seconds of the first call, and the median of the next ones."""
    seconds = []
    for _ in range(turns + 1):
        begin = time.perf_counter()
        result = jax.block_until_ready(call())
        seconds.append(time.perf_counter() - begin)
    return result, {"first_seconds": seconds[0], "seconds": float(np.median(seconds[1:]))}


def errors(positions: np.ndarray, truth: np.ndarray, names: tuple[str, ...]) -> dict:
    """Errors in mm."""
    raw, rigid = distances(positions, truth), distances(aligned(positions, truth), truth)
    worst = {name: float(np.nanmean(raw[:, names.index(name)])) for name in WORST}
    return {"raw_mm": float(np.nanmean(raw)), "procrustes_mm": float(np.nanmean(rigid)), "worst_mm": worst}


def covered(mean: np.ndarray, covariance: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true positions [T, K, 3] in the 95 % regions of Gaussians, of those that are known."""
    off = np.asarray(mean, np.float64) - truth
    squared = np.einsum("tki,tkij,tkj->tk", off, np.linalg.inv(np.asarray(covariance, np.float64)), off)
    return float((squared < REGION)[np.isfinite(squared)].mean())


def main() -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=0)
    flags = parser.parse_args()
    data, fitted = (np.load(flags.data / f"mock_{name}.npz") for name in ("data", "params"))
    names, truth = tuple(map(str, data["keypoint_names"])), data["groundtruth_pos_3d"]
    start, observations, cameras = (
        data["triangulated_pos_3d"],
        Observations(data["observed_pos_2d"]),
        data["camera_matrices"],
    )
    results = {"start": errors(start, truth, names)}
    for (name, prior), model in zip(priors(data, fitted).items(), (model0, model1, model2, gimbal), strict=True):
        call = partial(model.fit, observations, cameras, prior, start)
        fit, seconds = timed(call, flags.turns)
        about = {"steps": int(fit.steps), "converged": bool(np.all(fit.converged))}
        results[name] = errors(fit.mean, truth, names) | seconds | about
        results[name]["covered"] = covered(fit.mean, fit.covariance, truth)
        if flags.sweeps:
            sweeps = {"chains": 4, "burn_in": flags.sweeps, "kept": flags.sweeps, "thin": 1}
            call = partial(gibbs.sample, jax.random.key(0), observations, cameras, prior, fit, **sweeps)
            draws, seconds = timed(call, 1)
            about = {
                "accepted": float(np.mean(draws.accepted)),
                "covered": covered(draws.mean, draws.covariance, truth),
            }
            results[f"{name}_drawn"] = errors(draws.mean, truth, names) | seconds | about
    for name, row in results.items():
        took = f"; {row['seconds']:.3f} s, covered {row['covered']:.3f}" if "seconds" in row else ""
        print(f"{name:14s} {row['raw_mm']:6.2f} mm, {row['procrustes_mm']:6.2f} mm after Procrustes{took}")
    write_json(flags.json, {"models": results, "device": str(jax.devices()[0].device_kind)})


if __name__ == "__main__":
    main()
