"""Calibrations: every format round trips, is found by its content, and what cannot be a camera gets a sentence."""

import dataclasses
import pickle
import tomllib
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from pawjax.errors import InputError
from pawjax.pose3d.calibration_files import WRITERS, read_calibration, write_calibration
from pawjax.pose3d.cameras import camera_places, project, projection_matrices, select, undistort
from pawjax.pose3d.checked import make_cameras
from tests.pose3d.rigs import make_rig

GOLDEN = np.load(Path(__file__).resolve().parents[1] / "golden" / "opencv_cameras.npz")
ARRAYS = ("matrix", "distortion", "rotation", "translation", "fisheye")


def without_skew(rig):
    matrix = rig.matrix.copy()
    matrix[:, 0, 1] = 0
    return dataclasses.replace(rig, matrix=matrix)


def assert_same(first, second, atol=0.0):
    assert first.names == second.names
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=atol, err_msg=name)


@pytest.mark.parametrize("ending", WRITERS)
def test_round_trip(tmp_path, ending):
    wide = () if ending in (".mat", ".pickle") else (1,)
    rig = without_skew(make_rig(2 if ending == ".pickle" else 3, fisheye=wide))
    rig = dataclasses.replace(rig, names=("front left", "b-2", "ü")[: len(rig)])
    if ending == ".pickle":  # the world is the first camera's frame
        turns = Rotation.from_rotvec(rig.rotation)
        second = turns[1] * turns[0].inv()
        shift = rig.translation[1] - second.apply(rig.translation[0])
        rig = dataclasses.replace(
            rig,
            names=("camera-1", "camera-2"),
            rotation=np.stack([np.zeros(3), second.as_rotvec()]),
            translation=np.stack([np.zeros(3), shift]),
        )
    path = tmp_path / f"calibration{ending}"
    write_calibration(path, rig)
    moved = path.rename(tmp_path / "its name says nothing")
    again = read_calibration(moved, unit_mm=1)
    assert_same(again, rig, atol=1e-9)
    assert again.sizes == ((None,) * 3 if ending == ".mat" else rig.sizes)


def test_files_are_replaced_only_on_demand(tmp_path):
    path = tmp_path / "calibration.toml"
    write_calibration(path, without_skew(make_rig(2)))
    with pytest.raises(InputError, match="exists already"):
        write_calibration(path, without_skew(make_rig(3)))
    write_calibration(path, without_skew(make_rig(3)), overwrite=True)
    assert len(read_calibration(path)) == 3
    with pytest.raises(InputError, match="endings? are|did you mean"):
        write_calibration(tmp_path / "calibration.json", make_rig(2))
    assert [file.name for file in tmp_path.iterdir()] == ["calibration.toml"]


def test_skew_that_opencv_ignores_is_said(tmp_path, capsys):
    write_calibration(tmp_path / "a.npz", make_rig(2))
    assert not capsys.readouterr().err
    write_calibration(tmp_path / "a.toml", make_rig(2))
    assert "ignores the skew of the camera cam0" in capsys.readouterr().err


