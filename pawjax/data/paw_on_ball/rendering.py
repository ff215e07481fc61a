"""Renders the frames of `paw_on_ball` in several processes.

The workers are plain child processes that run `work`, not a multiprocessing pool: a pool would import the user's
main script again in every worker, which fails if that script has no main guard, and a fork is not safe once JAX
has started its threads.
"""

import hashlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pawjax.data.paw_on_ball.frame import render
from pawjax.data.pictures import encode_png
from pawjax.machine import n_processors

FRAMES_PER_WORKER = 16  # below this a worker costs more to start than it saves


@dataclass(frozen=True)
class RenderedFrame:
    """One frame: png (of [H, W, 1]), digest (SHA-256 of the pixels), keypoint float32 [2] (x, y), labelled, video."""

    png: bytes
    digest: bytes
    keypoint: np.ndarray
    labelled: bool
    video: str


def render_frames(n_frames: int, *, seed: int, height: int, width: int, workers: int = 0) -> Iterator[RenderedFrame]:
    """Frames 0 .. n_frames - 1 in order, from `workers` processes (0: as many as save time); 1 renders in-process."""
    workers = workers or min(n_processors(), max(1, n_frames // FRAMES_PER_WORKER))
    if workers == 1:
        for index in range(n_frames):
            yield _render(index, seed, height, width)
        return
    processes = [_start_worker(first, workers, n_frames, seed, height, width) for first in range(workers)]
    try:
        for index in range(n_frames):
            # Frame i comes from worker i % workers; a full pipe holds the others back.
            process = processes[index % workers]
            try:
                yield pickle.load(process.stdout)  # noqa: S301 - written by our own child
            except EOFError:
                raise RuntimeError(f"a rendering process exited early (exit code {process.wait()})") from None
    finally:
        for process in processes:
            process.stdout.close()
            process.kill()
            process.wait()


def _start_worker(first: int, stride: int, n_frames: int, seed: int, height: int, width: int) -> subprocess.Popen:
    package_home = str(Path(__file__).resolve().parents[3])
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    numbers = [str(number) for number in (first, stride, n_frames, seed, height, width)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from pawjax.data.paw_on_ball.rendering import work; work()", *numbers],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
    )


def _render(index: int, seed: int, height: int, width: int) -> RenderedFrame:
    frame = render(index, seed=seed, height=height, width=width)
    pixels = np.ascontiguousarray(frame.image)
    return RenderedFrame(
        encode_png(pixels),
        hashlib.sha256(pixels.tobytes()).digest(),
        np.asarray(frame.keypoint, np.float32),
        bool(frame.labelled),
        frame.video,
    )


def work() -> None:
    """Entry point of a worker: renders the frames given by its arguments and writes them to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends its workers
    first, stride, n_frames, seed, height, width = map(int, sys.argv[1:])
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # only frames go into the pipe
    try:
        for index in range(first, n_frames, stride):
            pickle.dump(_render(index, seed, height, width), out)
        out.close()
    except BrokenPipeError:  # the parent has closed the pipe
        os._exit(1)
