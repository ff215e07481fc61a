"""Ensemble Kalman smoothing by pawjax and by ensemble-kalman-smoother, of the same tracks in the same run.

    PYTHONPATH=. python third_party/eks/compare.py --peer=.venv-eks/bin/python [--seeds=3]

One camera: the scene of `launch/smoothing.py`. Three cameras: the feet move in space before pinhole cameras 800 mm
away and 50 degrees apart, with the same imitated networks. Both fit the smoothness to the tracks. Each is timed twice
in one process; the second call of the peer finds its programs compiled.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ANGLES, DISTANCE, FOCAL = (-50, 0, 50), 800.0, 1000.0  # degrees, mm, px


def peer(source: Path, target: Path) -> None:
    """In the peer's environment: smooths a file's markers [networks, cameras, T, K, 3]; writes points and seconds."""
    from eks import MarkerArray
    from eks.multicam_smoother import ensemble_kalman_smoother_multicam
    from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam

    markers = np.load(source)["markers"]
    names = [f"p{k}" for k in range(markers.shape[3])]
    cameras = [f"c{c}" for c in range(markers.shape[1])]
    seconds = []
    for _ in range(2):
        array = MarkerArray(markers.copy(), data_fields=["x", "y", "likelihood"])
        start = time.perf_counter()
        if len(cameras) == 1:
            tables = [ensemble_kalman_smoother_singlecam(array, names)[0]]
        else:
            tables = ensemble_kalman_smoother_multicam(array, names, cameras)[0]
        seconds.append(time.perf_counter() - start)
    points = [
        [[table.xs((name, axis), axis=1, level=[-2, -1]).to_numpy()[:, 0] for axis in "xy"] for name in names]
        for table in tables
    ]
    np.savez(target, points=np.array(points).transpose(0, 3, 1, 2), seconds=seconds)


def run_peer(python: str, members) -> tuple[list[np.ndarray], np.ndarray]:  # noqa: ANN001 - by camera and network
    """The peer's points [T, K, 2] of each camera, and its seconds, first and second call."""
    markers = np.array(
        [
            [np.concatenate([one.keypoints[:, 0], one.likelihood[:, 0, :, None]], -1) for one in camera]
            for camera in members
        ]
    ).swapaxes(0, 1)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, markers=markers)
        subprocess.run([python, __file__, str(source), str(target)], check=True, capture_output=True, env={})
        found = np.load(target)
        return list(found["points"]), found["seconds"]


def rig_scene(seed: int):  # noqa: ANN201
    """Members by camera, and the truth [T, 1, 4, 2] of each camera."""
    from launch import smoothing

    rng = np.random.default_rng(seed)
    motion = smoothing.session_motion(seed, 0)
    times = np.arange(smoothing.N_FRAMES) / smoothing.RATE
    feet = np.stack([motion.at(motion.feet[limb], times)[:, :2] for limb in smoothing.LIMBS], axis=1) / 4  # mm
    feet -= feet.mean((0, 1))
    depth = np.array([-15.0, 15, -15, 15]) + 5 * np.sin(4 * times)[:, None] * np.array([1, -1, 0.5, -0.5])
    space = np.concatenate([feet, depth[..., None]], axis=-1)
    truths, members = [], []
    for angle in np.deg2rad(ANGLES):
        across = np.cos(angle) * space[..., 0] + np.sin(angle) * space[..., 2]
        away = DISTANCE - np.sin(angle) * space[..., 0] + np.cos(angle) * space[..., 2]
        truth = FOCAL * np.stack([across / away, space[..., 1] / away], -1)[:, None] + np.array([400, 300])
        shared = truth + rng.normal(scale=smoothing.SHARED, size=truth.shape)
        swapped, hidden = smoothing.bouts(rng, smoothing.SWAPPED), smoothing.bouts(rng, smoothing.HIDDEN)
        networks = range(smoothing.N_NETWORKS)
        members.append([smoothing.network(rng, shared, swapped, hidden, times, m) for m in networks])
        truths.append(truth)
    return members, truths


def main() -> None:
    """Prints a table of errors, px, and seconds, means over seeds."""
    from launch.smoothing import numbers, scene
    from pawjax.tracks.ensemble_cameras import ensemble_smooth_cameras
    from pawjax.tracks.ensemble_kalman import ensemble_smooth

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows: dict[tuple[str, str], list[list[float]]] = {}

    def add(scene_name: str, who: str, points, truths, seconds) -> None:  # noqa: ANN001
        found = [numbers(one.reshape(truth.shape), truth) for one, truth in zip(points, truths, strict=True)]
        means = [np.mean([one[name] for one in found]) for name in ("mean_px", "median_px", "rmse_px", "lost")]
        rows.setdefault((scene_name, who), []).append([*means, *seconds])

    def timed(make) -> tuple[object, list[float]]:  # noqa: ANN001
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            result = make()
            seconds.append(time.perf_counter() - start)
        return result, seconds

    for seed in range(1, arguments.seeds + 1):
        members, truth = scene(seed)
        tracks, seconds = timed(lambda members=members: ensemble_smooth(members))
        add("one camera", "pawjax", [tracks.keypoints], [truth], seconds)
        points, seconds = run_peer(arguments.peer, [members])
        add("one camera", "peer", points, [truth], seconds)
        cameras, truths = rig_scene(seed)
        named = {str(c): one for c, one in enumerate(cameras)}
        tracks, seconds = timed(lambda named=named: ensemble_smooth_cameras(named))
        add("three cameras", "pawjax", [one.keypoints for one in tracks.values()], truths, seconds)
        points, seconds = run_peer(arguments.peer, cameras)
        add("three cameras", "peer", points, truths, seconds)
    print("| scene | by | mean px | median px | RMSE px | over 20 px | s, first call | s, second call |")
    print("|---|---|---|---|---|---|---|---|")
    for (scene_name, who), values in rows.items():
        mean, median, rmse, lost, first, second = np.mean(values, axis=0)
        numbers_of = f"{mean:.2f} | {median:.2f} | {rmse:.2f} | {100 * lost:.2f} % | {first:.2f} | {second:.2f}"
        print(f"| {scene_name} | {who} | {numbers_of} |")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].endswith(".npz"):
        peer(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
