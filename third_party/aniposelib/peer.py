"""aniposelib's bundle adjustment of the file that compare.py wrote; run by the Python that has aniposelib."""

import sys
import time

import numpy as np
from aniposelib.cameras import Camera, CameraGroup

FIELDS = ("matrix", "distortion", "rotation", "translation")


def group(data: dict[str, np.ndarray]) -> CameraGroup:
    cameras = []
    for index, (matrix, lens, turn, shift) in enumerate(zip(*(data[field] for field in FIELDS), strict=True)):
        size = tuple(data["size"].tolist())
        cameras.append(Camera(matrix=matrix, dist=lens, size=size, rvec=turn, tvec=shift, name=f"cam{index}"))
    return CameraGroup(cameras)


def main(source: str, target: str, runs: int) -> None:
    with np.load(source) as file:
        data = dict(file)
    extra = {name: data[name] for name in ("objp", "ids", "rvecs", "tvecs")}
    results = {}
    for task, boards in (("points", None), ("boards", extra)):
        seconds = []
        for _ in range(runs):
            cameras = group(data)
            start = time.perf_counter()
            cameras.bundle_adjust_iter(data["pixels"].copy(), boards and dict(boards))
            seconds.append(time.perf_counter() - start)
        ends = [
            (camera.get_camera_matrix(), camera.get_distortions(), camera.get_rotation(), camera.get_translation())
            for camera in cameras.cameras
        ]
        results[f"{task}/seconds"] = seconds
        for field, values in zip(FIELDS, zip(*ends, strict=True), strict=True):
            results[f"{task}/{field}"] = np.stack(
                [np.asarray(value, float).reshape(data[field].shape[1:]) for value in values]
            )
    np.savez(target, **results)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
