"""python -m pawjax.calibrate on drawn boards that known cameras see, and what users do wrong."""

import dataclasses
import json

import av
import numpy as np
import pytest

from pawjax import calibrate, cli
from pawjax.data.board_corners import find_corners
from pawjax.data.board_views import match_views, open_sources
from pawjax.errors import InputError
from pawjax.pose3d import corners as finding
from pawjax.pose3d.board import Board
from pawjax.pose3d.calibration_files import read_calibration
from pawjax.pose3d.cameras import camera_places
from pawjax.reconstruction.calibrating import read_cameras
from tests.board_pictures import moved, pictures, poses, save, small_rig

pytest.importorskip("cv2", reason="OpenCV, of pawjax[calibrate], draws and finds the boards")

# All have 24 corners, so that the fit is compiled once.
PLAIN, TURNING = Board("chessboard", (8, 3), 25.0), Board("chessboard", (6, 4), 25.0)
CHARUCO = Board("charuco", (7, 5), 25.0, 18.0, "4X4_50")
OLD = dataclasses.replace(CHARUCO, size=(9, 4), legacy=True)  # with an odd number of rows the layouts are the same
N_VIEWS = 12
RIG = small_rig()


@pytest.fixture(scope="module")
def plain():
    return pictures(PLAIN, RIG, poses(N_VIEWS))


@pytest.fixture(scope="module")
def turning():
    return pictures(TURNING, RIG, poses(N_VIEWS))


@pytest.fixture(scope="module")
def charuco():
    return pictures(CHARUCO, RIG, poses(N_VIEWS))


@pytest.fixture
def run(tmp_path, capsys):
    """Calibrates from pictures [C, V, H, W]; returns the exit code, what was printed, and the folder."""

    def run(taken, board, *words):
        cameras = save(tmp_path / f"pictures{len(list(tmp_path.iterdir()))}", RIG, taken)
        size = "{}x{}".format(*board.size)
        words = [f"--board={board.kind}", f"--squares={size}", f"--square_mm={board.square_mm}", *words]
        words.insert(0, f"--cameras={cameras}")
        if board.kind == "charuco":
            words += [f"--marker_mm={board.marker_mm}", f"--dictionary={board.dictionary}"]
        code = cli.call(calibrate.ENTRY_POINT, [f"--out={tmp_path / 'c.toml'}", *words])
        printed = capsys.readouterr()
        return code, printed.out if code == 0 else printed.err, printed.err

    return run


def check_cameras(path, tolerance=1.0):
    """Read back, the cameras are those that took the pictures, in the first one's frame."""
    found = read_calibration(path)
    assert found.names == RIG.names and found.sizes == RIG.sizes
    apart = [np.linalg.norm(places[1:] - places[0], axis=-1) for places in map(camera_places, (found, RIG))]
    np.testing.assert_allclose(*apart, atol=tolerance)
    np.testing.assert_allclose(found.matrix[:, 0, 0], RIG.matrix[:, 0, 0], rtol=0.005)
    return found


def test_from_pictures_to_a_file_and_a_report(plain, run, tmp_path):
    """With one picture of another moment, and some in which the board is not seen."""
    taken = plain.copy()
    taken[2, 3], taken[0, 5], taken[1, :2] = taken[2, 9], 128, 128
    code, printed, _ = run(taken, PLAIN)
    assert code == 0 and "world: the frame of the camera 'left', from which z points away" in printed
    found = check_cameras(tmp_path / "c.toml")
    np.testing.assert_allclose(found.translation[0], 0, atol=1e-12)
    report = json.loads((tmp_path / "c_report" / "report.json").read_text())
    assert report["rms_px"] < 0.1 and report["doubts"] == []
    assert {name: values["n_pictures"] for name, values in report["cameras"].items()}["left"] >= 10
    out = [view["right"] for view in report["views"] if view.get("right", {}).get("left_out")]
    assert [picture["picture"] for picture in out] == ["img4.png"] and out[0]["rms_px"] > 5
    page = (tmp_path / "c_report" / "index.html").read_text()
    assert page.count("data:image/png;base64") == 4 and "left out" in page and "http" not in page
    assert run(taken, PLAIN)[:2] == (
        2,
        f"pawjax: {tmp_path}/c.toml: exists already: choose another --out, or write --overwrite\n",
    )


def test_a_board_that_looks_the_same_turned(turning, run, tmp_path):
    """Also with the world on a board, from whose side the cameras look: z is up."""
    code, printed, _ = run(turning, TURNING, "--world=img2")
    assert code == 0 and "world: the board of img2" in printed
    places = camera_places(check_cameras(tmp_path / "c.toml"))
    assert places[:, 2].min() > 300


def test_videos(charuco, run, tmp_path):
    """The world is on the board of a frame."""
    words = []
    for name, own in zip(RIG.names, charuco, strict=True):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=5)
            stream.height, stream.width = own.shape[1:]
            stream.pix_fmt = "gray"
            for pixels in own:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
            container.mux(stream.encode())
        words.append(f"{name}={path}")
    code, said, _ = run(charuco[:, :1], CHARUCO, f"--cameras={','.join(words)}", "--world=2")
    assert code == 0 and "world: the board of 2, " in said
    assert camera_places(check_cameras(tmp_path / "c.toml", tolerance=1.5))[:, 2].min() > 300
    report = json.loads((tmp_path / "c_report" / "report.json").read_text())
    assert report["views"][3]["left"]["picture"] == "frame 3" and len(report["views"]) == N_VIEWS


