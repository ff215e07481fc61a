"""Bundle adjustment by aniposelib and by pawjax, of the same corners from the same start. Usage: README.md."""

import argparse
import dataclasses
import subprocess
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from pawjax.machine import device_name
from pawjax.pose3d.bundle import adjust_boards, adjust_points
from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.placing import board_places
from pawjax.pose3d.triangulation import triangulate

N_CAMERAS, N_VIEWS, SIDE, SQUARE = 4, 30, 7, 12.0  # 30 boards of 49 corners, 12 mm apart
NOISE = 0.2  # px, in x and y
ANGLE, SHIFT = 0.01, 3.0  # radians and mm by which the cameras are off at the start
SIZE = (1280, 1024)
PEER = Path(__file__).with_name("peer.py")


def truth(rng: np.random.Generator) -> Cameras:
    """Cameras in a ring, a metre from the origin and above it, with lenses of one coefficient, as aniposelib fits."""
    angles = 2 * np.pi * np.arange(N_CAMERAS) / N_CAMERAS
    places = 800 * np.stack([np.cos(angles), np.sin(angles), np.full(N_CAMERAS, 0.8)], axis=-1)
    turns = []
    for place in places:
        forward = -place / np.linalg.norm(place)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        turns.append(Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward])))
    focal = rng.uniform(1300, 1500, N_CAMERAS)
    matrix = np.stack([np.array([[f, 0, SIZE[0] / 2], [0, f, SIZE[1] / 2], [0, 0, 1]]) for f in focal])
    lens = np.zeros((N_CAMERAS, 5))
    lens[:, 0] = rng.uniform(-0.15, 0.05, N_CAMERAS)
    names = tuple(f"cam{index}" for index in range(N_CAMERAS))
    rotation = np.stack([turn.as_rotvec() for turn in turns])
    translation = np.stack([-turn.apply(place) for turn, place in zip(turns, places, strict=True)])
    return Cameras(names, (SIZE,) * N_CAMERAS, matrix, lens, rotation, translation, np.zeros(N_CAMERAS, bool))


def corners(cameras: Cameras, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The board [49, 3], its poses [30, 6], and where each camera sees its corners [C, 30, 49, 2], with noise."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    board = SQUARE * np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(float)
    poses = np.concatenate([0.5 * rng.normal(size=(N_VIEWS, 3)), rng.uniform(-120, 60, (N_VIEWS, 3))], axis=-1)
    with jax.enable_x64(True):
        pixels = np.asarray(project(cameras, board_places(board, poses)))
    return board, poses, pixels + NOISE * rng.normal(size=pixels.shape)


def perturbed(cameras: Cameras, rng: np.random.Generator) -> Cameras:
    """The start: poses that are off, but for the first camera, and no distortion."""
    off = (np.arange(N_CAMERAS) > 0)[:, None]
    turns = Rotation.from_rotvec(off * ANGLE * rng.normal(size=(N_CAMERAS, 3)))
    rotation = (turns * Rotation.from_rotvec(np.array(cameras.rotation))).as_rotvec()
    translation = cameras.translation + off * SHIFT * rng.normal(size=(N_CAMERAS, 3))
    return dataclasses.replace(
        cameras, rotation=rotation, translation=translation, distortion=np.zeros_like(cameras.distortion)
    )


def score(cameras: Cameras, pixels: np.ndarray, true: Cameras) -> str:
    """Reprojection errors of the corners triangulated with these cameras, and errors of their focal lengths."""
    with jax.enable_x64(True):
        points = triangulate(cameras, pixels, method="least_squares").points
        errors = np.linalg.norm(np.asarray(project(cameras, points)) - pixels, axis=-1)
    focal = np.abs(cameras.matrix[:, 0, 0] / true.matrix[:, 0, 0] - 1).max()
    rms = np.sqrt((errors**2).mean())
    return f"{np.median(errors):.4f} | {rms:.4f} | {100 * focal:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aniposelib-python", required=True, help="Python that has aniposelib")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    true = truth(rng)
    board, poses, pixels = corners(true, rng)
    start = perturbed(true, rng)
    flat = pixels.reshape(N_CAMERAS, -1, 2)
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/start.npz", f"{folder}/end.npz"
        fields = {name: getattr(start, name) for name in ("matrix", "distortion", "rotation", "translation")}
        np.savez(source, pixels=flat, size=SIZE, **fields)
        command = [options.aniposelib_python, str(PEER), source, target, str(options.runs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        end = dict(np.load(target))
    rows = {"aniposelib": (end.pop("seconds"), dataclasses.replace(start, **end))}

    def timed(name: str, adjust) -> None:  # noqa: ANN001
        seconds = []
        for _ in range(options.runs + 1):
            begin = time.perf_counter()
            cameras = adjust()
            seconds.append(time.perf_counter() - begin)
        rows[name] = seconds, cameras

    def free_points() -> Cameras:
        guess = np.asarray(triangulate(start, flat, method="linear").points)
        return adjust_points(start, flat, guess).cameras

    timed("pawjax, free points", free_points)
    off = poses + [*[ANGLE] * 3, *[SHIFT] * 3] * rng.normal(size=poses.shape)
    timed("pawjax, rigid boards", lambda: adjust_boards(start, pixels, board, off).cameras)
    print(f"{flat.shape[1]} corners, {N_CAMERAS} cameras, noise {NOISE} px; {device_name()}")
    print("| | first, s | median of the others, s | median error, px | RMS, px | focal lengths off by, % |")
    print("|---|---|---|---|---|---|")
    for name, (seconds, cameras) in rows.items():
        print(f"| {name} | {seconds[0]:.3f} | {np.median(seconds[1:]):.3f} | {score(cameras, flat, true)} |")
    peer = np.median(rows["aniposelib"][0][1:])
    for name in list(rows)[1:]:
        print(f"{name}: {peer / np.median(rows[name][0][1:]):.0f} times as fast as aniposelib, compiled")


if __name__ == "__main__":
    main()
