"""aniposelib's RANSAC of the file that ransac.py wrote; run by the Python that has aniposelib."""

import sys
import time

import numpy as np
from peer import group

LEAST = (2, 3)  # cameras of a subset: aniposelib's default, and anipose's


def main(source: str, target: str) -> None:
    with np.load(source) as file:
        data = dict(file)
    cameras, pixels = group(data), data["pixels"]
    results = {}
    for least in LEAST:
        cameras.triangulate_ransac(pixels[:, :2], min_cams=least)  # compiles
        start = time.perf_counter()
        points = cameras.triangulate_ransac(pixels, min_cams=least)[0]
        results |= {f"{least}/seconds": time.perf_counter() - start, f"{least}/points": points}
    np.savez(target, **results)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
