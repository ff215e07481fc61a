"""RANSAC of aniposelib and of pawjax, of the same points with outliers. Usage: README.md."""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from compare import SIZE, truth

from pawjax.machine import device_name
from pawjax.pose3d.cameras import project
from pawjax.pose3d.triangulation import triangulate

N_CAMERAS, N_POINTS, SIDE = 6, 2000, 200.0  # in a cube of 200 mm
NOISE, OUTLIERS = 1.0, 0.15  # px in x and y; share of the views that are anywhere in the image
PEER = Path(__file__).with_name("peer_ransac.py")


def peer(python: str, fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Seconds and points of aniposelib, by the least number of cameras."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/start.npz", f"{folder}/end.npz"
        np.savez(source, **fields)
        subprocess.run([python, str(PEER), source, target], check=True, stdout=subprocess.DEVNULL)
        with np.load(target) as file:
            return dict(file)


def timed(call: Callable) -> tuple[np.ndarray, float]:
    begin = time.perf_counter()
    points = np.asarray(call())
    return points, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aniposelib-python", required=True, help="Python that has aniposelib")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--points", type=int, default=50, help="that aniposelib has in each turn, others each time")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    cameras = truth(rng, N_CAMERAS)
    true = rng.uniform(-SIDE / 2, SIDE / 2, (N_POINTS, 3))
    with jax.enable_x64(True):
        seen = np.asarray(project(cameras, true))
    pixels = seen + NOISE * rng.normal(size=seen.shape)
    pixels = np.where(rng.random((N_CAMERAS, N_POINTS, 1)) < OUTLIERS, rng.uniform(0, SIZE, seen.shape), pixels)
    fields = {name: getattr(cameras, name) for name in ("matrix", "distortion", "rotation", "translation")}
    calls = {
        "pawjax": lambda: triangulate(cameras, pixels, method="ransac").points,
        "pawjax, median of pairs": lambda: triangulate(cameras, pixels, method="median").points,
    }
    rows: dict[str, list[float]] = {name: [] for name in calls}
    firsts = {name: timed(call)[1] for name, call in calls.items()}
    found: dict[str, np.ndarray] = {}
    for turn in range(options.turns):
        some = slice(turn * options.points, (turn + 1) * options.points)
        done = peer(options.aniposelib_python, fields | {"pixels": pixels[:, some], "size": SIZE})
        for least in sorted({name.split("/")[0] for name in done}):
            name = f"aniposelib, subsets of {least} or more"
            rows.setdefault(name, []).append(float(done[f"{least}/seconds"]) / options.points)
            found[name] = np.concatenate([found.get(name, np.zeros((0, 3))), done[f"{least}/points"]])
        for name, call in calls.items():
            points, seconds = timed(call)
            rows[name].append(seconds / N_POINTS)
            found[name] = points[: options.turns * options.points]
    both = true[: options.turns * options.points]
    print(f"{N_CAMERAS} cameras, {OUTLIERS:.0%} outliers, noise {NOISE} px; {device_name()}")
    print(f"errors of {len(both)} points; pawjax has all {N_POINTS} in each turn and took in the first call {firsts}\n")
    print("| | ms a point, median of the turns | least, most | mean error, mm | median | over 5 mm |")
    print("|---|---|---|---|---|---|")
    for name, seconds in rows.items():
        error = np.linalg.norm(found[name] - both, axis=-1)
        milli = 1e3 * np.array(seconds)
        print(
            f"| {name} | {np.median(milli):.4f} | {milli.min():.4f}, {milli.max():.4f} | {np.nanmean(error):.2f} | "
            f"{np.nanmedian(error):.2f} | {(error > 5).mean():.1%} |"
        )
    for name in set(rows) - set(calls):
        print(f"\n{name}: pawjax's RANSAC is {np.median(rows[name]) / np.median(rows['pawjax']):.0f} times as fast")


if __name__ == "__main__":
    main()
