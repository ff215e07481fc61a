"""Pictures and videos of several cameras, matched to views."""

import av
import numpy as np
import pytest
from PIL import Image

from pawjax.data.board_views import match_views, open_sources, read_views
from pawjax.errors import InputError


def write(folder, names, size=(20, 10)):
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.new("L", size, number).save(folder / name)
    return str(folder)


def write_video(path, n, size=(32, 16)):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "gray"
        for number in range(n):
            frame = av.VideoFrame.from_ndarray(np.full(size[::-1], number, np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def test_pictures_match_by_their_last_number(tmp_path, capsys):
    write(tmp_path, ["left1.png", "left2.png", "left10.png", "right2.png", "right10.png", "right3.png"])
    sources = open_sources({"a": f"{tmp_path}/left*.png", "b": f"{tmp_path}/right*.png"})
    views = match_views(sources, 400)
    np.testing.assert_array_equal(views, [[0, 1, -1, 2], [-1, 0, 1, 2]])
    assert [sources[1].label(place) for place in range(3)] == ["right2.png", "right3.png", "right10.png"]
    words = capsys.readouterr().err
    assert "the camera 'a' has no picture of the numbers 3, which others have" in words and "'b'" in words
    assert sources[0].size == (20, 10)


@pytest.mark.parametrize("names", [["one.png", "two.png"], ["2024_1.png", "2025_1.png"], ["c101.png", "c102.png"]])
def test_pictures_match_by_order_where_numbers_do_not(tmp_path, names):
    words = {"a": write(tmp_path / "a", ["x1.png", "x2.png"]), "b": write(tmp_path / "b", names)}
    np.testing.assert_array_equal(match_views(open_sources(words), 400), [[0, 1], [0, 1]])
    Image.new("L", (20, 10)).save(tmp_path / "b" / "zz.png")
    with pytest.raises(InputError, match=r"differ in their number of pictures \(a has 2, b has 3\), and no numbers in"):
        match_views(open_sources(words), 400)


def test_videos_match_by_the_number_of_the_frame(tmp_path, capsys):
    words = {"a": write_video(tmp_path / "a.mkv", 30), "b": write_video(tmp_path / "b.mkv", 24)}
    sources = open_sources(words)
    views = match_views(sources, 6)
    np.testing.assert_array_equal(views, [[0, 4, 8, 12, 16, 20]] * 2)
    assert "the videos differ in their number of frames (a has 30, b has 24)" in capsys.readouterr().err
    frames = list(read_views(sources[1], views[1].tolist()))
    assert [place for place, _ in frames] == [0, 4, 8, 12, 16, 20]
    assert [int(np.median(pixels)) for _, pixels in frames] == [0, 4, 8, 12, 16, 20]
    assert sources[0].moment(20) == "frame 20 (0:02)"
    assert [place for place, _ in read_views(sources[1], [3, 99])] == [3]
    assert "b.mkv: ends after 24 frames; the views after them are left out" in capsys.readouterr().err


def test_faults_of_users_get_a_sentence(tmp_path):
    pictures, video = write(tmp_path / "a", ["x1.png", "x2.png"]), write_video(tmp_path / "v.mkv", 3)
    for words, message in (
        ({"a": f"{tmp_path}/none"}, "--cameras=a=.*none: there is no such folder or video"),
        ({"a": f"{tmp_path}/a/y*.png"}, "there are no pictures; they end in .png"),
        ({"a": str(tmp_path)}, "there are no pictures"),
        ({"a": ""}, "there is no such folder or video"),
        ({"a": pictures, "b": video}, "the camera 'b' has a video and 'a' has pictures, which cannot be matched"),
        (
            {"a": pictures, "b": f"{tmp_path}/a/x*.png"},
            "the cameras 'a' and 'b' are both given .*x1.png: give each one",
        ),
    ):
        with pytest.raises(InputError, match=message):
            open_sources(words)
    Image.new("L", (10, 20)).save(tmp_path / "a" / "x3.png")
    (source,) = open_sources({"a": pictures})
    with pytest.raises(InputError, match=r"x3.png: is of 10x20 pixels, but x1.png of 20x10: give pictures of one size"):
        list(read_views(source, [0, 1, 2]))
