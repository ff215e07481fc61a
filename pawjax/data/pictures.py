"""Labelled images on disk: hashes, sizes, and pixels as 8-bit grayscale or RGB.

The pixels of 8-bit images are those that OpenCV reads (`tests/golden/opencv_pictures.npz`): colour profiles, gamma and
transparency are ignored, and of several pages or frames the first is read. Where programs see different images, pawjax
says so:

- An EXIF orientation other than normal is refused. No reading fits all labels: napari-deeplabcut, DeepLabCut 2 and its
  TensorFlow trainer, Lightning Pose, sleap-io and COCO Annotator do not turn the image; SLEAP's former GUI, labelme,
  CVAT, browsers, and DeepLabCut 3's PyTorch trainer (which thus trains on labels of its own tool that are off) do.
- Transparent pixels keep their colour, with a warning; DeepLabCut's TensorFlow trainer blends them with white.
- Grayscale images of 16 bits or floats are mapped to 8 bits by the least and the greatest value of the whole set:
  nothing is clipped, equal light gives equal pixels in every frame, and no bit depth is assumed (a 12-bit camera writes
  16-bit files). DeepLabCut takes the upper 8 of 16 bits, which leaves 12-bit images 16 gray levels.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pawjax.data import picture_faults as faults
from pawjax.data.picture_faults import LISTED, Unusable, refusal
from pawjax.errors import InputError, listed, warn
from pawjax.files import regular

THREADS = max(2, min(8, os.cpu_count() or 1))
GRAY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
DEPTHS = {"I;16": "16-bit", "I;16L": "16-bit", "I;16B": "16-bit", "I;16N": "16-bit", "I": "16-bit", "F": "float"}
FEW_LEVELS = 32  # gray levels for almost all pixels below which outliers are warned of
ALMOST_ALL = 99.9  # percent

ValueRange = tuple[float, float]


@dataclass(frozen=True)
class Pictures:
    """Properties of a set of images.

    sizes int32 [N, 2], (height, width); channels, 1 if all are gray, else 3; value_range, the least and the greatest
    value of images of 16 bits or floats, None for 8-bit images.
    """

    sizes: np.ndarray
    channels: int
    value_range: ValueRange | None = None


@dataclass(frozen=True)
class _Picture:
    """What is known of one image: `values` holds its least, 99.9th-percentile and greatest value, () for 8 bits."""

    size: tuple[int, int]
    gray: bool
    depth: str = "8-bit"
    values: tuple[float, ...] = ()
    transparent: bool = False
    several: bool = False


def hash_pictures(root: Path, ids: Sequence[str]) -> str:
    """SHA-256 of the bytes of all images in order. Raises InputError naming images that cannot be used."""

    def digest(frame: str) -> bytes:
        with open(regular(root / frame), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return hashlib.sha256(b"".join(pool.map(digest, ids))).hexdigest()
    except (OSError, InputError):
        inspect_pictures(root, ids)  # lists all bad images in one message
        raise


def inspect_pictures(root: Path, ids: Sequence[str]) -> Pictures:
    """Decodes every image once.

    Warns of images with transparent pixels or several frames, and says how 16-bit and float images are mapped. Raises
    InputError naming the images that cannot be used, by cause, or if 8-bit, 16-bit and float images are mixed.
    """

    def inspect(frame: str) -> _Picture | Unusable:
        try:
            return _inspect_file(root / frame)
        except Unusable as fault:
            return fault

    with ThreadPoolExecutor(THREADS) as pool:
        results = dict(zip(ids, pool.map(inspect, ids), strict=True))
    if bad := {frame: fault for frame, fault in results.items() if isinstance(fault, Unusable)}:
        raise refusal(root, bad, len(results))
    for seen, words in (
        ("transparent", "have transparent pixels, whose colour is used as if they were opaque"),
        ("several", "hold several pages or frames, of which the first is used"),
    ):
        if names := [frame for frame, picture in results.items() if getattr(picture, seen)]:
            warn(f"{root}: {len(names)} of {len(results)} images {words}: {listed(names, LISTED)}")
    sizes = np.array([picture.size for picture in results.values()], np.int32).reshape(-1, 2)
    channels = 1 if all(picture.gray for picture in results.values()) else 3
    return Pictures(sizes, channels, _value_range(root, results))


def read_picture(path: Path, channels: int = 0) -> np.ndarray:
    """uint8 [H, W, C] of an 8-bit image: C = 1 if its mode is gray, else 3, unless given.

    Raises InputError if it is none.
    """
    try:
        with Image.open(regular(path)) as image:
            if image.mode not in GRAY_MODES + COLOUR_MODES:
                raise InputError(f"{path}: has more than 8 bits or unusual colours ({image.mode}); save it with 8 bits")
            return _pixels(image, channels or (1 if image.mode in GRAY_MODES else 3))
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise errors of many kinds for damaged files
        raise InputError(f"{path}: is missing, truncated or not an image ({error}); restore it") from error


def encode_picture(path: Path, channels: int, value_range: ValueRange | None = None) -> bytes:
    """The image as a PNG of 1 (gray) or 3 (RGB) channels; alpha is dropped, and `value_range` becomes 0 to 255."""
    with Image.open(path) as image:
        pixels = to_uint8(_deep_pixels(image), value_range) if value_range else _pixels(image, channels)
        return encode_png(pixels)


def to_uint8(pixels: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Maps values (low, high) linearly to 0 and 255, rounded; those beyond become 0 or 255.

    Args:
      pixels: whole numbers or floats, of any shape.
      value_range: (low, high); if they are equal, every pixel becomes 0.

    Returns uint8 of the same shape. Raises InputError for NaN or infinite values.
    """
    low, high = value_range
    pixels = np.asarray(pixels, np.float64)
    if not np.isfinite(pixels).all():
        raise InputError("an image holds NaN or infinite values: replace those values")
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint(np.clip((pixels - low) * scale, 0, 255)).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG of uint8 [H, W, C], C = 1 or 3, compressed for speed rather than size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def decode_png(data: bytes, channels: int) -> np.ndarray:
    """uint8 [H, W, channels] of a PNG made by `encode_png`."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).reshape(image.height, image.width, channels)


def _inspect_file(path: Path) -> _Picture:
    """Raises Unusable if the file is missing or no image that can be used."""
    try:
        with Image.open(regular(path)) as image:
            return _inspect_image(image)
    except Unusable:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unusable(faults.MISSING) from error
    except InputError as error:
        raise Unusable(faults.NO_FILE) from error
    except PermissionError as error:
        raise Unusable(faults.NOT_READABLE) from error
    except UnidentifiedImageError as error:
        raise Unusable(faults.UNKNOWN) from error
    except Exception as error:  # Pillow's readers raise errors of many kinds for damaged files
        raise Unusable(faults.DAMAGED, str(error) or type(error).__name__) from error


def _inspect_image(image: Image.Image) -> _Picture:
    if image.mode not in DEPTHS and ";16" in str(image.tile):  # Pillow would drop the lower byte
        raise Unusable(faults.DEEP_COLOUR)
    if _orientation(image) in range(2, 9):
        raise Unusable(faults.ORIENTED)
    several = image.format != "MPO" and getattr(image, "n_frames", 1) > 1  # the others in an MPO are previews
    if image.mode in DEPTHS:
        pixels = _deep_pixels(image)
        if not np.isfinite(pixels).all():
            raise Unusable(faults.NOT_FINITE)
        values = float(pixels.min()), float(np.percentile(pixels, ALMOST_ALL)), float(pixels.max())
        return _Picture(pixels.shape[:2], True, DEPTHS[image.mode], values, several=several)
    if image.mode not in GRAY_MODES + COLOUR_MODES:
        raise Unusable(faults.OTHER_COLOURS, f"mode {image.mode}")
    transparent = image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255
    pixels = _pixels(image, 1 if image.mode in GRAY_MODES else 3)
    gray = pixels.shape[-1] == 1 or bool((pixels == pixels[..., :1]).all())
    return _Picture(pixels.shape[:2], gray, transparent=transparent, several=several)


def _orientation(image: Image.Image) -> int:
    """The orientation in EXIF or XMP; 1, normal, if there is none or it is damaged. A TIFF has it only until loaded."""
    if image.format == "PNG":  # Pillow reads its pixels first; after an error there, it would return an empty image
        image.load()
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as for other damage, Pillow raises errors of many kinds
        return 1


def _value_range(root: Path, pictures: dict[str, _Picture]) -> ValueRange | None:
    """The least and the greatest value of 16-bit or float images. Raises InputError if they are mixed with others."""
    depths = {depth: [] for depth in sorted({picture.depth for picture in pictures.values()})}
    for frame, picture in pictures.items():
        depths[picture.depth].append(frame)
    if len(depths) > 1:
        kinds = "; ".join(f"{len(names)} {depth} ({listed(names, LISTED)})" for depth, names in depths.items())
        raise InputError(f"{root}: its labelled images differ in depth, {kinds}: save all of them with one depth")
    if not pictures or "8-bit" in depths:
        return None
    values = {frame: picture.values for frame, picture in pictures.items()}
    darkest = min(values, key=lambda frame: values[frame][0])
    brightest = max(values, key=lambda frame: values[frame][2])
    low, high = values[darkest][0], values[brightest][2]
    warn(
        f"{root}: its {next(iter(depths))} images are read as 8-bit images: "
        f"{low:g} ({darkest}) becomes 0 and {high:g} ({brightest}) becomes 255"
    )
    bulk = max(of_image[1] for of_image in values.values())
    if (bulk - low) * 256 < (high - low) * FEW_LEVELS:
        warn(
            f"{root}: {ALMOST_ALL:g} % of the pixels of every image lie below {bulk:g}, so they share fewer than "
            f"{FEW_LEVELS} of 256 gray levels: remove outliers, such as the hot pixel in {brightest}"
        )
    return low, high


def _deep_pixels(image: Image.Image) -> np.ndarray:
    """[H, W, 1], the values of an image of 16 bits, 32 bits or floats."""
    unsigned = "I;32N" in str(image.tile)  # uint32, for which Pillow has no mode
    pixels = np.asarray(image)
    return (pixels.view(np.uint32) if unsigned else pixels)[..., None]


def _pixels(image: Image.Image, channels: int) -> np.ndarray:
    """uint8 [H, W, channels]; if an image's three channels are equal, its gray equals them exactly."""
    image.info.pop("transparency", None)  # Pillow would warn that a palette's alpha is dropped
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image.height, image.width, channels)
