"""Pictures to an H.264 mp4 that browsers and presentations play, encoded by x264 on any machine."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from pawjax.errors import InputError
from pawjax.files import replacing

ENCODER = "libx264"  # 'h264' could be a chip's encoder, which other machines lack
TICKS = 90_000  # per second; the clock of MPEG


def write_mp4(
    path: Path, frames: Iterable[tuple[float, np.ndarray]], size: tuple[int, int], rate: float, options: dict[str, str]
) -> np.ndarray:
    """Writes frames, each at its own time, replacing the file atomically.

    Args:
      path: of the mp4.
      frames: time in seconds since the first frame, and pixels uint8 [H, W, 3], one after another. The last row or
        column of an odd size is repeated, because chroma has half the size.
      size: (height, width) of the frames, px.
      rate: average frames per second, the basis of bit rates in `options`.
      options: of x264.

    Returns int64 [T], the presentation time of each frame in the file in TICKS; they rise, whatever the times do.
    Raises InputError if this PyAV has no x264.
    """
    if ENCODER not in av.codecs_available:
        raise InputError(f"{path}: this PyAV cannot encode H.264 ({ENCODER} is missing); pip install --force av")
    ticks: list[int] = []
    with replacing(path) as temporary:
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream(ENCODER, rate=Fraction(rate).limit_denominator(1000), options=options)
            stream.height, stream.width = (side + side % 2 for side in size)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, TICKS)  # otherwise 1 / rate, to which times would be rounded
            stream.codec_context.colorspace = Colorspace.ITU601  # what the pixels are converted to below
            stream.codec_context.color_range = ColorRange.MPEG
            for time, pixels in frames:
                ticks.append(max(ticks[-1] + 1 if ticks else 0, round(time * TICKS)))
                frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
                frame = frame.reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
                )
                frame.pts, frame.time_base = ticks[-1], stream.codec_context.time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return np.array(ticks, np.int64)


def _even(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
