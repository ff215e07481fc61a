"""Labelled images: pixels by file format, and one message for all bad files."""

import numpy as np
import pytest
from PIL import Image

from pawjax.data.pictures import decode_png, encode_picture, encode_png, hash_pictures, inspect_pictures
from pawjax.errors import InputError


def _round_trip(path, channels):
    return decode_png(encode_picture(path, channels), channels)


def test_colour_keeps_rgb_and_drops_alpha(tmp_path, pixels):
    colour = pixels(0, channels=4)
    colour[:4, :4, 3] = 0  # the colour must survive where alpha is 0
    Image.fromarray(colour, "RGBA").save(tmp_path / "a.png")
    assert inspect_pictures(tmp_path, ["a.png"]).channels == 3
    np.testing.assert_array_equal(_round_trip(tmp_path / "a.png", 3), colour[..., :3])


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


def test_all_bad_files_are_listed_at_once(tmp_path, pixels):
    for name in ("good.png", "cut.png", "half.jpg"):
        Image.fromarray(pixels(5, 200, 200)).save(tmp_path / name)
    for name in ("cut.png", "half.jpg"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:2000])
    Image.fromarray(pixels(6).astype(np.uint16) * 16).save(tmp_path / "deep.png")
    (tmp_path / "empty.png").touch()
    names = ["good.png", "gone.png", "cut.png", "half.jpg", "deep.png", "empty.png"]
    for check in (inspect_pictures, hash_pictures):
        with pytest.raises(InputError) as error:
            check(tmp_path, names)
        text = str(error.value)
        assert "5 of 6 labelled images" in text and "good.png" not in text
        assert "gone.png is missing" in text and "deep.png has more than 8 bits" in text
        assert all(f"{name} is truncated or not an image" in text for name in ("cut.png", "half.jpg", "empty.png"))


def test_hash_follows_bytes_and_order(tmp_path, pixels):
    for index in range(2):
        Image.fromarray(pixels(index)).save(tmp_path / f"{index}.png")
    first = hash_pictures(tmp_path, ["0.png", "1.png"])
    assert first == hash_pictures(tmp_path, ["0.png", "1.png"]) != hash_pictures(tmp_path, ["1.png", "0.png"])
    Image.fromarray(pixels(7)).save(tmp_path / "1.png")
    assert hash_pictures(tmp_path, ["0.png", "1.png"]) != first