def test_charuco_of_the_old_layout(run, tmp_path):
    code, _, warned = run(pictures(OLD, RIG, poses(N_VIEWS)), OLD)
    assert code == 0 and "has the layout that OpenCV drew before version 4.6, and is read as such" in warned
    check_cameras(tmp_path / "c.toml", tolerance=1.5)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"size": (9, 4)}, "not found in any of 12 pictures of the camera 'left': 8x3 fits, as inner corners of"),
        ({"size": (12, 9)}, "correct --squares, the number of inner corners of a chessboard"),
    ],
)
def test_squares_that_do_not_fit_a_chessboard(plain, run, given, words):
    code, said, _ = run(plain, dataclasses.replace(PLAIN, **given))
    assert code == 2 and words in said and said.count("\n") == 1


def test_a_part_of_a_chessboard(plain, tmp_path):
    """OpenCV finds it in some pictures of two cameras, its corners not always the same ones."""
    folders = read_cameras(save(tmp_path, RIG, plain).split(","))
    sources = open_sources({name: folders[name] for name in ("middle", "right")})
    with pytest.raises(InputError, match="--squares=7x3 is only a part of the chessboard, on which 8x3 inner corners"):
        find_corners(sources, match_views(sources, 400), dataclasses.replace(PLAIN, size=(7, 3)))


@pytest.mark.parametrize(
    "given, words",
    [
        ({"size": (6, 4)}, "7x5 fits, as squares of a ChArUco board are counted: write --squares=7x5"),
        ({"size": (5, 7)}, "write --squares=7x5"),
        ({"dictionary": "ARUCO_MIP_36H12"}, "its markers are of the dictionary 4X4_50: write --dictionary=4X4_50"),
        ({"dictionary": "4x4_51"}, "--dictionary=4x4_51 is no dictionary of markers: did you mean '4X4_50'?"),
        ({"size": (20, 12)}, "--dictionary=4X4_50 holds 50 markers, but a board of 20x12 squares has 120"),
    ],
)
def test_what_does_not_fit_a_charuco_board(charuco, run, given, words):
    code, said, _ = run(charuco[:, :1], dataclasses.replace(CHARUCO, **given))
    assert code == 2 and words in said


def test_pictures_in_a_mirror(plain, charuco, run):
    code, said, _ = run(charuco[:, :2, :, ::-1], CHARUCO)
    assert code == 2 and "it is found when they are mirrored" in said
    one = plain.copy()
    one[1] = one[1, ..., ::-1]
    code, said, _ = run(one, PLAIN)
    assert code == 2 and "the pictures of one of the cameras left and middle are mirrored against the other's" in said


def test_a_moved_camera(plain, run, tmp_path):
    taken = plain.copy()
    taken[1, 7:] = pictures(PLAIN, moved(RIG, 1, 12.0), poses(N_VIEWS))[1, 7:]
    code, said, _ = run(taken, PLAIN)
    assert code == 2 and "the camera 'middle' was moved during the recording" in said and "from img8.png on" in said
    assert not (tmp_path / "c.toml").exists()
    code, _, said = run(taken, PLAIN, "--force")
    assert code == 0 and "warning: the camera 'middle' was moved" in said
    assert "moved" in json.loads((tmp_path / "c_report" / "report.json").read_text())["doubts"][0]


def test_an_error_that_stays_high(plain, run):
    code, said, _ = run(plain, PLAIN, "--max_error_px=0.001")
    assert code == 2 and "the error of the camera" in said and "stays high" in said and "worst pictures are img" in said


def test_cameras_that_never_see_the_board_together(plain, run):
    taken = plain.copy()
    taken[:2, ::2], taken[2, 1::2] = 128, 128
    code, said, _ = run(taken, PLAIN)
    assert code == 2 and "the cameras left, middle never see the board together with right" in said


def test_words_that_are_wrong(plain, run, tmp_path, monkeypatch):
    for words, message in (
        (["left"], "--cameras=left must be NAME=FOLDER_OR_VIDEO"),
        (["a=x", "a=y"], "--cameras names the camera 'a' twice"),
    ):
        with pytest.raises(InputError, match=message):
            read_cameras(words)
    assert (
        "--fisheye=front: there is no such camera: the cameras are left"
        in run(plain[:, :1], PLAIN, "--fisheye=front")[1]
    )
    (tmp_path / "file").touch()
    code, said, printed = run(plain[:, :1], PLAIN, f"--out={tmp_path / 'file' / 'c.toml'}")
    assert code == 2 and said.startswith("pawjax: nothing can be written in") and "fitting" not in printed
    said = run(plain[:, :1], PLAIN, "--world=img9")[1]
    assert "--world=img9 is none of the pictures in which the board was found, such as 'img1.png'" in said
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    assert "not installed: pip install 'pawjax[calibrate]'" in run(plain[:, :1], PLAIN)[1]
    with pytest.raises(InputError, match="pip install"):
        finding.opencv()
