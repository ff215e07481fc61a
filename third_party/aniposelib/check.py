"""Reads with aniposelib the calibration that pawjax writes, and the other way round. Usage: README.md."""

import sys
from pathlib import Path

import numpy as np

POINTS, OURS, THEIRS = "points.npz", "pawjax.toml", "aniposelib.toml"


def ours(folder: Path) -> None:
    """Writes cameras, one of them a fisheye, as .toml, and points with their pixels."""
    from pawjax.pose3d.calibration_files import write_calibration
    from pawjax.pose3d.cameras import project
    from pawjax.pose3d.checked import make_cameras

    matrix = [[[f, 0, 320], [0, f + 5, 250], [0, 0, 1]] for f in (900.0, 950.0, 500.0)]
    lens = [[-0.1, 0.05, 0.001, -0.002, 0.01], [0.1, -0.02, 0, 0.001, 0], [0.02, -0.01, 0.001, 0]]
    turns, shifts = [[0, 0, 0], [0.1, -0.5, 0.05], [-0.2, 0.4, 0]], [[0, 0, 0], [-250.0, 10, 60], [200.0, 0, 40]]
    rig = make_cameras(
        "here", ["one", "two", "wide"], [(640, 480)] * 3, matrix, lens, turns, shifts, fisheye=[False, False, True]
    )
    write_calibration(folder / OURS, rig, overwrite=True)
    points = np.random.default_rng(0).uniform(-80, 80, (50, 3)) + [0, 0, 500]
    np.savez(folder / POINTS, points=points, pixels=np.asarray(project(rig, points), np.float64))


def theirs(folder: Path) -> None:
    """Reads the file, prints the largest difference of its pixels and triangulated points, and writes the cameras."""
    from aniposelib.cameras import CameraGroup

    group, data = CameraGroup.load(str(folder / OURS)), np.load(folder / POINTS)
    print(group.get_names(), [camera.get_size() for camera in group.cameras], [type(c).__name__ for c in group.cameras])
    print("aniposelib reads pawjax:", np.abs(group.project(data["points"]) - data["pixels"]).max(), "px")
    found = group.triangulate(data["pixels"])
    print("and triangulates:", np.abs(found - data["points"]).max(), "mm")
    group.dump(str(folder / THEIRS))


def again(folder: Path) -> None:
    """Reads what aniposelib wrote, and prints the largest difference of its pixels."""
    from pawjax.pose3d.calibration_files import read_calibration
    from pawjax.pose3d.cameras import project

    data = np.load(folder / POINTS)
    pixels = np.asarray(project(read_calibration(folder / THEIRS), data["points"]))
    print("pawjax reads aniposelib:", np.abs(pixels - data["pixels"]).max(), "px")


if __name__ == "__main__":
    {"write": ours, "read": theirs, "again": again}[sys.argv[1]](Path(sys.argv[2]))
