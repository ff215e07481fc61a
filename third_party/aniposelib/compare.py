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
from pawjax.pose3d.bundle import adjust_boards, adjust_points, free_parameters
from pawjax.pose3d.cameras import Cameras, project
from pawjax.pose3d.jacobians import N_POSE
from pawjax.pose3d.placing import board_places
from pawjax.pose3d.triangulation import triangulate

N_CAMERAS, N_VIEWS, SIDE, SQUARE = 4, 30, 7, 12.0  # 30 boards of 49 corners, 12 mm apart
NOISE = 0.2  # px, in x and y
ANGLE, SHIFT = 0.01, 3.0  # radians and mm by which the cameras are off at the start
FOCAL = 0.02  # part by which their focal lengths are
SIZE = (1280, 1024)
PEER = Path(__file__).with_name("peer.py")


def truth(rng: np.random.Generator, count: int) -> Cameras:
    """Cameras in a ring, a metre from the origin and above it, with lenses of one coefficient, as aniposelib fits."""
    angles = 2 * np.pi * np.arange(count) / count
    places = 800 * np.stack([np.cos(angles), np.sin(angles), np.full(count, 0.8)], axis=-1)
    turns = []
    for place in places:
        forward = -place / np.linalg.norm(place)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        turns.append(Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward])))
    focal = rng.uniform(1300, 1500, count)
    matrix = np.stack([np.array([[f, 0, SIZE[0] / 2], [0, f, SIZE[1] / 2], [0, 0, 1]]) for f in focal])
    lens = np.zeros((count, 5))
    lens[:, 0] = rng.uniform(-0.15, 0.05, count)
    names = tuple(f"cam{index}" for index in range(count))
    rotation = np.stack([turn.as_rotvec() for turn in turns])
    translation = np.stack([-turn.apply(place) for turn, place in zip(turns, places, strict=True)])
    return Cameras(names, (SIZE,) * count, matrix, lens, rotation, translation, np.zeros(count, bool))


