"""The page of a scene in 3D: what it holds, and that it works in a browser: turned, played, and switched."""

import dataclasses
import json
import re
import time

import numpy as np
import pytest

from pawjax.report import scene as scenes
from pawjax.report import scene_page
from pawjax.report.scene import Positions, reprojected, reprojection_error
from pawjax.report.scene_page import write_scene_page
from tests.report.browser import PROGRAM, Browser
from tests.report.scenes import BAD, BODYPARTS, N, walking
from tests.report.test_packed import unpack

WIDTH, HEIGHT = 1280, 760
COLORS = {"ransac": [217, 217, 217], "gimbal": [230, 159, 0]}
TITLE = "<b>walk"


@pytest.fixture(scope="module")
def scene():
    return walking()


@pytest.fixture(scope="module")
def page(scene, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_scene_page(scene, path, TITLE)
    return path


def content_of(path):
    html = path.read_text()
    content = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])
    return content, unpack(content["layout"], re.search(r'id="packed">([^<]*)<', html)[1])


def positions_in(content, codes):
    values = np.where(codes == -(2**15), np.nan, codes.astype(float))
    return content["origin"] + content["unit"] * values


def test_page_holds_the_scene(page, scene):
    content, arrays = content_of(page)
    assert content["bodyparts"] == [*BODYPARTS] and content["edges"] == [[0, 1], [1, 2]] and content["note"] == ""
    assert content["facts"] == ["40 frames", "20 frames/s", "3 cameras", "3 bodyparts"] and content["up"] == [0, 0, 1]
    for number, one in enumerate(scene.positions):
        again = positions_in(content, arrays[f"mean{number}"])
        np.testing.assert_allclose(again, one.mean, atol=0.51 * content["unit"])
        error = 0.01 * 1e6 ** ((arrays[f"error{number}"].astype(float) - 1) / 254)
        np.testing.assert_allclose(error[4:], reprojection_error(scene, one)[4:], rtol=0.03)
    assert content["unit"] < 0.01 and arrays["error0"][3, 0] == 0
    assert {*arrays} == {"mean0", "mean1", "error0", "error1", "covariance1", "outlier1"}
    np.testing.assert_allclose(
        (arrays["outlier1"].astype(float) - 1) / 254, np.nanmean(scene.positions[1].outlier, axis=1), atol=0.003
    )


