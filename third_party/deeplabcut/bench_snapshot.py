"""Times DeepLabCut and pawjax on one snapshot and one video, in turns and with the same allocator settings.

    .venv-dlc/bin/python third_party/deeplabcut/bench_snapshot.py --config=FOLDER/project/config.yaml --video=VIDEO \
        --pawjax-python=.venv/bin/python --frames=300 --turns=3 --windows=0,256

FOLDER is that of snapshot.py. Decoding and files are included on both sides. DeepLabCut's time is that of
`deeplabcut.analyze_videos` alone, without its import; pawjax's is that of the whole command, `python -m pawjax.predict
--snapshot=...`, with its imports and compilation. The ratios are of the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import ALLOCATOR, ROOT
from snapshot import best_snapshot, cut, of_csv

ENVIRONMENT = os.environ | {"GLIBC_TUNABLES": ALLOCATOR, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
ANALYZE = """
import sys, time
from bench import declare_operators
operators = declare_operators()
import deeplabcut
start = time.perf_counter()
options = dict(destfolder=sys.argv[3], device="cpu", batch_size=int(sys.argv[4]), save_as_csv=True)
deeplabcut.analyze_videos(sys.argv[1], [sys.argv[2]], **options)
print("seconds", time.perf_counter() - start)
"""


def by_deeplabcut(config: Path, video: Path, batch: int) -> tuple[float, np.ndarray]:
    """Seconds of `analyze_videos`, and its x, y and likelihood [N, K, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ANALYZE, str(config), str(video), folder, str(batch)]
        output = subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True).stdout
        (table,) = Path(folder).glob("*.csv")
        return float(output.split()[-1]), of_csv(table)


def by_pawjax(python: str, snapshot: Path, video: Path, batch: int, window: int) -> tuple[float, np.ndarray]:
    """Seconds of the whole command, and its x, y and likelihood [N, K, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "pawjax.predict", f"--snapshot={snapshot}", str(video), f"--out={folder}"]
        command += [f"--batch={batch}", f"--track_window={window}", "--formats=dlc"]
        start = time.perf_counter()
        subprocess.run(command, check=True, env=ENVIRONMENT, stdout=sys.stderr)
        seconds = time.perf_counter() - start
        (table,) = Path(folder).glob("*.csv")
        return seconds, of_csv(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="config.yaml of the project with the snapshot")
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--pawjax-python", default=sys.executable)
    parser.add_argument("--frames", type=int, default=300, help="of the video, from its first; 0 for all")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--windows", default="0,256", help="pawjax's --track_window, px; 0 for whole frames")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config, windows = options.config.resolve(), [int(side) for side in options.windows.split(",")]
    snapshot = best_snapshot(config)
    with tempfile.TemporaryDirectory() as folder:
        video = cut(options.video.resolve(), Path(folder), options.frames)
        seconds: dict[str, list[float]] = {"DeepLabCut": [], **{f"pawjax, window {side}": [] for side in windows}}
        points = {}
        for _ in range(options.turns):
            runs = {"DeepLabCut": by_deeplabcut(config, video, options.batch)}
            for side in windows:
                name = f"pawjax, window {side}"
                runs[name] = by_pawjax(options.pawjax_python, snapshot, video, options.batch, side)
            for name, (time_taken, found) in runs.items():
                seconds[name].append(time_taken)
                points[name] = found
    theirs, n = statistics.median(seconds["DeepLabCut"]), len(points["DeepLabCut"])
    print(f"{snapshot.name}, {n} frames, batch {options.batch}, {options.turns} turns, {os.cpu_count()} processors")
    print("| frames/s | median | all | ratio | px from DeepLabCut: median, 99 %, most | likelihood: most |")
    print("|---|---|---|---|---|---|")
    for name, times in seconds.items():
        apart = np.linalg.norm(points[name][..., :2] - points["DeepLabCut"][..., :2], axis=-1)
        error = ", ".join(f"{value:.2g}" for value in np.percentile(apart, (50, 99, 100)))
        unlike = np.abs(points[name][..., 2] - points["DeepLabCut"][..., 2]).max()
        median, rates = statistics.median(times), ", ".join(f"{n / value:.3g}" for value in times)
        print(f"| {name} | {n / median:.3g} | {rates} | {theirs / median:.2f} | {error} | {unlike:.2g} |")
    if options.json:
        options.json.write_text(json.dumps({"frames": n, "batch": options.batch, "seconds": seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
