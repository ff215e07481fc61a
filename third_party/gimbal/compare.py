"""GIMBAL by its authors' code and by pawjax, of the same rat from the same start, in turns. Usage: README.md."""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from launch.rat7m import errors, priors
from pawjax.machine import device_name
from pawjax.pose3d import gibbs, gimbal
from pawjax.pose3d.parameters import Observations

LEAPFROGS = 10
WARM = 3  # iterations of the peer before it is timed: its second one compiles again
PEER = Path(__file__).with_name("peer.py")
FITTED = (
    *(f"obs_{kind}_{name}" for kind in ("inlier", "outlier") for name in ("location", "variance")),
    *("obs_outlier_probability", "pos_radius", "pos_radial_variance", "parents", "crf_keypoints", "crf_abscissa"),
    *("crf_normal", "state_probability", "state_directions", "state_concentrations"),
)


class Peer:
    """A process of the authors' code that waits for orders."""

    def __init__(self, options: argparse.Namespace, folder: Path, fields: dict[str, np.ndarray]) -> None:
        self.target = folder / "end.npz"
        np.savez(folder / "start.npz", **fields)
        command = [options.gimbal_python, str(PEER), str(folder / "start.npz"), options.gimbal, str(self.target)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def draw(self, iterations: int) -> dict[str, float]:
        """Seconds and acceptance of as many iterations."""
        print(iterations, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def positions(self) -> np.ndarray:
        """All draws [N, T, K, 3]; ends the process."""
        self.process.stdin.close()
        if self.process.wait():
            raise SystemExit(f"{PEER} ended with exit code {self.process.returncode}")
        with np.load(self.target) as file:
            return file["positions"]


def seconds_of(call) -> tuple[object, float]:  # noqa: ANN001
    begin = time.perf_counter()
    result = jax.block_until_ready(call())
    return result, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gimbal-python", required=True, help="Python that has the packages of README.md")
    parser.add_argument("--gimbal", required=True, help="folder that holds the authors' package gimbal/")
    parser.add_argument("--data", type=Path, required=True, help="folder of mock_data.npz and mock_params.npz")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=50, help="of each turn")
    parser.add_argument("--step", type=float, default=0.2, help="leapfrog step of the authors' code, mm")
    options = parser.parse_args()
    data, fitted = (np.load(options.data / f"mock_{name}.npz") for name in ("data", "params"))
    names, truth, start = (
        tuple(map(str, data["keypoint_names"])),
        data["groundtruth_pos_3d"],
        data["triangulated_pos_3d"],
    )
    seen, cameras, prior = (
        Observations(data["observed_pos_2d"]),
        data["camera_matrices"],
        priors(data, fitted)["gimbal"],
    )
    params = {name: fitted[name] for name in FITTED}
    params |= {"camera_matrices": cameras, "pos_dt_variance": np.float32(prior.step_variance[0])}
    params |= {"step_size": np.float32(options.step), "num_leapfrog_steps": np.int32(LEAPFROGS)}
    fields = {f"params/{name}": value for name, value in params.items()}
    fields |= {"observations": seen.pixels, "start": start, "seed": np.int32(0)}

    def fit():
        return gimbal.fit(seen, cameras, prior, start)

    def draw(fitted, iterations: int, burn_in: int = 0):
        schedule = {"chains": 1, "burn_in": burn_in, "kept": iterations, "thin": 1, "leapfrogs": LEAPFROGS}
        return gibbs.sample(jax.random.key(0), seen, cameras, prior, fitted, **schedule)

    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(options, Path(folder), fields)
        _, first_fit = seconds_of(fit)
        found = fit()
        _, first_draw = seconds_of(lambda: draw(found, options.iterations))
        rows = {"peer": [peer.draw(WARM)["seconds"]], "fit": [first_fit], "gibbs": [first_draw]}
        for _ in range(options.turns):
            turn = peer.draw(options.iterations)
            rows["peer"].append(turn["seconds"])
            rows["fit"].append(seconds_of(fit)[1])
            rows["gibbs"].append(seconds_of(lambda: draw(found, options.iterations))[1])
        drawn = peer.positions()
    total = options.turns * options.iterations
    half = draw(found, total // 2, burn_in=total // 2)
    means = {"peer": drawn[len(drawn) // 2 :].mean(0), "fit": found.mean, "gibbs": half.mean}
    print(f"{device_name()}; {options.turns} turns of {options.iterations} iterations, {LEAPFROGS} leapfrogs")
    print(f"accepted: the peer {turn['accepted']:.2f} in the last turn, pawjax {float(half.accepted.mean()):.2f}\n")
    print("| | first call, s | median of the turns, s | least, most | raw, mm | after Procrustes, mm |")
    print("|---|---|---|---|---|---|")
    titles = {
        "peer": f"authors' code, {options.iterations} iterations",
        "gibbs": f"pawjax, {options.iterations} iterations",
        "fit": "pawjax, the most probable positions",
    }
    for name, title in titles.items():
        error = errors(np.asarray(means[name], float), truth, names)
        first, *turns = rows[name]
        print(
            f"| {title} | {first:.2f} | {np.median(turns):.3f} | {min(turns):.3f}, {max(turns):.3f} | "
            f"{error['raw_mm']:.2f} | {error['procrustes_mm']:.2f} |"
        )
    middle = {name: np.median(row[1:]) for name, row in rows.items()}
    whole = sum(rows["peer"][1:])
    print(f"\nan iteration: pawjax is {middle['peer'] / middle['gibbs']:.1f} times as fast")
    print(
        f"{total} iterations of the peer: {whole:.1f} s, {whole / middle['fit']:.0f} times the most probable positions"
    )


if __name__ == "__main__":
    main()
