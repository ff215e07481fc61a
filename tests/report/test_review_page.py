"""The review page: what it holds, and that it works in a browser: every frame with its own tracks."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from pawjax.data.video import FrameReader, open_video
from pawjax.report import review_page
from pawjax.report.labelled_video import Drawing
from pawjax.report.mp4 import write_mp4
from pawjax.report.review_page import choose_frames, write_review_page
from pawjax.tracks.moments import JUMP, LIKELIHOOD, SECOND, Moment
from tests.report.browser import PROGRAM, Browser
from tests.report.tracked_video import GRAY, number_in, still, write_numbered

N = 60
NASTY = '</script><img src=x onerror="document.title=1">'
DRAWING = Drawing(0.6, skeleton=[("nose", NASTY)])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A video of 60 frames and its tracks, with a low likelihood, a jump and a second place."""
    video = open_video(write_numbered(tmp_path_factory.mktemp("video") / "<b>v.mp4", N))
    tracks = still(N, ("nose", NASTY))
    tracks.likelihood[22:26, 0, 1] = 0.2
    tracks.likelihood[23, 0, 1] = 0.1
    tracks.keypoints[40:, 0, 0] += [30, 0]
    tracks.second[50, 0, 0] = [10, 12, 0.8]
    return video, tracks


@pytest.fixture(scope="module")
def page(tracked, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_review_page(path, *tracked, DRAWING)
    return path


def content_of(path):
    html = path.read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])


def array(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), packed["kind"]).reshape(packed["shape"])


def mp4_of(path, folder):
    text = re.search(r'id="mp4">([^<]*)<', path.read_text())[1]
    (folder / "small.mp4").write_bytes(base64.b64decode(text))
    return FrameReader(open_video(folder / "small.mp4"), 3)


def test_page_holds_the_tracks_and_the_frames(page, tracked, tmp_path):
    video, tracks = tracked
    content, frames = content_of(page), list(mp4_of(page, tmp_path))
    assert content["name"] == "<b>v.mp4" and content["bodyparts"] == ["nose", NASTY] and content["note"] == ""
    assert content["facts"][1] == "run mine, checkpoint 7" and content["skeleton"] == [[0, 1]]
    np.testing.assert_array_equal(array(content["points"]), tracks.keypoints[:, 0])
    np.testing.assert_array_equal(array(content["lowest"]), tracks.likelihood[:, 0])
    np.testing.assert_allclose(array(content["seconds"]), tracks.times - tracks.times[0], atol=1e-4)
    np.testing.assert_allclose([frame.time for frame in frames], array(content["seconds"]), atol=1e-6)
    assert [number_in(frame.pixels) for frame in frames] == list(range(N))
    assert [(one["kind"], one["at"], one["k"], one["text"]) for one in content["moments"]] == [
        (LIKELIHOOD, 23, 1, "likelihood 0.10, 4 frames"),
        (JUMP, 40, 0, "jump of 30 px"),
        (SECOND, 50, 0, "second place 0.80, first 1.00"),
    ]


def test_page_asks_for_nothing_and_holds_no_code_of_names(page):
    html = page.read_text()
    html = re.sub(r'id="mp4">[^<]*', "", html)
    assert not re.search(r"https?:|@import|url\(|<link|srcset|\bsrc=(?!x onerror)", html)
    assert html.count("</script>") == 3 and "<img" not in html and "<b>" not in html
    assert "default-src 'none'" in html and "{{" not in html


def test_long_videos_show_the_worst_moments_and_every_nth_frame(tracked, tmp_path, monkeypatch):
    monkeypatch.setattr(review_page, "MOST_FRAMES", 40)
    video, tracks = tracked
    moments = [Moment(JUMP, at, at, at, 0, 1.0) for at in (23, 1000, 2)]
    shown, step = choose_frames(5000, moments)
    assert {*range(18, 29), *range(995, 1006), 2} <= set(shown.tolist()) and shown[0] == 0 and len(shown) <= 40
    assert step == 295 and (np.diff(shown) > 0).all() and 295 in shown
    np.testing.assert_array_equal(choose_frames(40, moments)[0], np.arange(40))
    write_review_page(tmp_path / "p.html", video, tracks, DRAWING)
    content = content_of(tmp_path / "p.html")
    numbers = array(content["numbers"])
    assert [number_in(frame.pixels) for frame in mp4_of(tmp_path / "p.html", tmp_path)] == numbers.tolist()
    assert f"shows {len(numbers)} frames: those around the worst moments, and every 4th" in content["note"]
    assert [numbers[one["at"]] for one in content["moments"]] == [23, 40, 50]
    assert np.isclose(np.nanmax(array(content["highest"])[:, 0]), 30 / np.diff(tracks.times)[39])


def test_lowest_likelihood_of_frames_between_is_kept(tracked, tmp_path, monkeypatch):
    monkeypatch.setattr(review_page, "MOST_FRAMES", 10)
    monkeypatch.setattr(review_page, "MOST_MOMENTS", 0)
    write_review_page(tmp_path / "p.html", *tracked, DRAWING)
    content = content_of(tmp_path / "p.html")
    numbers, lowest = array(content["numbers"]), array(content["lowest"])[:, 1]
    assert numbers.tolist() == list(range(0, N, 6)) and lowest[3:5].tolist() == pytest.approx([0.1, 0.2])


