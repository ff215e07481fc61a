"""Makes small odd videos with ffmpeg, and what ffmpeg decodes from them, as goldens of `pawjax.data.video`.

    python third_party/ffmpeg/make_golden.py          # needs the programs ffmpeg and ffprobe

Writes tests/golden/videos/NAME.* and tests/golden/videos.npz: for each video the presentation times of its frames
(ffprobe) and the RGB pixels of all frames (ffmpeg, turned as the file says, no frame dropped or repeated).
"""

import json
import subprocess
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden"
FRAMES = 12
SOURCE = "testsrc2=size={size}:rate=25"
X264 = "-c:v libx264 -pix_fmt yuv420p"
VIDEOS = {  # name: (size, options of the encoder)
    "b_frames.mp4": ("48x32", f"{X264} -bf 3"),
    "ten_bits.mkv": ("48x32", "-c:v libx264 -pix_fmt yuv420p10le"),
    "full_range.mp4": ("48x32", "-c:v libx264 -pix_fmt yuvj420p -color_range pc"),
    "odd_size.mp4": ("48x32", "-vf format=yuv444p,crop=47:31 -c:v libx264"),
    "variable_rate.mp4": ("48x32", f"-vf select='not(eq(mod(n\\,5)\\,2))' -vsync vfr {X264}"),
    "gray.avi": ("48x32", "-c:v ffv1 -pix_fmt gray"),
    "mpeg4.avi": ("48x32", "-c:v mpeg4 -q:v 3"),
    "late.mpg": ("48x32", "-c:v mpeg2video -q:v 3"),
    "vp9.webm": ("48x32", "-c:v libvpx-vp9 -b:v 200k"),
    "no_times.h264": ("48x32", f"{X264} -bsf:v h264_mp4toannexb"),
}
COPIES = {  # name: (from, options before and after the input)
    "rotated.mov": ("b_frames.mp4", "", "-metadata:s:v rotate=90 -c copy"),
    "edit_list.mp4": ("b_frames.mp4", "-ss 0.16", "-c copy"),
    "negative_times.mkv": ("b_frames.mp4", "-itsoffset -0.2", "-c copy -avoid_negative_ts disabled"),
}
TRUNCATED = {"truncated.mpg": "late.mpg"}  # its last 40 % are missing


def main() -> None:
    folder = GOLDEN / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (size, options) in VIDEOS.items():
        ffmpeg(f"-f lavfi -i {SOURCE.format(size=size)} -frames:v {FRAMES} {options}", folder / name)
    for name, (source, before, after) in COPIES.items():
        ffmpeg(f"{before} -i {folder / source} {after}", folder / name)
    for name, source in TRUNCATED.items():
        content = (folder / source).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 6 // 10])
    arrays = {}
    for path in sorted(folder.iterdir()):
        pixels = decoded(path)
        arrays[f"{path.name}/pixels"], arrays[f"{path.name}/times"] = pixels, times(path)
        print(path.name, pixels.shape, arrays[f"{path.name}/times"][:3])
    np.savez_compressed(GOLDEN / "videos.npz", **arrays)


def ffmpeg(options: str, target: Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *options.split(), str(target)], check=True)


def decoded(path: Path) -> np.ndarray:
    """uint8 [T, H, W, 3]."""
    head = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", "-show_streams", str(path)]
    stream = json.loads(subprocess.run(head, capture_output=True, check=True).stdout)["streams"][0]
    height, width = stream["height"], stream["width"]
    if any(abs(data.get("rotation", 0)) == 90 for data in stream.get("side_data_list", ())):
        height, width = width, height
    options = ["-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(["ffmpeg", "-v", "quiet", "-i", str(path), *options], capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def times(path: Path) -> np.ndarray:
    """Presentation times in seconds, NaN where the file has none."""
    words = ["-v", "quiet", "-select_streams", "v:0", "-of", "json", "-show_entries", "frame=pts_time", str(path)]
    frames = json.loads(subprocess.run(["ffprobe", *words], capture_output=True, check=True).stdout)["frames"]
    return np.array([float(frame.get("pts_time", "nan")) for frame in frames])


if __name__ == "__main__":
    main()
