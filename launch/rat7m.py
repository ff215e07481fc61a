"""How far from the truth do triangulation, Models 0, 1, 2 and GIMBAL put a real rat, and how long do they take?

    python launch/rat7m.py --data=FOLDER --json=FILE [--seeds=3] [--sweeps=500]

FOLDER holds mock_data.npz and mock_params.npz, the extract of Rat7M in the tests of GIMBAL's authors: 100 frames, six
cameras, 18 bodyparts and motion capture. The settings are those of their paper's Table S1, the start is the median over
pairs of cameras (their own positions with all observations, ours otherwise), and every model takes its most probable
positions. Errors are mm, means over all points with motion capture: raw, and after the best proper rigid motion of each
frame. Covered is the share of these points within the 95 % region of their covariance. Seconds are medians of --turns
calls after the first, which also compiles. With --sweeps each model is drawn from as well, by four chains that burn in
for as many sweeps, and its error is that of the mean.

Each seed drops other observations: two of the cameras, or 30 % of all. Each camera in turn is left out, and the
positions found without it are projected into it: the error is the median distance, px, from what was seen there.
Triangulation finds no position from fewer than two views; its errors are of those that it finds.
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
from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.checked import decompose, make_cameras
from pawjax.pose3d.parameters import Limbs, Noise, Observations, PoseStates, Prior
from pawjax.pose3d.triangulation import triangulate

REGION = 7.815  # squared deviations within which a Gaussian in three dimensions has 95 % of its mass
MODELS = {"model0": model0, "model1": model1, "model2": model2, "gimbal": gimbal}
TRIANGULATIONS = ("median", "ransac")
DROPPED_CAMERAS, DROPPED_SHARE = 2, 0.3
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


def cameras_of(matrices: np.ndarray) -> Cameras:
    """Cameras without distortion from projection matrices [C, 3, 4]."""
    names = tuple(f"camera{number}" for number in range(1, len(matrices) + 1))
    matrix, rotation, translation = decompose("mock_data.npz", names, matrices)
    return make_cameras("mock_data.npz", names, [None] * len(names), matrix, [[]] * len(names), rotation, translation)


def without_cameras(pixels: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """The observations [T, C, K, 2] without those of some cameras."""
    pixels = pixels.copy()
    pixels[:, dropped] = np.nan
    return pixels


def fitted_to(
    pixels: np.ndarray, matrices: np.ndarray, prior: dict[str, Prior], start: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Positions [T, K, 3] by each triangulation and model from pixels [T, C, K, 2], in float32."""
    cameras, by_camera = cameras_of(matrices), np.moveaxis(pixels, 1, 0)
    found = {name: np.asarray(triangulate(cameras, by_camera, method=name).points) for name in TRIANGULATIONS}
    start = found["median"] if start is None else start
    models = {name: model.fit(Observations(pixels), matrices, prior[name], start) for name, model in MODELS.items()}
    return found | {name: np.asarray(fit.mean) for name, fit in models.items()}


def dropping(
    pixels: np.ndarray, matrices: np.ndarray, prior: dict[str, Prior], truth: np.ndarray, names: tuple, seeds: int
) -> dict[str, dict[str, dict]]:
    """Errors of each way, means over the seeds, without two cameras and without a share of all observations."""

    def two_cameras(rng: np.random.Generator) -> np.ndarray:
        return without_cameras(pixels, rng.permutation(len(matrices))[:DROPPED_CAMERAS])

    def a_share(rng: np.random.Generator) -> np.ndarray:
        return np.where(rng.random(pixels.shape[:3])[..., None] < DROPPED_SHARE, np.nan, pixels)

    results = {}
    for kind, drop in {"two_cameras_dropped": two_cameras, "share_dropped": a_share}.items():
        runs = [fitted_to(drop(np.random.default_rng(seed)), matrices, prior) for seed in range(seeds)]
        results[kind] = {}
        for name in runs[0]:
            values = [errors(run[name], truth, names) for run in runs]
            means = {key: float(np.mean([value[key] for value in values])) for key in ("raw_mm", "procrustes_mm")}
            missing = np.mean([np.isnan(run[name]).any(-1)[np.isfinite(truth).all(-1)].mean() for run in runs])
            results[kind][name] = means | {"missing": float(missing)}
    return results


