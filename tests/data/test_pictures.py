"""Labelled images: pixels by file format, beside OpenCV's, and what is refused or warned of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawjax import errors
from pawjax.data.pictures import decode_png, encode_picture, encode_png, hash_pictures, inspect_pictures, to_uint8
from pawjax.errors import InputError

OPENCV = np.load(Path(__file__).resolve().parents[1] / "golden" / "opencv_pictures.npz")
KINDS = sorted(name.removeprefix("file/") for name in OPENCV if name.startswith("file/"))


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """Every test hears its warnings."""
    monkeypatch.setattr(errors, "_said", set())


def _round_trip(path, channels):
    return decode_png(encode_picture(path, channels), channels)


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_of_opencv(tmp_path, name):
    (tmp_path / name).write_bytes(OPENCV[f"file/{name}"].tobytes())
    found = inspect_pictures(tmp_path, [name])
    expected = OPENCV[f"rgb/{name}"].astype(int)
    np.testing.assert_array_equal(found.sizes, [expected.shape[:2]])
    assert found.channels == (1 if (expected == expected[..., :1]).all() else 3)
    difference = np.abs(_round_trip(tmp_path / name, 3) - expected).max()
    assert difference <= (1 if name.endswith(".jpg") else 0)  # CMYK; and decoders of JPEG may round differently


def test_gray_in_any_format_is_one_channel(tmp_path, pixels):
    gray = pixels(1)
    Image.fromarray(gray).save(tmp_path / "l.png")
    Image.fromarray(np.stack([gray] * 3, -1)).save(tmp_path / "rgb.png")
    Image.fromarray(np.stack([gray, gray], -1), "LA").save(tmp_path / "la.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "p.png")
    names = ["l.png", "rgb.png", "la.png", "p.png"]
    assert inspect_pictures(tmp_path, names).channels == 1
    for name in names:
        np.testing.assert_array_equal(_round_trip(tmp_path / name, 1)[..., 0], gray, err_msg=name)


def test_one_coloured_pixel_makes_the_set_rgb(tmp_path, pixels):
    gray = np.stack([pixels(2)] * 3, -1)
    Image.fromarray(gray).save(tmp_path / "a.png")
    Image.fromarray(gray[..., 0]).save(tmp_path / "l.png")
    gray[3, 4, 2] ^= 1
    Image.fromarray(gray).save(tmp_path / "b.png")
    assert inspect_pictures(tmp_path, ["a.png", "l.png", "b.png"]).channels == 3
    np.testing.assert_array_equal(_round_trip(tmp_path / "b.png", 3), gray)


def test_sizes_are_height_width(tmp_path, pixels):
    for name, (height, width) in {"a.png": (5, 9), "b.jpg": (8, 3)}.items():
        Image.fromarray(pixels(3, height, width)).save(tmp_path / name)
    np.testing.assert_array_equal(inspect_pictures(tmp_path, ["a.png", "b.jpg"]).sizes, [[5, 9], [8, 3]])


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(pixels, channels):
    image = pixels(4, channels=channels).reshape(24, 32, channels)
    np.testing.assert_array_equal(decode_png(encode_png(image), channels), image)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 6, 9])
def test_exif_orientation_is_refused_by_name(tmp_path, pixels, extension, orientation):
    """0 and 9 are no orientations, and no program turns such an image."""
    mark, name = Image.Exif(), f"turned.{extension}"
    mark[274] = orientation
    options = {"tiffinfo": {274: orientation}} if extension == "tif" else {"exif": mark.tobytes()}
    Image.fromarray(pixels(0)).save(tmp_path / name, **options)
    Image.fromarray(pixels(0)).save(tmp_path / "plain.png")
    names = ["plain.png", name]
    if orientation in (0, 1, 9):
        np.testing.assert_array_equal(inspect_pictures(tmp_path, names).sizes, [[24, 32]] * 2)
        return
    with pytest.raises(InputError, match=rf"1 of 2 labelled .* 1 with an EXIF orientation \({name}\): .*exiftool"):
        inspect_pictures(tmp_path, names)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0" + bytes(range(99))])
def test_damaged_exif_does_not_matter(tmp_path, pixels, exif):
    Image.fromarray(pixels(0)).save(tmp_path / "a.jpg", exif=exif)
    np.testing.assert_array_equal(inspect_pictures(tmp_path, ["a.jpg"]).sizes, [[24, 32]])


def test_transparent_pixels_and_further_pages_are_warned_of(tmp_path, pixels, capsys):
    colour = pixels(0, channels=4)
    Image.fromarray(colour).save(tmp_path / "clear.png")
    colour[..., 3] = 255
    Image.fromarray(colour).save(tmp_path / "opaque.png")
    page = Image.fromarray(pixels(1))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    inspect_pictures(tmp_path, ["opaque.png"])
    assert not capsys.readouterr().err
    inspect_pictures(tmp_path, ["clear.png", "opaque.png", "pages.tif"])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "1 of 3 images have transparent pixels" in said[0] and said[0].endswith(": clear.png")
    assert "1 of 3 images hold several pages" in said[1] and said[1].endswith(": pages.tif")


@pytest.mark.parametrize("kind", ["uint16 png", "uint16 tif", "int32 tif", "float32 tif"])
def test_deep_images_are_mapped_by_the_range_of_the_set(tmp_path, capsys, kind):
    dtype, extension = kind.split()
    values = np.linspace(700, 4795, 24 * 32).reshape(24, 32)
    images = {f"dark.{extension}": values.astype(dtype), f"light.{extension}": (values + 2048).astype(dtype)}
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / name)
    found = inspect_pictures(tmp_path, list(images))
    assert found.channels == 1 and found.value_range == (700, 6843)
    assert f"700 (dark.{extension}) becomes 0 and 6843 (light.{extension}) becomes 255" in capsys.readouterr().err
    for name, image in images.items():
        read = decode_png(encode_picture(tmp_path / name, 1, found.value_range), 1)
        np.testing.assert_array_equal(read[..., 0], np.round((image.astype(float) - 700) * (255 / 6143)))


def test_range_of_unsigned_32_bit_images(tmp_path):
    """Pillow reads them as int32."""
    Image.fromarray(np.array([[-2, 5], [7, 9]], np.int32)).save(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    signed = bytes([0x53, 1, 3, 0, 1, 0, 0, 0, 2])  # SampleFormat
    assert content.count(signed) == 1
    (tmp_path / "a.tif").write_bytes(content.replace(signed, signed[:-1] + b"\1"))
    assert inspect_pictures(tmp_path, ["a.tif"]).value_range == (5, 2**32 - 2)


def test_to_uint8_clips_beyond_the_range():
    values = np.array([[-5, 0, 1], [9.99, 10, 1e9]])
    np.testing.assert_array_equal(to_uint8(values, (0, 10)), [[0, 0, 26], [255, 255, 255]])
    np.testing.assert_array_equal(to_uint8(np.array([3, 4], np.uint16), (3, 3)), [0, 0])
    assert to_uint8(values, (0, 10)).dtype == np.uint8
    with pytest.raises(InputError, match="NaN or infinite"):
        to_uint8(np.array([1, np.nan]), (0, 10))


def test_hot_pixels_that_leave_few_gray_levels_are_named(tmp_path, capsys):
    image = np.random.default_rng(0).integers(100, 600, (64, 64)).astype(np.uint16)
    Image.fromarray(image).save(tmp_path / "a.png")
    inspect_pictures(tmp_path, ["a.png"])
    assert "hot pixel" not in capsys.readouterr().err
    image[5, 6] = 65535
    Image.fromarray(image).save(tmp_path / "b.png")
    inspect_pictures(tmp_path, ["a.png", "b.png"])
    assert "the hot pixel in b.png" in capsys.readouterr().err


def test_mixed_depths_are_refused(tmp_path, pixels):
    Image.fromarray(pixels(0)).save(tmp_path / "a.png")
    Image.fromarray(pixels(0).astype(np.uint16)).save(tmp_path / "b.png")
    Image.fromarray(pixels(0).astype(np.float32)).save(tmp_path / "c.tif")
    with pytest.raises(InputError, match=r"1 16-bit \(b.png\); 1 8-bit \(a.png\); 1 float \(c.tif\): save all"):
        inspect_pictures(tmp_path, ["a.png", "b.png", "c.tif"])


def test_hash_follows_bytes_and_order(tmp_path, pixels):
    for index in range(2):
        Image.fromarray(pixels(index)).save(tmp_path / f"{index}.png")
    first = hash_pictures(tmp_path, ["0.png", "1.png"])
    assert first == hash_pictures(tmp_path, ["0.png", "1.png"]) != hash_pictures(tmp_path, ["1.png", "0.png"])
    Image.fromarray(pixels(7)).save(tmp_path / "1.png")
    assert hash_pictures(tmp_path, ["0.png", "1.png"]) != first
