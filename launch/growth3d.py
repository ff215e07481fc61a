"""How do time and memory of triangulation and the 3D models grow with frames and cameras?

    python -m launch.growth3d --motion=01_01.bvh --json=FILE [--frames=100,1000,10000,100000] [--cameras=2,4,6,12]

The motion of `launch/cmu_motion.py`, there and back as often as needed, is seen by a ring of cameras, with its noise
and outliers; 18 bodyparts. Models start from RANSAC, whose time is not theirs. All numbers of frames with six cameras,
then all numbers of cameras with 1000 frames, each in a process of its own: seconds of a call when its programs are
compiled, and the most memory beyond that of a call on 100 frames. The models run in windows of 2000 frames
(`pawjax.pose3d.chunks`), so for them a call on two windows compiles all that a longer one needs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from launch.cmu_motion import JOINTS, SKIN, SPINE, motion_of, observe
from launch.rat7m import MODELS, cameras_of
from pawjax.files import write_json
from pawjax.pose3d.chunks import fit_in_chunks
from pawjax.pose3d.parameters import Observations
from pawjax.pose3d.priors import learn_prior
from pawjax.pose3d.triangulation import triangulate

WAYS = ("ransac", "model0", "model1", "model2", "gimbal")
STATES, AWAY, FOCAL, MIDDLE, USUAL = 10, 1500.0, 2000.0, 600.0, (1000, 6)
TWO_WINDOWS = 3000  # frames


def ring(number: int) -> np.ndarray:
    """Projection matrices [C, 3, 4] of cameras on a circle around the origin, z up, that look at it from above."""
    matrix = np.array([[FOCAL, 0, MIDDLE], [0, FOCAL, MIDDLE], [0, 0, 1]])
    matrices = []
    for angle in np.arange(number) * 2 * np.pi / max(number, 3):
        turn = Rotation.from_euler("x", 110, degrees=True) * Rotation.from_euler("z", -angle)
        matrices.append(matrix @ np.concatenate([turn.as_matrix(), [[0], [0], [AWAY]]], axis=1))
    return np.array(matrices)


def measure(path: Path, frames: int, cameras: int, way: str) -> dict[str, float]:
    """Seconds of a compiled call, of the one before that compiles, and MB of memory beyond that of 100 frames."""
    matrices = ring(cameras)
    motion, parents = motion_of(path, np.zeros(3))
    rng = np.random.default_rng(0)
    motion = motion + SKIN * rng.normal(size=motion.shape)
    seen = observe(rng, motion, matrices)
    names = tuple(JOINTS)
    spine = tuple(names.index(name) for name in SPINE)
    prior = learn_prior(jax.random.key(0), Observations(seen), matrices, motion, names, parents, spine, STATES)
    there_and_back = np.concatenate([np.arange(len(seen)), np.arange(len(seen))[::-1]])

    starts = np.asarray(triangulate(cameras_of(matrices), np.moveaxis(seen, 1, 0), method="ransac").points)

    def call(frames: int) -> float:
        which = np.resize(there_and_back, frames)
        pixels, start = seen[which], starts[which]
        begin = time.perf_counter()
        if way == "ransac":
            points = triangulate(cameras_of(matrices), np.moveaxis(pixels, 1, 0), method="ransac").points
        else:
            points = fit_in_chunks(MODELS[way].fit, Observations(pixels), matrices, prior, start).mean
        jax.block_until_ready(points)
        return time.perf_counter() - begin

    peak = partial(resource.getrusage, resource.RUSAGE_SELF)
    call(100)
    before = peak().ru_maxrss
    first = call(frames if way == "ransac" else min(frames, TWO_WINDOWS))
    seconds = call(frames)
    return {"first_seconds": first, "seconds": seconds, "more_mb": (peak().ru_maxrss - before) / 1024}


def main() -> None:
    """Prints a row for each measurement and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", default="100,1000,10000,100000")
    parser.add_argument("--cameras", default="2,4,6,12")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.one:
        frames, cameras, way = flags.one.split(",")
        print(json.dumps(measure(flags.motion, int(frames), int(cameras), way)))
        return
    sizes = [(int(frames), USUAL[1]) for frames in flags.frames.split(",")]
    sizes += [(USUAL[0], int(cameras)) for cameras in flags.cameras.split(",") if int(cameras) != USUAL[1]]
    results = {}
    for way in flags.ways.split(","):
        for frames, cameras in sizes:
            one = [sys.executable, "-m", "launch.growth3d", f"--motion={flags.motion}", f"--json={flags.json}"]
            done = subprocess.run([*one, f"--one={frames},{cameras},{way}"], check=True, capture_output=True, text=True)
            row = results[f"{way}, {frames} frames, {cameras} cameras"] = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{way:7s} {frames:6d} frames {cameras:2d} cameras: {row['seconds']:8.3f} s, "
                f"{1e3 * row['seconds'] / frames:6.3f} ms a frame, {row['more_mb']:6.0f} MB",
                flush=True,
            )
            write_json(flags.json, results)


if __name__ == "__main__":
    main()
