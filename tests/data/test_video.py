"""Videos are decoded as ffmpeg does (goldens: third_party/ffmpeg/make_golden.py), frame by frame."""

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from PIL import Image

from pawjax.data import video as module
from pawjax.data.video import FrameReader, content_sha256, find_videos, open_video
from pawjax.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden"
VIDEOS = sorted(path.name for path in (GOLDEN / "videos").iterdir())
# Colour of 10-bit video: versions of FFmpeg interpolate half-size chroma differently. Luma does not depend on them.
TOLERANCE = {"ten_bits.mkv": 255}


@pytest.fixture(scope="module")
def expected():
    return np.load(GOLDEN / "videos.npz")


def read(path: Path, channels: int = 3) -> tuple[np.ndarray, np.ndarray, str]:
    reader = FrameReader(open_video(path), channels)
    frames = list(reader)
    return np.stack([frame.pixels for frame in frames]), np.array([frame.time for frame in frames]), reader.broken


@pytest.mark.parametrize("name", [name for name in VIDEOS if not name.startswith("truncated")])
def test_frames_equal_ffmpegs(name, expected):
    pixels, times, broken = read(GOLDEN / "videos" / name)
    golden = expected[f"{name}/pixels"]
    assert broken == "" and pixels.shape == golden.shape
    assert np.abs(pixels.astype(int) - golden).max() <= TOLERANCE.get(name, 2)
    gray, *_ = read(GOLDEN / "videos" / name, channels=1)
    luma = golden @ np.array([0.299, 0.587, 0.114])
    assert gray.shape == (*golden.shape[:3], 1) and np.abs(gray[..., 0] - luma).mean() < 3
    known = ~np.isnan(expected[f"{name}/times"])
    np.testing.assert_allclose(times[known], expected[f"{name}/times"][known], atol=1e-6)
    assert (np.diff(times) > 0).all()


def test_truncated_video_keeps_its_first_frames(expected):
    pixels, *_ = read(GOLDEN / "videos/truncated.mpg")
    golden = expected["late.mpg/pixels"]
    assert 4 <= len(pixels) < len(golden)
    assert np.abs(pixels[:-1].astype(int) - golden[: len(pixels) - 1]).max() <= 2  # the last may be half a frame


def test_what_a_video_says(expected):
    for name in VIDEOS:
        video = open_video(GOLDEN / "videos" / name)
        assert (video.height, video.width) == expected[f"{name}/pixels"].shape[1:3]
        assert 10 < video.frames_per_second < 60 and video.gray == (name == "gray.avi")


def test_frames_of_another_size_end_the_video(tmp_path):
    for number, size in enumerate([(40, 30), (40, 30), (20, 30)]):
        Image.new("L", size, number).save(tmp_path / f"img{number}.png")
    pixels, _, broken = read(tmp_path, channels=1)
    assert len(pixels) == 2 and "20x30" in broken


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        Image.new("L", (8, 6), number).save(tmp_path / f"img{number}.png")
    pixels, times, broken = read(tmp_path, channels=1)
    assert pixels[:, 0, 0, 0].tolist() == [2, 9, 10] and broken == ""
    np.testing.assert_allclose(times, [0, 0.04, 0.08])


@pytest.mark.parametrize("name, content, words", [
    ("text.mp4", b"no video at all", "cannot be read as a video"),
    ("empty.mp4", b"", "cannot be read as a video"),
    ("none.mp4", None, "there is no such video"),
])  # fmt: skip
def test_what_is_no_video_is_named(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{words}"):
        open_video(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(InputError, match="sound.mp4.*no video stream"):
        open_video(tmp_path / "sound.mp4")


def test_files_folders_and_patterns_name_videos(tmp_path):
    for name in ("b.mp4", "a.AVI", "notes.txt"):
        (tmp_path / name).touch()
    both = [tmp_path / "a.AVI", tmp_path / "b.mp4"]
    assert find_videos([str(tmp_path)]) == both
    assert find_videos([str(tmp_path / "*.mp4"), str(tmp_path)]) == [tmp_path / "b.mp4", tmp_path / "a.AVI"]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "img1.png").touch()
    assert find_videos([str(tmp_path / "pictures")]) == [tmp_path / "pictures"]
    with pytest.raises(InputError, match="nothing.*names no video"):
        find_videos([str(tmp_path / "nothing")])
    with pytest.raises(InputError, match="names no video"):
        find_videos([str(tmp_path / "*.mkv")])


def test_pictures_whose_names_hold_other_digits(tmp_path):
    for name in ("a2.png", "a10.png", "a1²1.png", "²b٣.png"):
        Image.new("L", (4, 3)).save(tmp_path / name)
    assert open_video(tmp_path).n_frames == 4


@pytest.mark.parametrize("word, message", [("", "name is empty"), ("a**/*.mp4", "a\\*\\*/\\*.mp4: .*pattern")])
def test_words_that_name_nothing(word, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=message):
        find_videos([word])


@pytest.mark.parametrize("rotation, size", [(0, (8, 16)), (45, (8, 16)), (90, (16, 8)), (-90, (16, 8)), (180, (8, 16))])
def test_frames_have_the_size_that_the_video_says_for_any_rotation(rotation, size, monkeypatch):
    frame = av.VideoFrame(16, 8, "gray")
    turned = SimpleNamespace(rotation=rotation)
    turns = module._turns(turned)
    assert (size == (16, 8)) == bool(turns % 2)
    monkeypatch.setattr(module, "_turns", lambda _: turns)
    assert module._pixels(frame, 1, VideoReformatter()).shape[:2] == size


def test_a_picture_folder_is_its_pictures(tmp_path):
    def picture(level):
        Image.new("L", (64, 64), 0 if level is None else level).save(tmp_path / "img1.bmp")

    picture(1)
    before = content_sha256(tmp_path)
    (tmp_path / ".DS_Store").touch()
    assert content_sha256(tmp_path) == before
    picture(2)
    assert content_sha256(tmp_path) != before
    picture(1)
    assert content_sha256(tmp_path) == before
    (tmp_path / "img1.bmp").rename(tmp_path / "img2.bmp")
    assert content_sha256(tmp_path) != before


@pytest.mark.parametrize("ending, codec, pixels", [("avi", "mpeg4", "yuv420p"), ("mkv", "mjpeg", "yuvj420p")])
def test_fewer_frames_than_the_header_states_are_an_early_end(tmp_path, ending, codec, pixels):
    path = tmp_path / f"v.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48, pix_fmt=pixels)
        for packet in (one for image in noise for one in stream.encode(av.VideoFrame.from_ndarray(image))):
            container.mux(packet)
        container.mux(stream.encode(None))
    assert read(path)[2] == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pixels, _, broken = read(path)
    by_the_header = f"{len(pixels)} frames can be decoded, its header states 40"
    assert 10 < len(pixels) < 30 and (broken == by_the_header or "Invalid data" in broken)  # the cut packet may be lost