def test_error_is_that_of_the_cameras_that_see_the_point(scene, monkeypatch):
    truth = scene.positions[1]
    distance = np.linalg.norm(reprojected(scene.cameras, truth.mean) - scene.pixels, axis=-1)
    np.testing.assert_allclose(reprojection_error(scene, truth)[5], distance[1:, 5].mean(0), rtol=1e-6)
    doubtful = dataclasses.replace(scene, likelihood=scene.likelihood * np.array([1, 0.5, 0])[:, None, None])
    expected = (distance[0] + 0.5 * distance[1]) / 1.5
    np.testing.assert_allclose(reprojection_error(doubtful, truth)[10:], expected[10:], rtol=1e-4)
    monkeypatch.setattr(scenes, "FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(reprojection_error(doubtful, truth)[10:], expected[10:], rtol=1e-4)
    behind = dataclasses.replace(truth, mean=truth.mean + [0, 0, 1e4])
    assert np.isnan(reprojected(scene.cameras, behind.mean)).all(-1).any()


def test_page_asks_for_nothing_and_holds_no_code_of_names(page):
    html = re.sub(r'id="packed">[^<]*', "", page.read_text())
    assert not re.search(r"https?:|@import|url\(|<link|srcset|\bsrc=(?!x onerror)", html)
    assert html.count("</script>") == 3 and "<img" not in html and "<b>" not in html
    assert "default-src 'none'" in html and "{{" not in html


def test_long_recordings_are_thinned_but_keep_their_worst(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(scene_page, "MOST_POSITIONS", 60)  # 10 frames
    write_scene_page(scene, tmp_path / "s.html", "walk")
    content, arrays = content_of(tmp_path / "s.html")
    assert len(content["numbers"]) <= 10 and {0, 8, 16, 24, 32, BAD} <= {*content["numbers"]}
    assert "every 8th of the others" in content["note"]
    np.testing.assert_allclose(
        positions_in(content, arrays["mean1"]), scene.positions[1].mean[content["numbers"]], atol=content["unit"]
    )


def test_far_positions_are_drawn_at_an_edge_and_said(scene, tmp_path):
    mean = scene.positions[0].mean.copy()
    mean[7, 1] = [1e7, 0, 0]
    far = dataclasses.replace(scene, positions=(Positions("raw", mean),))
    write_scene_page(far, tmp_path / "s.html", "walk")
    content, arrays = content_of(tmp_path / "s.html")
    assert content["note"].startswith("1 positions lie") and arrays["mean0"][7, 1, 0] == 32767
    assert content["unit"] < 0.02


def test_a_scene_without_any_position_is_shown(scene, tmp_path):
    empty = dataclasses.replace(scene, positions=(Positions("raw", np.full((N, 3, 3), np.nan)),), edges=())
    write_scene_page(empty, tmp_path / "s.html", "walk")
    assert (content_of(tmp_path / "s.html")[1]["mean0"] == -(2**15)).all()


IN_PAGE = """
window.look = () => {
  const c = document.getElementById("picture");
  const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  let hash = 0;
  for (let i = 0; i < data.length; i += 4) {
    hash = (31 * hash + data[i] + 7 * data[i + 1] + 13 * data[i + 2] + 17 * data[i + 3]) | 0;
  }
  return hash;
};
window.at = (x, y) =>
  [...document.getElementById("picture").getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
window.pick = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change", { bubbles: true }));
};
window.tick = (id, on) => {
  const box = document.getElementById(id);
  if (box.checked !== on) box.click();
};
window.words = (id) => document.getElementById(id).textContent;
"""


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("chromium (Debian's package) is not installed")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.screen(WIDTH, HEIGHT)
        browser.open(page)
        browser.wait("document.getElementById('picture')?.dataset.frame", "0")
        browser.value(IN_PAGE)
        yield browser


@pytest.fixture
def start(browser):
    """The browser at frame 0 in the overview, with everything in sight."""
    browser.value("document.querySelectorAll('#ways input').forEach((box) => box.checked || box.click())")
    browser.value("pick('view', 'overview'); pick('kind', 'error'); pick('deviations', '1'); pick('coloured', 'way')")
    browser.value("for (const id of ['skeleton', 'rig', 'ground']) tick(id, true)")
    browser.value("for (const id of ['follow', 'trail']) tick(id, false)")
    browser.click_on("#all")
    browser.press("Home")
    return browser


def through_camera(browser, scene, name, frame, way, k):
    """The place in the canvas at which a camera without distortion puts a point."""
    camera = scene.cameras.names.index(name)
    width, height = scene.cameras.sizes[camera]
    pixel = reprojected(scene.cameras, scene.named(way).mean)[camera, frame, k]
    box = browser.value("[picture.clientWidth, picture.clientHeight]")
    scale = min(box[0] / width, box[1] / height)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.array(box) / 2 + scale * (pixel - middle)


def test_each_camera_sees_the_points_where_it_is_calibrated_to(start, scene):
    start.value("for (const id of ['skeleton', 'ground', 'rig']) tick(id, false); pick('deviations', '0')")
    for name in scene.cameras.names:
        start.value(f"pick('view', 'camera {name}')")
        for way in ("gimbal", "ransac"):
            start.value(
                f"document.querySelectorAll('#ways input').forEach((b, i) => b.checked === (i === {way == 'gimbal':d}) "
                "|| b.click())"
            )
            for k in range(3):
                x, y = through_camera(start, scene, name, 0, way, k)
                np.testing.assert_allclose(start.value(f"at({x:.0f}, {y:.0f})"), COLORS[way], atol=3)


def test_mouse_turns_moves_and_zooms_the_view(start):
    x, y, width, height = start.value(
        "(({ x, y, width, height }) => [x, y, width, height])(picture.getBoundingClientRect())"
    )
    seen = [start.value("look()")]
    middle = x + width / 2, y + height / 2
    for button in ("left", "right"):
        start.drag(middle, (middle[0] + 80, middle[1] + 30), button)
        seen.append(start.value("look()"))
    start.wheel(*middle, -240)
    seen.append(start.value("look()"))
    for key in "adwsqe":
        start.press(key)
        seen.append(start.value("look()"))
    assert len({*seen[:4]}) == 4 and all(a != b for a, b in zip(seen, seen[1:], strict=False))
    start.value("pick('view', 'overview')")
    assert start.value("look()") == seen[0]
    for view in ("top", "side", "front", "whole rig", "camera top"):
        start.value(f"pick('view', '{view}')")
        seen.append(start.value("look()"))
    start.value("pick('up', '-y'); pick('view', 'overview')")
    seen.append(start.value("look()"))
    start.value("pick('up', '+z')")
    assert len({*seen[-6:]}) == 6 and start.value("look()") == seen[0]


def test_what_is_toggled_changes_the_picture(start):
    whole = start.value("look()")
    for id in ("skeleton", "ground", "trail", "follow"):
        start.press("End")
        before = start.value("look()")
        start.click_on(f"#{id}")
        assert start.value("look()") != before, id
        start.click_on(f"#{id}")
    start.value("pick('view', 'whole rig')")
    before = start.value("look()")
    start.click_on("#rig")
    assert start.value("look()") != before
    start.value("tick('rig', true); pick('view', 'overview')")
    start.press("Home")
    for id, value, back in (("deviations", "2", "1"), ("deviations", "0", "1"), ("coloured", "bodypart", "way")):
        start.value(f"pick('{id}', '{value}')")
        assert start.value("look()") != whole, value
        start.value(f"pick('{id}', '{back}')")
    assert start.value("look()") == whole


def test_reconstructions_and_bodyparts_are_hidden(start, scene):
    start.value("for (const id of ['skeleton', 'ground', 'rig']) tick(id, false); pick('deviations', '0')")
    start.value("pick('view', 'camera left')")
    x, y = through_camera(start, scene, "left", 0, "gimbal", 1)
    assert start.value(f"at({x:.0f}, {y:.0f})") != [0, 0, 0]
    start.press("1")
    assert start.value(f"at({x:.0f}, {y:.0f})") == COLORS["gimbal"]
    start.press("2")
    empty = start.value("look()")
    assert start.value(f"at({x:.0f}, {y:.0f})") == [0, 0, 0]
    assert "no shown reconstruction has this measure" in start.value("words('count')")
    start.press("2")
    start.click_on("#bodyparts li:nth-child(2) label")
    assert start.value(f"at({x:.0f}, {y:.0f})") == [0, 0, 0] and start.value("look()") != empty
    start.click_on("#none")
    assert start.value("look()") == empty


def test_missing_points_are_said_and_not_drawn(start):
    for _ in range(3):
        start.press("ArrowRight")
    assert start.value("words('missing')") == "missing here: ransac: nose"
    assert start.value("document.querySelector('#ways .value').textContent") == "2 of 3"
    start.press("ArrowRight")
    assert start.value("words('missing')") == "nothing is missing here"


def test_names_show_under_the_mouse(start, scene):
    start.value("pick('view', 'camera top')")
    start.press("1")
    x, y = through_camera(start, scene, "top", 0, "gimbal", 0)
    left, top = start.value("(({ x, y }) => [x, y])(picture.getBoundingClientRect())")
    start.move(left + x, top + y)
    start.wait("tip.hidden", False)
    place = ", ".join(f"{value:.1f}" for value in scene.positions[1].mean[0, 0])
    words = start.value("tip.textContent").split("\n")
    assert words[:2] == ["nose, gimbal", f"{place} mm"] and words[2].startswith("reprojection error ")
    covariance = scene.positions[1].covariance[0, 0]
    told = float(words[4].removeprefix("standard deviation ").removesuffix(" mm"))
    np.testing.assert_allclose(told, np.sqrt(np.trace(covariance)), rtol=0.03)
    start.move(left + 3, top + 3)
    start.wait("tip.hidden", True)


def test_bad_frames_are_listed_and_visited(start):
    start.press("2")
    assert start.value("document.querySelector('#moments').innerText").split("\n")[:2] == [f"{BAD}", "nose"]
    start.press("n")
    assert start.value("picture.dataset.frame") == f"{BAD}"
    start.press("2")
    start.value("pick('kind', 'outlier')")
    assert "outlier probability of gimbal" in start.value("words('count')")
    start.click_on("#moments li:nth-child(2) button")
    assert start.value("picture.dataset.frame") == start.value(
        "document.querySelector('#moments li:nth-child(2) span').textContent"
    )
    start.value("pick('kind', 'deviation')")
    assert "mm in gimbal" in start.value("document.querySelector('#moments').innerText")


def test_it_plays_scrubs_and_steps(start):
    start.press(" ")
    start.wait("Number(picture.dataset.frame) > 5")
    start.press(" ")
    here = start.value("picture.dataset.frame")
    time.sleep(0.15)
    assert start.value("[picture.dataset.frame, play.textContent]") == [here, "Play"]
    start.value("slider.value = 17; slider.dispatchEvent(new Event('input'))")
    assert start.value("words('readout')") == "frame 17 of 39, 7.850 s"
    start.press("ArrowRight", shift=True)
    assert start.value("picture.dataset.frame") == "27"
    x, y, width = start.value("(({ x, y, width }) => [x, y, width])(timeline.getBoundingClientRect())")
    start.click(x + 66 + (width - 66 - 12) * 31 / (N - 1), y + 60)
    assert start.value("[picture.dataset.frame, slider.value]") == ["31", "31"]
    start.value("pick('speed', '16')")
    start.press(" ")
    start.wait("[picture.dataset.frame, play.textContent].join()", "39,Play")
    start.value("pick('speed', '1')")


def test_page_fits_a_screen_and_asks_for_nothing(start):
    for dark in (False, True):
        start.screen(WIDTH, 700, dark)
        sizes = "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
        assert start.value(sizes) == [700, WIDTH]
    start.screen(WIDTH, HEIGHT)
    assert start.problems == [] and start.value("document.title") == TITLE
    assert {address.partition(":")[0] for address in start.requests} == {"file"}
    unnamed = "button, select, input"
    assert (
        start.value(
            f"[...document.querySelectorAll('{unnamed}')].filter((e) => !(e.ariaLabel || e.labels?.length || "
            "e.textContent.trim())).length"
        )
        == 0
    )


def test_a_page_without_positions_opens(scene, tmp_path, browser, page):
    empty = dataclasses.replace(scene, positions=(Positions("raw", np.full((N, 3, 3), np.nan)),), edges=())
    write_scene_page(empty, tmp_path / "s.html", "nothing")
    browser.open(tmp_path / "s.html")
    browser.wait("document.title", "nothing")
    browser.wait("document.getElementById('picture')?.dataset.frame", "0")
    assert "missing here: raw: nose, neck" in browser.value("missing.textContent") and browser.problems == []
    assert "nothing stands out" in browser.value("count.textContent")
