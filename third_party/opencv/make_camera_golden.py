"""Writes projections, lenses, rotations and files of cameras as OpenCV has them, for tests/golden. Usage: README.md."""

import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

EXACT = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 500, 1e-15)
N_CAMERAS, N_POINTS = 4, 40
SIDES, SQUARE = ("left", "right"), 30  # mm


def cameras(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Cameras that look at the world's origin from about a metre; the last half are fisheyes."""
    matrix = np.tile(np.eye(3), (N_CAMERAS, 1, 1))
    matrix[:, [0, 1], [0, 1]] = rng.uniform(700, 1500, (N_CAMERAS, 2))
    matrix[:, :2, 2] = rng.uniform(300, 600, (N_CAMERAS, 2))
    scale = np.array([0.15, 0.1, 0.004, 0.004, 0.03])
    distortion = rng.uniform(-1, 1, (N_CAMERAS, 5)) * scale
    fisheye = np.arange(N_CAMERAS) >= N_CAMERAS // 2
    distortion[fisheye] = rng.uniform(-0.02, 0.02, (fisheye.sum(), 5)) * [1, 1, 0.5, 0.2, 0]
    rotation = rng.normal(size=(N_CAMERAS, 3))
    translation = rng.uniform(-80, 80, (N_CAMERAS, 3)) + [0, 0, 1000]
    arrays = {"matrix": matrix, "distortion": distortion, "rotation": rotation, "translation": translation}
    return arrays | {"fisheye": fisheye}


def projections(rig: dict[str, np.ndarray], points: np.ndarray) -> dict[str, np.ndarray]:
    """Pixels, derivatives by the parameters (of cameras without fisheye), and pixels undistorted."""
    pixels, jacobians, ideal = [], [], []
    for k, d, r, t, fisheye in zip(*rig.values(), strict=True):
        if fisheye:
            seen, _ = cv2.fisheye.projectPoints(points[:, None], r, t, k, d[:4])
            straight = cv2.fisheye.undistortPoints(seen, k, d[:4], P=k, criteria=EXACT)
        else:
            seen, jacobian = cv2.projectPoints(points, r, t, k, d)
            straight = cv2.undistortPoints(seen, k, d, P=k, criteria=EXACT)
            jacobians.append(jacobian[:, :15].reshape(-1, 2, 15))
        pixels.append(seen.reshape(-1, 2))
        ideal.append(straight.reshape(-1, 2))
    return {"points": points, "pixels": np.stack(pixels), "jacobians": np.stack(jacobians), "ideal": np.stack(ideal)}


def rotations(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rodrigues vectors of all lengths, and their matrices."""
    directions = rng.normal(size=(12, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    lengths = np.array([0, 1e-9, 1e-6, 1e-3, 0.1, 0.3, 1, 2, 3, np.pi - 1e-6, np.pi - 1e-3, 3.1])
    vectors = directions * lengths[:, None]
    return {"vectors": vectors, "matrices": np.stack([cv2.Rodrigues(vector)[0] for vector in vectors])}


def stereo(rig: dict[str, np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The pair of the first two cameras, as cv2.stereoRectify turns it and cv2.FileStorage writes it."""
    (k1, k2), (d1, d2) = rig["matrix"][:2], rig["distortion"][:2]
    turns = [cv2.Rodrigues(vector)[0] for vector in rig["rotation"][:2]]
    turn = turns[1] @ turns[0].T
    shift = rig["translation"][1] - turn @ rig["translation"][0]
    first, second, *_ = cv2.stereoRectify(k1, d1, k2, d2, size, turn, shift[:, None])
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/stereo.yml"
        file = cv2.FileStorage(path, cv2.FILE_STORAGE_WRITE)
        for name, value in {"M1": k1, "D1": d1, "M2": k2, "D2": d2, "R": turn, "T": shift}.items():
            file.write(name, value)
        file.release()
        content = Path(path).read_bytes()
    arrays = {"R": turn, "T": shift, "R1": first, "R2": second, "yaml": np.frombuffer(content, np.uint8)}
    return {f"stereo/{name}": array for name, array in arrays.items()}


def boards(photographs: Path) -> dict[str, np.ndarray]:
    """Corners [2, 14, 54, 2] of a chessboard in photographs of two cameras, and how OpenCV calibrates from them."""
    board = np.zeros((9 * 6, 3), np.float32)
    board[:, :2] = SQUARE * np.mgrid[:9, :6].T.reshape(-1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-4)
    with zipfile.ZipFile(photographs) as archive:
        names = {side: sorted(name for name in archive.namelist() if name.startswith(side)) for side in SIDES}
        corners = np.empty((2, len(names["left"]), len(board), 2), np.float32)
        for camera, side in enumerate(SIDES):
            for view, name in enumerate(names[side]):
                image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
                found, places = cv2.findChessboardCorners(image, (9, 6))
                assert found, name
                corners[camera, view] = cv2.cornerSubPix(image, places, (5, 5), (-1, -1), criteria).reshape(-1, 2)
    size, views = image.shape[::-1], [board] * corners.shape[1]
    single = [cv2.calibrateCamera(views, list(seen), size, None, None) for seen in corners]
    (k1, d1), (k2, d2) = (result[1:3] for result in single)
    together = cv2.stereoCalibrate(views, *map(list, corners), k1, d1, k2, d2, size, flags=cv2.CALIB_FIX_INTRINSIC)
    poses = np.concatenate([np.stack(single[0][3])[..., 0], np.stack(single[0][4])[..., 0]], axis=-1)
    arrays = {"board": board, "corners": corners, "poses": poses, "rms": [single[0][0], single[1][0], together[0]]}
    return {f"boards/{name}": np.asarray(array) for name, array in arrays.items()} | {
        "boards/R": together[5],
        "boards/T": together[6][:, 0],
        "boards/matrix": np.stack([k1, k2]),
    }


def main(out: Path, photographs: Path) -> None:
    rng = np.random.default_rng(0)
    rig = cameras(rng)
    points = rng.uniform(-150, 150, (N_POINTS, 3))
    arrays = rig | projections(rig, points) | rotations(rng) | stereo(rig, (1000, 900)) | boards(photographs)
    np.savez_compressed(out / "opencv_cameras.npz", **arrays)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