def corners(cameras: Cameras, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The board [49, 3], its poses [30, 6], and where each camera sees its corners [C, 30, 49, 2], with noise."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    board = SQUARE * np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(float)
    poses = np.concatenate([0.5 * rng.normal(size=(N_VIEWS, 3)), rng.uniform(-120, 60, (N_VIEWS, 3))], axis=-1)
    with jax.enable_x64(True):
        pixels = np.asarray(project(cameras, board_places(board, poses)))
    return board, poses, pixels + NOISE * rng.normal(size=pixels.shape)


def perturbed(cameras: Cameras, rng: np.random.Generator) -> Cameras:
    """The start: focal lengths and, but for the first camera, poses that are off, and no distortion."""
    matrix = cameras.matrix.copy()
    matrix[:, [0, 1], [0, 1]] *= 1 + FOCAL * rng.uniform(-1, 1, (N_CAMERAS, 1))
    off = (np.arange(N_CAMERAS) > 0)[:, None]
    turns = Rotation.from_rotvec(off * ANGLE * rng.normal(size=(N_CAMERAS, 3)))
    rotation = (turns * Rotation.from_rotvec(np.array(cameras.rotation))).as_rotvec()
    translation = cameras.translation + off * SHIFT * rng.normal(size=(N_CAMERAS, 3))
    lens = np.zeros_like(cameras.distortion)
    return dataclasses.replace(cameras, matrix=matrix, rotation=rotation, translation=translation, distortion=lens)


def score(cameras: Cameras, pixels: np.ndarray, true: Cameras) -> str:
    """Reprojection errors of the corners triangulated with these cameras, and errors of their focal lengths."""
    with jax.enable_x64(True):
        points = triangulate(cameras, pixels, method="least_squares").points
        errors = np.linalg.norm(np.asarray(project(cameras, points)) - pixels, axis=-1)
    focal = np.abs(cameras.matrix[:, 0, 0] / true.matrix[:, 0, 0] - 1).max()
    rms = np.sqrt((errors**2).mean())
    return f"{np.median(errors):.4f} | {rms:.4f} | {100 * focal:.2f}"


def in_cameras(cameras: Cameras, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations [C, V, 3] of boards at poses [V, 6] in each camera's frame."""
    turns = [Rotation.from_rotvec(np.array(turn)) for turn in cameras.rotation]
    boards = Rotation.from_rotvec(poses[:, :3])
    rotation = np.stack([(turn * boards).as_rotvec() for turn in turns])
    shifts = zip(turns, cameras.translation, strict=True)
    return rotation, np.stack([turn.apply(poses[:, 3:]) + shift for turn, shift in shifts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aniposelib-python", required=True, help="Python that has aniposelib")
    parser.add_argument("--runs", type=int, default=3, help="after the first, which compiles")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    true = truth(rng, N_CAMERAS)
    board, poses, pixels = corners(true, rng)
    start = perturbed(true, rng)
    off = poses + [*[ANGLE] * 3, *[SHIFT] * 3] * rng.normal(size=poses.shape)
    flat = pixels.reshape(N_CAMERAS, -1, 2)
    rows = {f"aniposelib, {task}": row for task, row in peer(start, flat, board, off, options).items()}
    free = free_parameters(start, lens=1)
    free[:, N_POSE + 2 : N_POSE + 4] = False  # aniposelib fits the focal length and one coefficient of the lens

    def of_points() -> Cameras:
        guess = np.asarray(triangulate(start, flat, method="linear").points)
        return adjust_points(start, flat, guess, free).cameras

    def of_boards() -> Cameras:
        return adjust_boards(start, pixels, board, off, free).cameras

    for task, adjust in (("points", of_points), ("boards", of_boards)):
        seconds = []
        for _ in range(options.runs + 1):
            begin = time.perf_counter()
            cameras = adjust()
            seconds.append(time.perf_counter() - begin)
        rows[f"pawjax, {task}"] = seconds, cameras
    print(f"{flat.shape[1]} corners, {N_CAMERAS} cameras, noise {NOISE} px; {device_name()}\n")
    print("| | first, s | median of the others, s | median error, px | RMS, px | focal lengths off by, % |")
    print("|---|---|---|---|---|---|")
    for name, (seconds, cameras) in rows.items():
        print(f"| {name} | {seconds[0]:.2f} | {np.median(seconds[1:]):.3f} | {score(cameras, flat, true)} |")
    for task in ("points", "boards"):
        theirs, ours = (np.median(rows[f"{who}, {task}"][0][1:]) for who in ("aniposelib", "pawjax"))
        print(f"\n{task}: pawjax is {theirs / ours:.0f} times as fast")


def peer(
    start: Cameras, pixels: np.ndarray, board: np.ndarray, poses: np.ndarray, options: argparse.Namespace
) -> dict[str, tuple[np.ndarray, Cameras]]:
    """{task: seconds of each run, and the cameras} of aniposelib."""
    names = ("matrix", "distortion", "rotation", "translation")
    rotation, translation = (np.repeat(part, len(board), axis=1) for part in in_cameras(start, poses))
    fields = {name: getattr(start, name) for name in names} | {"rvecs": rotation, "tvecs": translation}
    fields |= {"objp": np.tile(board, (N_VIEWS, 1)), "ids": np.repeat(np.arange(N_VIEWS), len(board))}
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/start.npz", f"{folder}/end.npz"
        np.savez(source, pixels=pixels, size=SIZE, **fields)
        command = [options.aniposelib_python, str(PEER), source, target, str(options.runs + 1)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with np.load(target) as file:
            end = dict(file)
    return {
        task: (
            end[f"{task}/seconds"],
            dataclasses.replace(start, **{name: end[f"{task}/{name}"] for name in names}),
        )
        for task in ("points", "boards")
    }


if __name__ == "__main__":
    main()
