"""How fast are videos decoded, beside ffmpeg itself?

    python launch/decoding.py VIDEO --turns=3

Decodes the whole video in turns by pawjax and by the program ffmpeg with as many threads, as RGB and as gray pixels.
"""

import argparse
import subprocess
import time
from pathlib import Path

import numpy as np

from pawjax.data.video import FrameReader, open_video
from pawjax.machine import n_processors

FORMATS = {"rgb24": 3, "gray": 1}  # of ffmpeg, and channels


def by_pawjax(path: Path, pixel_format: str) -> None:
    """Decodes and drops the frames."""
    for _ in FrameReader(open_video(path), FORMATS[pixel_format]):
        pass


def by_ffmpeg(path: Path, pixel_format: str) -> None:
    """Writes the pixels to nowhere."""
    command = ["ffmpeg", "-v", "error", "-y", "-threads", str(n_processors()), "-i", str(path)]
    subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", pixel_format, "/dev/null"], check=True)


def main() -> None:
    """Prints frames/s, medians over the turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    flags = parser.parse_args()
    n_frames = open_video(flags.video).n_frames
    for pixel_format in FORMATS:
        seconds: dict[str, list[float]] = {"pawjax": [], "ffmpeg": []}
        for _ in range(flags.turns):
            for name, decode in (("pawjax", by_pawjax), ("ffmpeg", by_ffmpeg)):
                start = time.perf_counter()
                decode(flags.video, pixel_format)
                seconds[name].append(time.perf_counter() - start)
        rates = ", ".join(f"{name} {n_frames / np.median(taken):.0f}" for name, taken in seconds.items())
        print(f"{pixel_format}: {rates} frames/s ({n_frames} frames, {n_processors()} processors)", flush=True)


if __name__ == "__main__":
    main()