def test_video_of_a_page_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(review_page, "MOST_BYTES", 100_000)
    noise = np.random.default_rng(0).integers(0, 256, (50, 120, 1600, 3), np.uint8)
    frames = ((number / 25, pixels) for number, pixels in enumerate(noise))
    write_mp4(tmp_path / "v.mp4", frames, (120, 1600), 25.0, {"crf": "10", "preset": "ultrafast"})
    tracks = dataclasses.replace(still(50, size=(120, 1600)), times=np.arange(50) / 25)
    write_review_page(tmp_path / "p.html", open_video(tmp_path / "v.mp4"), tracks, Drawing())
    assert content_of(tmp_path / "p.html")["videoSize"] == [60, 800]
    frames = list(mp4_of(tmp_path / "p.html", tmp_path))
    assert len(frames) == 50 and (tmp_path / "small.mp4").stat().st_size < 150_000, "and a second at most"


# The number that the drawn frame shows, and the colour at a point of it (x, y).
IN_PAGE = """
window.look = () => {
  const c = document.getElementById("picture");
  const scale = Math.min(c.width / 98, c.height / 66);
  const [left, top] = [(c.width - 98 * scale) / 2, (c.height - 66 * scale) / 2];
  const at = (x, y) =>
    [...c.getContext("2d").getImageData(left + (x + 0.5) * scale, top + (y + 0.5) * scale, 1, 1).data].slice(0, 3);
  let number = 0;
  for (let bit = 0; bit < 6; bit++) number += (at(bit * 16 + 8, 57)[0] > 128) << bit;
  return { number, frame: Number(c.dataset.frame), at };
};
"""


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("chromium (Debian's package) is not installed")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.screen(1280, 680)
        browser.open(page)
        browser.wait("document.getElementById('picture')?.dataset.frame", "0")
        browser.value(IN_PAGE)
        yield browser


@pytest.fixture
def start(browser):
    """The browser at frame 0, with everything in sight."""
    browser.click_on("#all")
    browser.press("Home")
    browser.wait("look().number", 0)
    return browser


def colour(browser, x, y):
    """'nose' or 'tail' if the pixel has the bodypart's colour, 'frame' if it is gray, else the colour."""
    found = browser.value(f"look().at({x}, {y})")
    named = {"nose": [86, 180, 233], "tail": [230, 159, 0], "frame": [GRAY] * 3}
    return next((name for name, expected in named.items() if np.allclose(found, expected, atol=4)), found)


def test_keys_show_each_frame_exactly(start):
    for number in range(1, 13):
        start.press("ArrowRight")
        start.wait("look().number", number)
        assert start.value("look().frame") == number
    start.press("ArrowLeft", shift=True)
    start.wait("look().number", 2)
    start.press("End")
    start.wait("look().number", N - 1)
    for _ in range(N - 1):  # faster than the video seeks
        start.press("ArrowLeft")
    start.wait("look().number", 0)
    assert start.value("look().frame") == 0
    assert start.value("document.getElementById('readout').textContent").startswith("frame 0 of 59, 0.")


def test_points_are_drawn_in_their_colours_and_hidden(start):
    assert (colour(start, 20, 15), colour(start, 45, 25)) == ("nose", "tail")
    start.press("1")
    assert (colour(start, 20, 15), colour(start, 45, 25)) == ("frame", "tail")
    assert start.value("document.querySelectorAll('#moments button').length") == 1
    start.click_on("#none")
    assert colour(start, 45, 25) == "frame"
    start.click_on("#all")
    assert colour(start, 20, 15) == "nose"


def test_moments_are_listed_and_visited(start):
    assert start.value("document.querySelector('#moments').innerText").split("\n")[:3] == [
        "23", NASTY, "likelihood 0.10, 4 frames",
    ]  # fmt: skip
    for number in (23, 40, 50, 50):
        start.press("n")
        start.wait("look().number", number)
    start.press("p")
    start.wait("look().number", 40)
    assert colour(start, 50, 15) == "nose"
    start.click_on("#moments li:first-child button")
    start.wait("look().number", 23)
    assert colour(start, 45, 25) != "tail", "an unsure point is a ring"
    for kind, n in (("second", 1), ("", 3)):
        start.value(f"document.getElementById('kind').value = '{kind}'")
        start.value("document.getElementById('kind').dispatchEvent(new Event('change'))")
        assert start.value("document.querySelectorAll('#moments button').length") == n


def test_click_on_a_curve_jumps_there(start):
    x, y, width = start.value(
        "(({ x, y, width }) => [x, y, width])(document.getElementById('timeline').getBoundingClientRect())"
    )
    for number in (31, 5):
        start.click(x + 66 + (width - 66 - 12) * number / (N - 1), y + 40)
        start.wait("look().number", number)


def test_playing_shows_the_tracks_of_the_frame_in_sight(start):
    start.value(
        "window.seen = []; new MutationObserver(() => seen.push(look())).observe("
        "document.getElementById('picture'), { attributes: true, attributeFilter: ['data-frame'] })"
    )
    start.press(" ")
    start.wait("look().frame > 20")
    start.press("ArrowRight")  # pauses, and steps
    start.wait("document.getElementById('play').textContent", "Play")
    start.wait("look().number === look().frame")
    here = start.value("look().number")
    start.press("ArrowRight")
    start.wait("look().number", here + 1)
    seen = start.value("seen.map(({ number, frame }) => [number, frame])")
    assert len(seen) > 5 and all(number == frame for number, frame in seen)
    start.press(" ")
    start.wait("look().frame", N - 1)
    start.wait("document.getElementById('play').textContent", "Play")
    start.press(" ")
    start.wait("look().frame < 20")
    start.press(" ")


def test_page_fits_a_small_screen_and_asks_for_nothing(start):
    for dark in (False, True):
        start.screen(1280, 620, dark)
        sizes = "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
        assert start.value(sizes) == [620, 1280]
    start.screen(1280, 680)
    assert start.problems == [] and start.value("document.title") == "<b>v.mp4"
    assert {address.partition(":")[0] for address in start.requests} == {"file", "blob"}
