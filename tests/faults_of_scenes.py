"""Faults of the pictures in 3D; see `tests/faults.py`."""

from tests.faults_of_numbers import fault

REPORT = "pawjax/report/"
PAGE, SPACE = "tests/report/test_scene_page.py", REPORT + "space/"
PICTURES, PACKED, VIEW = REPORT + "scene_pictures.py", REPORT + "packed.py", REPORT + "scene_view.py"

FAULTS = (
    fault(
        "scene: a camera without the point counts in the mean error",
        f"{PAGE} -k cameras_that_see",
        (REPORT + "scene.py", "/ weight.sum(0)", "/ len(weight)"),
    ),
    fault(
        "scene: points behind a camera are projected",
        f"{PAGE} -k cameras_that_see",
        (REPORT + "scene.py", "np.where(hidden[..., None], np.nan,", "np.where(False, np.nan,"),
    ),
    fault(
        "scene: names end the script of the page",
        f"{PAGE} -k code_of_names",
        (REPORT + "browser_page.py", '.replace("<", "\\\\u003c")', ""),
    ),
    fault(
        "scene: a long recording loses its worst frames",
        f"{PAGE} -k thinned",
        (REPORT + "scene_page.py", "np.argsort(-worst", "np.argsort(worst"),
    ),
    fault(
        "scene: one far position takes the digits of all",
        f"{PAGE} -k far",
        (REPORT + "scene_page.py", "min(float(reach.max()), ", "max(float(reach.max()), "),
    ),
    fault(
        "scene: differences are taken from the last frame",
        "tests/report/test_packed.py -k come_back",
        (PACKED, "unsigned[:-1]]", "unsigned[1:]]"),
    ),
    fault(
        "scene: high bytes come first",
        "tests/report/test_packed.py -k come_back",
        (PACKED, 'astype(f"<u', 'astype(f">u'),
    ),
    fault(
        "scene: logarithms are rounded down",
        "tests/report/test_packed.py -k logarithms",
        (PACKED, "1 + np.rint(np.nan_to_num(steps))", "1 + np.floor(np.nan_to_num(steps))"),
    ),
    fault(
        "scene: shares are rounded down",
        "tests/report/test_packed.py -k shares",
        (PACKED, "1 + np.rint(254", "1 + np.floor(254"),
    ),
    fault(
        "scene: correlations are those of other axes",
        "tests/report/test_packed.py -k keep_their_shape",
        (PACKED, "np.array([1, 2, 2])", "np.array([2, 1, 2])"),
    ),
    fault(
        "scene: the page loses the high bytes",
        f"{PAGE} -k calibrated_to",
        (SPACE + "unpack.js", "256 * bytes[about.at + size + i]", "0"),
    ),
    fault(
        "scene: the view of a camera has its principal point amid",
        f"{PAGE} -k calibrated_to",
        (SPACE + "view.js", "principal[0] - (size[0] - 1) / 2", "0"),
    ),
    fault(
        "scene: the view of a camera is from the target",
        f"{PAGE} -k calibrated_to",
        (SPACE + "view.js", "plus(view.target, camera.place, -1))", "plus(view.target, [0, 0, 0], -1))"),
    ),
    fault("scene: the wheel does nothing", f"{PAGE} -k mouse", (SPACE + "page.js", "pixels / 500", "0 / 500")),
    fault("scene: the mouse does not turn", f"{PAGE} -k mouse", (SPACE + "page.js", "x / 150, y / 150", "0, 0")),
    fault("scene: every view is from above", f"{PAGE} -k mouse", (SPACE + "view.js", "unit(direction).map", "up.map")),
    fault(
        "scene: errors are as large for 2 deviations",
        f"{PAGE} -k toggled",
        (SPACE + "view.js", "deviations * Math.sqrt", "Math.sqrt"),
    ),
    fault(
        "scene: hidden reconstructions are drawn",
        f"{PAGE} -k hidden",
        (SPACE + "stage.js", "ways.filter((way) => way.visible)", "ways"),
    ),
    fault(
        "scene: hidden bodyparts are drawn",
        f"{PAGE} -k hidden",
        (SPACE + "stage.js", "visible[k] ? positionOf(way, frame, k) : null", "positionOf(way, frame, k)"),
    ),
    fault(
        "scene: missing points are not said",
        f"{PAGE} -k missing",
        (SPACE + "lists.js", "visible[k] && !positionOf(one, frame, k)", "false"),
    ),
    fault(
        "scene: the standard deviation is that of x",
        f"{PAGE} -k under_the_mouse",
        (SPACE + "measures.js", "Math.hypot(...[0, 1, 2]", "Math.hypot(...[0]"),
    ),
    fault(
        "scene: the least error is the worst",
        f"{PAGE} -k bad_frames",
        (SPACE + "measures.js", "one.values[b] - one.values[a]", "one.values[a] - one.values[b]"),
    ),
    fault("scene: it does not stop", f"{PAGE} -k plays", (SPACE + "page.js", "  playing = null;\n", "")),
    fault(
        "scene: the slider stays behind",
        f"{PAGE} -k plays",
        (SPACE + "page.js", '  $("slider").value = frame;\n', ""),
    ),
    fault(
        "scene: the lists flow over the controls",
        f"{PAGE} -k fits",
        (SPACE + "scene.css", "aside { overflow-y: auto; }", "aside { min-width: 1400px; }"),
    ),
    fault(
        "scene: the video shows the raw skeleton twice",
        "tests/report/test_scene_pictures.py -k beside",
        (PICTURES, "[scene.positions[0], chosen]", "[chosen, chosen]"),
    ),
    fault(
        "scene: the view does not follow the animal",
        "tests/report/test_scene_pictures.py -k beside",
        (PICTURES, "one.mean[number] - centre)", "one.mean[number] - centres[0])"),
    ),
    fault(
        "scene: the view is mirrored",
        "tests/report/test_scene_pictures.py -k looks_down",
        (VIEW, "right = np.cross(forward, up)", "right = np.cross(up, forward)"),
    ),
    fault(
        "scene: up is where the cameras are turned away from",
        "tests/report/test_scene_pictures.py -k test_up",
        (VIEW, "above - rotations[:, 1]", "-above"),
    ),
    fault(
        "scene: pyramids end at the centres of the corner pixels",
        "tests/report/test_scene_pictures.py -k pyramids",
        (VIEW, "[:, None] - 0.5", "[:, None]"),
    ),
    fault(
        "scene: reprojections are those of another camera",
        "tests/report/test_scene_pictures.py -k discs",
        (PICTURES, "_as_tracks(scene, points[number]", "_as_tracks(scene, points[number - 1]"),
    ),
    fault(
        "scene: tracked points are discs",
        "tests/report/test_scene_pictures.py -k discs",
        (REPORT + "labelled_video.py", "outline=colors[k]", "fill=colors[k]"),
    ),
    fault(
        "scene: a video of another size is drawn",
        "tests/report/test_scene_pictures.py -k refused",
        (PICTURES, "size=(size[1], size[0]) if size else", "size="),
    ),
)
