"""A prediction that is killed again and again ends with the files of one that was not; memory does not grow."""

import os
import signal
import subprocess
import time
from pathlib import Path

import av
import numpy as np
import pytest

from pawjax.engine.loop import train_and_evaluate
from tests.tiny import command, tiny_config

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 10
MOST_GROWTH = 50_000_000  # bytes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "tiny"
    train_and_evaluate(tiny_config(), folder)
    return folder


def write_video(path: Path, n_frames: int) -> Path:
    """A bright square that moves over noise."""
    noise = np.random.default_rng(0).integers(0, 60, (64, 96), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(n_frames):
            pixels = noise.copy()
            x, y = number % 80, number // 80 % 50
            pixels[y : y + 12, x : x + 12] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
        container.mux(stream.encode())
    return path


def start(run: Path, video: Path, out: Path) -> subprocess.Popen:
    words = [f"--workdir={run}", str(video), f"--out={out}", "--formats=dlc,lp,sleap,coco", "--filter=median"]
    return subprocess.Popen([*command("pawjax.predict"), *words], cwd=ROOT, stderr=subprocess.DEVNULL)


def test_killed_predictions_end_with_the_same_files(run, tmp_path):
    video = write_video(tmp_path / "m.mp4", 8000)
    begin = time.monotonic()
    assert start(run, video, tmp_path / "whole").wait() == 0
    seconds = time.monotonic() - begin
    whole = contents(tmp_path / "whole")
    rng, kills = np.random.default_rng(), []
    folder = tmp_path / "killed0"
    while len(kills) < N_KILLS:
        process, delay = start(run, video, folder), rng.uniform(0.1, 1.0) * seconds
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills.append(round(delay, 1))
        else:
            assert contents(folder) == whole
            folder = tmp_path / f"killed{len(kills)}"
    assert start(run, video, folder).wait() == 0
    print(f"killed after {kills} of {seconds:.1f} s")
    assert len(whole) > 8 and contents(folder) == whole


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def peak_memory(run: Path, video: Path, out: Path) -> tuple[int, float]:
    """Peak bytes and processor seconds of a prediction."""
    process = start(run, video, out)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status  # it has been waited for
    assert status == 0
    return usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("n_frames", [int(os.environ.get("PAWJAX_MANY_FRAMES", 20_000))])
def test_memory_does_not_grow_with_the_video(run, tmp_path, n_frames):
    """PAWJAX_MANY_FRAMES=216000 takes the video of two hours at 30 frames/s."""
    few, many = write_video(tmp_path / "few.mp4", 2000), write_video(tmp_path / "many.mp4", n_frames)
    small, seconds = peak_memory(run, few, tmp_path / "out")
    large, more = peak_memory(run, many, tmp_path / "out")
    print(f"2000 frames: {small / 1e6:.0f} MB, {seconds:.1f} s; {n_frames}: {large / 1e6:.0f} MB, {more:.1f} s")
    assert large < small + MOST_GROWTH