def left_out(pixels: np.ndarray, matrices: np.ndarray, prior: dict[str, Prior]) -> dict[str, float]:
    """For each way the median error, px, of its positions in a camera that it did not have, a mean over the cameras."""
    medians: dict[str, list[float]] = {}
    for camera in range(len(matrices)):
        found, views = fitted_to(without_cameras(pixels, np.array([camera])), matrices, prior), cameras_of(matrices)
        for name, positions in found.items():
            off = np.linalg.norm(np.asarray(project(views, positions))[camera] - pixels[:, camera], axis=-1)
            medians.setdefault(name, []).append(float(np.nanmedian(off)))
    return {name: float(np.mean(values)) for name, values in medians.items()}


def drawn(call: Callable, seeds: int, truth: np.ndarray, names: tuple[str, ...]) -> dict:
    """Errors of the mean over the draws of `call(key)`, means over the seeds, and the seconds of the first seed's."""
    rows = []
    for seed in range(seeds):
        draws, seconds = timed(partial(call, jax.random.key(seed)), 1 if seed == 0 else 0)
        about = {"accepted": float(np.mean(draws.accepted)), "covered": covered(draws.mean, draws.covariance, truth)}
        rows.append(errors(draws.mean, truth, names) | seconds | about)
    kinds = ("raw_mm", "procrustes_mm", "accepted", "covered")
    return rows[0] | {name: float(np.mean([row[name] for row in rows])) for name in kinds}


def main() -> None:
    """Prints the tables and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=0)
    flags = parser.parse_args()
    data, fitted = (np.load(flags.data / f"mock_{name}.npz") for name in ("data", "params"))
    names, truth, pixels = tuple(map(str, data["keypoint_names"])), data["groundtruth_pos_3d"], data["observed_pos_2d"]
    start, observations, matrices = data["triangulated_pos_3d"], Observations(pixels), data["camera_matrices"]
    results, prior = {"start": errors(start, truth, names)}, priors(data, fitted)
    for name in TRIANGULATIONS:
        call = partial(triangulate, cameras_of(matrices), np.moveaxis(pixels, 1, 0), method=name)
        found, seconds = timed(call, flags.turns)
        results[name] = errors(found.points, truth, names) | seconds
        results[name]["covered"] = covered(found.points, found.covariance, truth)
    for name, model in MODELS.items():
        fit, seconds = timed(partial(model.fit, observations, matrices, prior[name], start), flags.turns)
        about = {"steps": int(fit.steps), "converged": bool(np.all(fit.converged))}
        results[name] = errors(fit.mean, truth, names) | seconds | about
        results[name]["covered"] = covered(fit.mean, fit.covariance, truth)
        if flags.sweeps:
            sweeps = {"chains": 4, "burn_in": flags.sweeps, "kept": flags.sweeps, "thin": 1}
            call = partial(
                gibbs.sample, observations=observations, cameras=matrices, prior=prior[name], fit=fit, **sweeps
            )
            results[f"{name}_drawn"] = drawn(call, flags.seeds, truth, names)
    for name, row in results.items():
        took = f"; {row['seconds']:.3f} s, covered {row['covered']:.3f}" if "seconds" in row else ""
        print(f"{name:14s} {row['raw_mm']:6.2f} mm, {row['procrustes_mm']:6.2f} mm after Procrustes{took}")
    dropped = dropping(pixels, matrices, prior, truth, names, flags.seeds)
    for kind, rows in dropped.items():
        for name, row in rows.items():
            words = f"{row['raw_mm']:6.2f} mm, {row['procrustes_mm']:6.2f} mm; {row['missing']:.1%} not found"
            print(f"{kind:20s} {name:8s} {words}")
    outside = left_out(pixels, matrices, prior)
    print("left-out camera, px:", ", ".join(f"{name} {value:.1f}" for name, value in outside.items()))
    about = {"device": str(jax.devices()[0].device_kind), "seeds": flags.seeds}
    write_json(flags.json, {"models": results, **dropped, "left_out_camera_px": outside, **about})


if __name__ == "__main__":
    main()
