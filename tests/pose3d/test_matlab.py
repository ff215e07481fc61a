"""MATLAB's files: what scipy writes and reads, and the file of a real experiment."""

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pawjax.pose3d.matlab import read_variables


def cell(*items):
    array = np.empty((1, len(items)), object)
    array[0, :] = items
    return array


@pytest.mark.parametrize("compressed", [False, True])
def test_variables_are_those_that_scipy_wrote(tmp_path, compressed):
    numbers = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in ("f8", "f4", "i1", "u2", "i4", "u8")}
    structs = np.array([[(1.0, "ab"), (2.0, "")]], [("x", object), ("longer_name", object)])
    content = {
        "deep": cell({"a": np.eye(3), "inner": {"b": cell("ü", np.zeros((0, 3)))}}, 5.0),
        "structs": structs,
        "other": np.zeros(10),
        "unread": np.zeros(20_000),  # too large for a calibration, but nobody asks for it
    }
    savemat(tmp_path / "a.mat", content | numbers, do_compression=compressed)
    found = read_variables(tmp_path / "a.mat", ["deep", "structs", *numbers, "missing"])
    assert found.keys() == {"deep", "structs", *numbers}
    for kind, array in numbers.items():
        np.testing.assert_array_equal(found[kind], array)
    (first, second), (one, two) = found["deep"], found["structs"]
    np.testing.assert_array_equal(first["a"], np.eye(3))
    assert first["inner"]["b"][0] == "ü" and first["inner"]["b"][1].size == 0 and second.item() == 5
    assert (one["x"].item(), one["longer_name"], two["x"].item()) == (1, "ab", 2)
    with pytest.raises(ValueError, match="none of a calibration"):
        read_variables(tmp_path / "a.mat", ["unread"])


def test_real_file_reads_as_scipy_reads_it(shared_data):
    path = shared_data / "dannce-mouse" / "label3d_dannce.mat"
    found = read_variables(path, ["params", "camnames"])
    expected = loadmat(path, variable_names=["params", "camnames"], simplify_cells=True)
    assert found["camnames"] == list(expected["camnames"])
    for ours, theirs in zip(found["params"], expected["params"], strict=True):
        assert ours.keys() == theirs.keys()
        for field, values in theirs.items():
            np.testing.assert_array_equal(np.squeeze(ours[field]), values)


def test_hdf5_that_leads_elsewhere_or_in_circles_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["circle/a/b"] = 1.0
        file["circle/a/again"] = file["circle"]
        file["elsewhere"] = h5py.ExternalLink("other.mat", "params")
        file.create_dataset("large", (100, 101), "f4")
        file["good/x"] = np.array([[1.0, 2, 3]])
    for name, message in (("circle", "more than|recursion"), ("elsewhere", "elsewhere"), ("large", "no small array")):
        with pytest.raises((ValueError, RecursionError), match=message):
            read_variables(path, [name])
    np.testing.assert_array_equal(read_variables(path, ["good"])["good"]["x"], [[1], [2], [3]])
