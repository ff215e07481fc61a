"""Writes small images of many kinds and the pixels that OpenCV reads from them, for tests/golden. Usage: README.md."""

import io
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

HEIGHT, WIDTH = 12, 16
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(depth: int, colour: int, rows: list[bytes], interlaced: bool = False) -> bytes:
    """A PNG of bit depth and colour type (0 gray, 2 RGB) from its rows, each without a filter."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def packed(gray: np.ndarray, bits: int) -> list[bytes]:
    """Rows of `bits` per pixel from uint8 [H, W]."""
    planes = np.unpackbits(gray[..., None], axis=-1)[..., :bits]
    return [np.packbits(row).tobytes() for row in planes.reshape(len(gray), -1)]


def images() -> dict[str, bytes]:
    """{file name: content}."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    rgb = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    gray, alpha = rgb[..., 1].copy(), rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    colour, light = Image.fromarray(rgb), Image.fromarray(gray)
    palette, turned = colour.quantize(16), colour.transpose(Image.Transpose.ROTATE_180)
    files = {}

    def save(name: str, image: Image.Image, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.rpartition(".")[2]), **options)
        files[name] = buffer.getvalue()

    for extension in ("png", "bmp", "tif", "jpg"):
        save(f"rgb.{extension}", colour)
        save(f"gray.{extension}", light)
    save("rgb.webp", colour, lossless=True)
    save("rgba.png", Image.fromarray(np.dstack([rgb, alpha])))
    save("rgba.webp", Image.fromarray(np.dstack([rgb, alpha])), lossless=True, exact=True)
    save("gray_alpha.png", Image.fromarray(np.dstack([gray, alpha])))
    save("rgb_transparent_colour.png", colour, transparency=tuple(map(int, rgb[3, 3])))
    save("gray_transparent_colour.png", light, transparency=int(gray[3, 3]))
    save("palette.png", palette)
    save("palette_transparent.png", palette, transparency=3)
    save("palette_alpha.png", palette, transparency=bytes(range(0, 256, 16)))
    save("palette.gif", palette)
    save("one_bit.png", Image.fromarray(gray > 128))
    save("one_bit_fax.tif", Image.fromarray(gray > 128), compression="group4")
    files["two_bits.png"], files["four_bits.png"] = png(2, 0, packed(gray, 2)), png(4, 0, packed(gray, 4))
    passes = [rgb[y, x::dx].tobytes() for x, y0, dx, dy in ADAM7 for y in range(y0, HEIGHT, dy)]
    files["interlaced.png"] = png(8, 2, passes, interlaced=True)
    plain = files["rgb.png"]
    files["gamma.png"] = plain[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + plain[33:]
    save("profile.png", colour, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    save("progressive.jpg", colour, progressive=True)
    save("restarts.jpg", colour, restart_marker_blocks=1)
    save("subsampled.jpg", colour, subsampling=2, quality=60)
    save("cmyk.jpg", colour.convert("CMYK"), quality=100)
    save("cmyk.tif", colour.convert("CMYK"))
    save("lzw.tif", colour, compression="tiff_lzw")
    save("white_is_zero.tif", light, tiffinfo={262: 0})
    save("pages.tif", colour, save_all=True, append_images=[turned])
    save("animation.gif", palette, save_all=True, append_images=[turned.quantize(16)])
    save("animation.png", colour, save_all=True, append_images=[turned])
    save("animation.webp", colour, save_all=True, append_images=[turned], lossless=True)
    return files


def main(out: Path) -> None:
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in images().items():
            path = Path(folder) / name
            path.write_bytes(content)
            arrays[f"file/{name}"] = np.frombuffer(content, np.uint8)
            arrays[f"rgb/{name}"] = cv2.imread(str(path))[..., ::-1]
    np.savez_compressed(out / "opencv_pictures.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
