"""One message for all images that cannot be used: counted by cause, named, with the fix for each cause."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pawjax.data.pictures import encode_picture, hash_pictures, inspect_pictures
from pawjax.errors import InputError


def _refused(root, names, checks=(inspect_pictures, hash_pictures)):
    """The message, which is the same whichever check meets the images first, without the folder."""
    texts = set()
    for check in checks:
        with pytest.raises(InputError) as error:
            check(root, names)
        texts.add(str(error.value))
    (text,) = texts
    head = f"{root}: {len(names)} of {len(names)} labelled images cannot be used: "
    assert text.startswith(head)
    return text.removeprefix(head)


def test_all_causes_are_listed_at_once(tmp_path, pixels):
    for name in ("good.png", "cut.png", "half.jpg"):
        Image.fromarray(pixels(5, 200, 200)).save(tmp_path / name)
    for name in ("cut.png", "half.jpg"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:2000])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    names = ["good.png", "gone.png", "cut.png", "half.jpg", "empty.png", "text.png"]
    with pytest.raises(InputError) as error:
        inspect_pictures(tmp_path, names)
    text = str(error.value)
    assert "5 of 6 labelled images" in text and "good.png" not in text
    assert "1 missing (gone.png): restore" in text and "2 truncated or damaged (cut.png: " in text
    assert "; half.jpg: " not in text and ", half.jpg: " in text
    assert "2 in no format that is read (empty.png, text.png): restore" in text


@pytest.mark.parametrize(
    ("files", "frames", "message"),
    [
        ([], ["a/0.png", "a/1.png", "b/0.png"], "3 in a folder that is missing (a, b): restore the folder"),
        (["a/0.jpg", "a/1.png"], ["a/0.png"], "1 there under another name (a/0.png is 0.jpg): rename"),
        (["a/Img0.PNG"], ["a/img0.png"], "1 there under another name (a/img0.png is Img0.PNG): rename"),
        (["a/10.png"], ["a/0.png"], "1 missing (a/0.png): restore them or remove their rows"),
        (["a/x.png"], [f"a/{n}.png" for n in range(7)], "7 missing (a/0.png, a/1.png, a/2.png, a/3.png, a/4.png and 2"),
        (["a"], ["a/0.png"], "1 in a folder that is missing (a): "),
    ],
)
def test_missing_images_have_a_likely_cause(tmp_path, files, frames, message):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _refused(tmp_path, frames).startswith(message)


def test_pipes_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    assert _refused(tmp_path, ["pipe.png", "folder.png"]).startswith(
        "2 that is a folder, pipe or device (pipe.png, folder.png): put image files there"
    )


def test_values_that_are_no_light(tmp_path, pixels):
    for name, value in (("nan.tif", np.nan), ("inf.tif", np.inf)):
        image = pixels(0).astype(np.float32)
        image[3, 4] = value
        Image.fromarray(image).save(tmp_path / name)
    assert _refused(tmp_path, ["nan.tif", "inf.tif"], [inspect_pictures]).startswith(
        "2 with values that are NaN or infinite (nan.tif, inf"
    )


@pytest.mark.parametrize("colour_type, channels", [(2, 3), (4, 2), (6, 4)])
def test_colour_of_16_bits(tmp_path, colour_type, channels):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = zlib.compress((b"\0" + bytes(4 * channels * 2)) * 3)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 16, colour_type, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(content)
    assert _refused(tmp_path, ["deep.png"], [inspect_pictures]).startswith(
        "1 with 16 bits in each of several channels (deep.png): save"
    )


def test_other_colour_spaces(tmp_path, pixels):
    Image.fromarray(pixels(0, channels=3)).convert("LAB").save(tmp_path / "lab.tif")
    assert _refused(tmp_path, ["lab.tif"], [inspect_pictures]).startswith(
        "1 in a colour space that is not read (lab.tif: mode LAB): save"
    )


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_random_damage_is_one_message(tmp_path, pixels):
    """Whatever a reader of Pillow raises for a damaged file is the file's fault."""
    rng = np.random.default_rng(0)
    for extension in ("png", "jpg", "tif", "gif", "webp", "bmp"):
        Image.fromarray(pixels(0)).save(tmp_path / f"whole.{extension}")
        whole = np.frombuffer((tmp_path / f"whole.{extension}").read_bytes(), np.uint8)
        for _ in range(30):
            damaged = whole[: rng.integers(1, len(whole) + 1)].copy()
            places = rng.integers(0, min(len(damaged), 200), 3)
            damaged[places] = rng.integers(0, 256, 3)
            (tmp_path / f"damaged.{extension}").write_bytes(damaged.tobytes())
            try:
                inspect_pictures(tmp_path, [f"damaged.{extension}"])
            except InputError as error:
                assert "1 of 1 labelled images" in str(error)


def test_what_passes_the_inspection_can_be_encoded(tmp_path, pixels):
    """Pillow returns an empty image if it is read again after an error."""
    rng, refused = np.random.default_rng(1), 0
    for number in range(60):
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels(number)).save(path)
        content = bytearray(path.read_bytes())
        start, to = (int(place) for place in rng.integers(0, len(content), 2))
        content[to : to + 40] = content[start : start + 40]
        path.write_bytes(content)
        try:
            inspect_pictures(tmp_path, [path.name])
        except InputError:
            refused += 1
        else:
            encode_picture(path, 1)
    assert refused > 50
