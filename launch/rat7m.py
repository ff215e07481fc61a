"""How far from the truth do Models 0, 1, 2 and GIMBAL put a real rat, and how long do they take?

    python launch/rat7m.py --data=FOLDER --json=FILE

FOLDER holds mock_data.npz and mock_params.npz, the extract of Rat7M in the tests of GIMBAL's authors: 100 frames, six
cameras, 18 bodyparts and motion capture. The settings are those of their paper's Table S1, the start is their
triangulation (median over pairs of cameras), and every model takes its most probable positions. Errors are mm, means
over all points with motion capture: raw, and after the best proper rigid motion of each frame. Seconds are medians of
--turns calls after the first, which also compiles.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from pawjax.files import write_json
from pawjax.pose3d import gimbal, model0, model1, model2
from pawjax.pose3d.accuracy import aligned, distances
from pawjax.pose3d.parameters import Fit, Limbs, Noise, Observations, PoseStates, Prior

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


def timed(fit: Callable[[], Fit], turns: int) -> tuple[Fit, float, float]:
    """The fit, the seconds of the first call, and the median of the next ones."""
    seconds = []
    for _ in range(turns + 1):
        begin = time.perf_counter()
        result = jax.block_until_ready(fit())
        seconds.append(time.perf_counter() - begin)
    return result, seconds[0], float(np.median(seconds[1:]))


def errors(positions: np.ndarray, truth: np.ndarray, names: tuple[str, ...]) -> dict:
    """Errors in mm."""
    raw, rigid = distances(positions, truth), distances(aligned(positions, truth), truth)
    worst = {name: float(np.nanmean(raw[:, names.index(name)])) for name in WORST}
    return {"raw_mm": float(np.nanmean(raw)), "procrustes_mm": float(np.nanmean(rigid)), "worst_mm": worst}


def main() -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=5)
    flags = parser.parse_args()
    data, fitted = (np.load(flags.data / f"mock_{name}.npz") for name in ("data", "params"))
    names, truth = tuple(map(str, data["keypoint_names"])), data["groundtruth_pos_3d"]
    start, observations = data["triangulated_pos_3d"], Observations(data["observed_pos_2d"])
    results = {"start": errors(start, truth, names)}
    for (name, prior), model in zip(priors(data, fitted).items(), (model0, model1, model2, gimbal), strict=True):
        call = lambda: model.fit(observations, data["camera_matrices"], prior, start)  # noqa: B023, E731
        fit, first, seconds = timed(call, flags.turns)
        results[name] = errors(fit.mean, truth, names) | {
            "seconds": seconds,
            "first_seconds": first,
            "steps": int(fit.steps),
            "converged": bool(np.all(fit.converged)),
        }
    for name, row in results.items():
        took = f"{row['seconds']:.3f} s, {row['steps']} steps" if "seconds" in row else ""
        print(f"{name:8s} {row['raw_mm']:6.2f} mm, {row['procrustes_mm']:6.2f} mm after Procrustes; {took}")
    write_json(flags.json, {"models": results, "device": str(jax.devices()[0].device_kind)})


if __name__ == "__main__":
    main()
