"""Labelled images on disk: hashes, sizes, and pixels as 8-bit grayscale or RGB."""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pawjax.errors import InputError, listed

THREADS = max(2, min(8, os.cpu_count() or 1))
GRAY_MODES = ("1", "L", "LA")
LISTED = 5  # images listed in a message
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Pictures:
    """Properties of a set of images: sizes int32 [N, 2] (height, width), and channels, 1 if all are gray, else 3."""

    sizes: np.ndarray
    channels: int


def hash_pictures(root: Path, ids: Sequence[str]) -> str:
    """SHA-256 of the bytes of all images in order. Raises InputError naming images that cannot be used."""

    def digest(frame: str) -> bytes:
        with open(root / frame, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return hashlib.sha256(b"".join(pool.map(digest, ids))).hexdigest()
    except OSError:
        inspect_pictures(root, ids)  # lists all bad images in one message
        raise


def inspect_pictures(root: Path, ids: Sequence[str]) -> Pictures:
    """Decodes every image once. Raises InputError naming those that are missing, truncated or not 8 bits deep."""

    def inspect(frame: str) -> tuple[tuple[int, int], bool, str]:
        try:
            with Image.open(root / frame) as image:
                if image.mode not in GRAY_MODES + COLOUR_MODES:
                    return (0, 0), True, f"has more than 8 bits per channel (mode {image.mode})"
                pixels = _pixels(image, 1 if image.mode in GRAY_MODES else 3)
        except FileNotFoundError:
            return (0, 0), True, "is missing"
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return (0, 0), True, f"is truncated or not an image ({error})"
        gray = pixels.shape[-1] == 1 or bool((pixels == pixels[..., :1]).all())
        return pixels.shape[:2], gray, ""

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(inspect, ids))
    bad = [f"{frame} {problem}" for frame, (_, _, problem) in zip(ids, results, strict=True) if problem]
    if bad:
        raise InputError(
            f"{root}: {len(bad)} of {len(ids)} labelled images cannot be used: {listed(bad, LISTED, '; ')}; "
            f"restore them as 8-bit images or remove their rows from the label table"
        )
    sizes = np.array([size for size, _, _ in results], np.int32).reshape(-1, 2)
    return Pictures(sizes, channels=1 if all(gray for _, gray, _ in results) else 3)


def read_picture(path: Path, channels: int = 0) -> np.ndarray:
    """uint8 [H, W, C] of an image, C = 1 if its mode is gray, else 3, unless given. Raises InputError if it is none."""
    try:
        with Image.open(path) as image:
            return _pixels(image, channels or (1 if image.mode in GRAY_MODES else 3))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is truncated or not an image ({error}); restore it") from error


def encode_picture(path: Path, channels: int) -> bytes:
    """The image as a PNG of 1 (gray) or 3 (RGB) channels; alpha is dropped."""
    with Image.open(path) as image:
        return encode_png(_pixels(image, channels))


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG of uint8 [H, W, C], C = 1 or 3, compressed for speed rather than size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def decode_png(data: bytes, channels: int) -> np.ndarray:
    """uint8 [H, W, channels] of a PNG made by `encode_png`."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).reshape(image.height, image.width, channels)


def _pixels(image: Image.Image, channels: int) -> np.ndarray:
    """uint8 [H, W, channels]; if an image's three channels are equal, its gray equals them exactly."""
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image.height, image.width, channels)