def test_anipose_as_it_writes(tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(
        '[cam_0]\nname = "A"\nsize = [ 640, 480,]\n'
        "matrix = [ [ 500.0, 0.0, 320.0,], [ 0.0, 500.0, 240.0,], [ 0.0, 0.0, 1.0,],]\n"
        "distortions = [ 0.1, 0.0, 0.0, 0.0, 0.0,]\nrotation = [ 0.0, 0.0, 0.0,]\ntranslation = [ 0.0, 0.0, 0.0,]\n\n"
        '[cam_1]\nname = "B"\nsize = [ 640, 480,]\nfisheye = true\n'
        "matrix = [ [ 500.0, 0.0, 320.0,], [ 0.0, 500.0, 240.0,], [ 0.0, 0.0, 1.0,],]\n"
        "distortions = [ 0.1, 0.0, 0.0, 0.2,]\nrotation = [ 0.0, 0.1, 0.0,]\ntranslation = [ 100.0, 0.0, 0.0,]\n\n"
        "[metadata]\nadjusted = false\nerror = 0.5\n"
    )
    rig = read_calibration(path)
    assert rig.names == ("A", "B") and rig.sizes == ((640, 480),) * 2 and rig.fisheye.tolist() == [False, True]
    assert rig.distortion[1].tolist() == [0.1, 0, 0, 0.2, 0]


def test_toml_is_as_aniposelib_expects(tmp_path):
    write_calibration(tmp_path / "c.toml", without_skew(make_rig(2, fisheye=(1,))))
    tables = tomllib.loads((tmp_path / "c.toml").read_text())
    assert list(tables) == ["cam_0", "cam_1"]
    fields = {"name", "size", "matrix", "distortions", "rotation", "translation"}
    assert tables["cam_0"].keys() == fields and tables["cam_1"].keys() == fields | {"fisheye"}
    assert len(tables["cam_0"]["distortions"]) == 5 and len(tables["cam_1"]["distortions"]) == 4


def test_deeplabcut_rectifies_as_opencv(tmp_path):
    """R1 and R2 turn the two cameras so that a point has the same row in both; DeepLabCut triangulates from these."""
    brown = ~GOLDEN["fisheye"]
    rig = make_cameras("golden", ["a", "b"], [(1000, 900)] * 2, *(GOLDEN[name][brown] for name in ARRAYS))
    write_calibration(tmp_path / "stereo_params.pickle", rig)
    entries = pickle.loads((tmp_path / "stereo_params.pickle").read_bytes())["a-b"]
    for name in ("R", "R1", "R2"):
        np.testing.assert_allclose(entries[name], GOLDEN[f"stereo/{name}"], atol=1e-12)
    np.testing.assert_allclose(entries["T"].ravel(), GOLDEN["stereo/T"], atol=1e-9)
    with jax.enable_x64(True):
        ideal = np.asarray(jax.jit(lambda x: undistort(rig, project(rig, x)))(GOLDEN["points"]))
    rays = [np.c_[ideal[i], np.ones(len(ideal[i]))] @ np.linalg.inv(entries[f"cameraMatrix{i + 1}"]).T for i in (0, 1)]
    (u1, v1, w1), (u2, v2, w2) = (
        (ray @ (entries[f"P{i + 1}"][:, :3] @ entries[f"R{i + 1}"]).T).T for i, ray in enumerate(rays)
    )
    axis = int(entries["P2"][1, 3] != 0)
    same = ((v1 / w1, v2 / w2), (u1 / w1, u2 / w2))[axis]
    np.testing.assert_allclose(*same, atol=1e-6)
    homogeneous = [np.c_[ideal[i], np.ones(len(ideal[i]))] for i in (0, 1)]
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", homogeneous[1], entries["F"], homogeneous[0]), 0, atol=1e-6)


def test_deeplabcut_needs_the_side_of_a_square(tmp_path):
    path = tmp_path / "stereo_params.pickle"
    write_calibration(path, without_skew(select(make_rig(3), ["cam2", "cam0"])))
    with pytest.raises(InputError, match="squares of the board: give unit_mm"):
        read_calibration(path)
    rig = read_calibration(path, unit_mm=30)
    assert np.linalg.norm(camera_places(rig)[1]) == pytest.approx(
        30 * np.linalg.norm(np.diff(camera_places(make_rig(3))[[2, 0]], axis=0))
    )


def test_opencv_writes_a_pair(tmp_path):
    (tmp_path / "stereo.yml").write_bytes(GOLDEN["stereo/yaml"].tobytes())
    rig = read_calibration(tmp_path / "stereo.yml")
    assert rig.names == ("camera1", "camera2") and rig.sizes == (None, None)
    np.testing.assert_array_equal(rig.matrix, GOLDEN["matrix"][:2])
    np.testing.assert_allclose(Rotation.from_rotvec(rig.rotation[1]).as_matrix(), GOLDEN["stereo/R"], atol=1e-12)


def test_projection_matrices(tmp_path):
    """Up to their scale and sign, in an .npy; they have no lens."""
    rig = make_rig(3, lens=0)
    with jax.enable_x64(True):
        matrices = np.asarray(projection_matrices(rig)) * np.array([1, -2, 0.01])[:, None, None]
    np.save(tmp_path / "p.npy", matrices)
    again = read_calibration(tmp_path / "p.npy")
    np.testing.assert_allclose(again.matrix, rig.matrix, atol=1e-7)
    np.testing.assert_allclose(camera_places(again), camera_places(rig), atol=1e-7)


def test_matlab_73(tmp_path):
    """HDF5 as MATLAB lays it out: cells of references, arrays transposed, text as numbers."""
    rig = make_rig(2)
    with h5py.File(tmp_path / "label3d_dannce.mat", "w", userblock_size=512) as file:
        cells = {"params": [], "camnames": []}
        for index, name in enumerate(rig.names):
            camera = file.create_group(f"#refs#/{index}")
            k, t = rig.distortion[index], rig.translation[index]
            values = {"K": rig.matrix[index].T, "r": Rotation.from_rotvec(rig.rotation[index]).as_matrix().T}
            values |= {"t": t[None], "RDistort": k[None, [0, 1, 4]], "TDistort": k[None, 2:4]}
            for field, value in values.items():
                camera[field] = value.T
            file[f"#refs#/name{index}"] = np.frombuffer(name.encode("utf-16-le"), np.uint16)[:, None]
            file[f"#refs#/name{index}"].attrs["MATLAB_class"] = np.bytes_("char")
            cells["params"].append(camera.ref)
            cells["camnames"].append(file[f"#refs#/name{index}"].ref)
        for name, references in cells.items():
            file.create_dataset(name, data=np.array([references], h5py.ref_dtype), dtype=h5py.ref_dtype)
    with (tmp_path / "label3d_dannce.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    again = read_calibration(tmp_path / "label3d_dannce.mat")
    expected = rig.matrix - np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert_same(again, dataclasses.replace(rig, matrix=expected), atol=1e-9)


IDENTITY, MIRROR = np.eye(3), np.diag([1.0, 1, -1])
GOOD = {
    "names": ["a", "b"],
    "sizes": [(640, 480)] * 2,
    "matrix": [np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])] * 2,
    "distortion": np.zeros((2, 5)),
    "rotation": [IDENTITY, IDENTITY],
    "translation": [[0, 0, 0], [100.0, 0, 0]],
}
BAD = [
    ({"rotation": [IDENTITY, MIRROR]}, "rotation of the camera 'b' is mirrored .* turn one axis"),
    ({"rotation": [1.1 * IDENTITY, IDENTITY]}, "rotation of the camera 'a' is not rigid"),
    ({"translation": [[0, 0, 0], [0.1, 0, 0]]}, "at most 0.1 apart, which looks like metres.*give unit_mm"),
    ({"names": ["a", "a"]}, "names of the cameras are a, a: name each one once"),
    ({"names": ["a", "b", "c"]}, "3 cameras .a, b, c., but 2 of 'size'"),
    ({"matrix": [GOOD["matrix"][0].T] * 2}, "matrix of the camera 'a' is .*looks transposed"),
    ({"matrix": [np.eye(4)] * 2}, r"matrix of the camera 'a' has shape \(4, 4\), not \(3, 3\)"),
    ({"matrix": [np.nan * IDENTITY] * 2}, "a number that is not finite"),
    ({"distortion": np.full((2, 8), 0.1)}, "8 coefficients, but pawjax knows k1, k2, p1, p2, k3"),
    ({"distortion": [["x"], [0.0]]}, "distortion of the camera 'a' is .*not numbers"),
    ({"sizes": [(640, 0), None]}, r"size of the camera 'a' is \(640, 0\), not \(width, height\)"),
    ({"translation": [[0, 0], [0, 0]]}, r"translation of the camera 'a' has shape \(2,\), not \(3,\)"),
    ({"distortion": np.ones((2, 5)), "fisheye": [True, False]}, "5 coefficients, but a fisheye has k1 to k4"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_cannot_be_a_camera(change, message):
    make_cameras("rig.npz", **GOOD)
    with pytest.raises(InputError, match=f"^rig.npz: .*{message}"):
        make_cameras("rig.npz", **GOOD | change)


def test_metres_are_read_on_demand():
    rig = make_cameras("rig.npz", **GOOD | {"translation": [[0, 0, 0], [0.1, 0, 0]]}, unit_mm=1000)
    np.testing.assert_allclose(rig.translation[1], [100, 0, 0])


FILES = [
    (b"", "neither TOML nor YAML|no table of a camera"),
    (b"\xff\xfe\x00", "is no calibration that pawjax knows"),
    (b"\x80\x04cposix\nsystem\n(Vtrue\ntR.", "is not read as a stereo_params.pickle"),
    (pickle.dumps({"a-b": 3}), "is not DeepLabCut's stereo_params.pickle"),
    (pickle.dumps({"a-b": {"cameraMatrix1": 1}, "c-d": {"cameraMatrix1": 1}}), "holds the pairs a-b, c-d"),
    (b"PK\x03\x04 damaged", "cannot be read as arrays of numpy"),
    (b"MATLAB 5.0 damaged", "cannot be read as a .mat of DANNCE"),
    (b"\x89HDF\r\n\x1a\n damaged", "cannot be read as a .mat of DANNCE"),
    (b"[cam_0]\nname = 'a'\n", r"the table \[cam_0\] has no field 'matrix'"),
    (b"[metadata]\nerror = 1\n", "no table of a camera"),
    (b"a: [1\n", "neither TOML nor YAML"),
    (b"%YAML:1.0\n---\ncameras: 3\n", "'cameras' is not a list"),
    (b"%YAML:1.0\n---\ncameras:\n   - name: a\n", "camera 0 of the list 'cameras' has no field 'camera_matrix'"),
    (b"%YAML:1.0\n---\ncamera_matrix: 3\n", "holds camera_matrix, by which the cameras cannot be placed"),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_other_files_get_a_sentence(tmp_path, content, message):
    path = tmp_path / "calibration"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_calibration(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(InputError, match=str(path)):
            read_calibration(path)
    for content, message in (
        ({"params": np.zeros(3)}, "no cameras, a cell 'params'"),
        ({"params": {"r": 1}}, "no field 'K'"),
    ):
        savemat(tmp_path / "other.mat", content)
        with pytest.raises(InputError, match=message):
            read_calibration(tmp_path / "other.mat")


def test_formats_refuse_what_they_cannot_hold(tmp_path):
    unknown = dataclasses.replace(without_skew(make_rig(3, fisheye=(1,))), sizes=(None,) * 3)
    for name, message in (
        ("a.toml", "size of the camera 'cam0'"),
        ("a.pickle", "two cameras"),
        ("a.mat", "no fisheye"),
    ):
        with pytest.raises(InputError, match=message):
            write_calibration(tmp_path / name, unknown)
    assert not list(tmp_path.iterdir())
