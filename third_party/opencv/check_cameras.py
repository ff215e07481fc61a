"""Reads with OpenCV the calibrations that pawjax writes, and projects and triangulates with them. Usage: README.md."""

import pickle
import sys
import tomllib
from pathlib import Path

import numpy as np

FILE = "points.npz"


def write(folder: Path) -> None:
    """Writes two cameras in the formats that OpenCV's users read, and points with their pixels."""
    from pawjax.pose3d.calibration_files import write_calibration
    from pawjax.pose3d.cameras import project
    from pawjax.pose3d.checked import make_cameras

    matrix = [[[900.0, 0, 320], [0, 910, 250], [0, 0, 1]], [[950.0, 0, 330], [0, 940, 240], [0, 0, 1]]]
    lens, turns = [[-0.1, 0.05, 0.001, -0.002, 0.01], [0.1, -0.02, 0, 0.001, 0]], [[0, 0, 0], [0.1, -0.5, 0.05]]
    shifts = [[0, 0, 0], [-250.0, 10, 60]]
    rig = make_cameras("here", ["one", "two"], [(640, 480)] * 2, matrix, lens, turns, shifts)
    for ending in (".toml", ".yaml", ".pickle"):
        write_calibration(folder / f"calibration{ending}", rig, overwrite=True)
    points = np.random.default_rng(0).uniform(-80, 80, (50, 3)) + [0, 0, 500]
    np.savez(folder / FILE, points=points, pixels=np.asarray(project(rig, points), np.float64))


def read(folder: Path) -> None:
    """Prints the largest difference for each format: in pixels, and for DeepLabCut's way to triangulate in mm."""
    import cv2

    data = np.load(folder / FILE)

    def largest(cameras: list) -> float:
        seen = [cv2.projectPoints(data["points"], *camera)[0][:, 0] for camera in cameras]
        return np.abs(seen - data["pixels"]).max()

    tables = tomllib.loads((folder / "calibration.toml").read_text())
    order = ("rotation", "translation", "matrix", "distortions")
    print("toml", largest([[np.array(table[field]) for field in order] for table in tables.values()]), "px")

    file = cv2.FileStorage(str(folder / "calibration.yaml"), cv2.FILE_STORAGE_READ)
    nodes = [file.getNode("cameras").at(index) for index in range(2)]
    order = ("rotation_vector", "translation_vector", "camera_matrix", "distortion_coefficients")
    print("yaml", largest([[node.getNode(field).mat() for field in order] for node in nodes]), "px")

    entries = pickle.loads((folder / "calibration.pickle").read_bytes())["one-two"]
    ideal = [
        cv2.undistortPoints(
            data["pixels"][camera - 1][:, None],
            *(entries[f"{name}{camera}"] for name in ("cameraMatrix", "distCoeffs")),
            R=entries[f"R{camera}"],
            P=entries[f"P{camera}"],
        )
        for camera in (1, 2)
    ]
    found = cv2.triangulatePoints(entries["P1"], entries["P2"], *ideal)
    found = (found[:3] / found[3]).T @ entries["R1"]  # back to the first camera's frame
    print("pickle", np.abs(found - data["points"]).max(), "mm")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
