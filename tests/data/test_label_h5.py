"""Label tables in HDF5 as pandas writes them, read without pandas (goldens: third_party/pandas/make_golden.py)."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pawjax.data.label_csv import read_label_csv
from pawjax.data.label_h5 import read_label_h5
from pawjax.data.label_table import first_difference
from pawjax.errors import InputError
from tests.fuzz.foreign_bytes import CRAFTED

GOLDEN = Path(__file__).parents[1] / "golden"
LAYOUTS = ("fixed_one_column", "fixed_three_columns", "table_one_column")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_equal_the_csv(layout):
    table, text = read_label_h5(GOLDEN / f"pandas_{layout}.h5"), read_label_csv(GOLDEN / "pandas_one_column.csv")
    assert (table.ids, table.bodyparts) == (text.ids, text.bodyparts)
    np.testing.assert_allclose(table.keypoints, text.keypoints, rtol=1e-15)


def test_openfield_h5_and_csv_agree(shared_data):
    folder = shared_data / "openfield-Pranav-2018-10-30/labeled-data/m4s1"
    table = read_label_h5(folder / "CollectedData_Pranav.h5")
    assert len(table.ids) == 116 and table.bodyparts == ("snout", "leftear", "rightear", "tailbase")
    np.testing.assert_array_equal(table.keypoints[0, 0, 0], [21.521, 265.428])
    assert first_difference(table, read_label_csv(folder / "CollectedData_Pranav.csv")) == ""


def test_pandas_and_tables_are_not_needed():
    code = (
        "import sys; sys.modules.update(pandas=None, tables=None)\n"
        "from pathlib import Path\n"
        "from pawjax.data.label_h5 import read_label_h5\n"
        "print(len(read_label_h5(Path(sys.argv[1])).ids))"
    )
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    path = GOLDEN / "pandas_table_one_column.h5"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=home, check=True)
    assert done.stdout.strip() == "3"


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


def _golden(tmp_path: Path, layout: str) -> Path:
    return Path(shutil.copy(GOLDEN / f"pandas_{layout}.h5", tmp_path / "labels.h5"))


def _set_kind(path: Path, pickled: bytes) -> None:
    with h5py.File(path, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(pickled)


def test_pickled_code_is_refused(tmp_path):
    path = _golden(tmp_path, "table_one_column")
    _set_kind(path, pickle.dumps([Evil()], protocol=0))
    with pytest.raises(InputError, match=r"labels.h5: .*asks for posix.system.*config.data.label_file=csv"):
        read_label_h5(path)


def test_other_and_unknown_keys(tmp_path):
    path = _golden(tmp_path, "fixed_one_column")
    with h5py.File(path, "r+") as file:
        file.move("df_with_missing", "keypoints")
    assert len(read_label_h5(path).ids) == 3
    with h5py.File(path, "r+") as file:
        file.move("keypoints", "tracks")
    with pytest.raises(InputError, match="no table named df_with_missing or keypoints, only tracks"):
        read_label_h5(path)


def test_damaged_file_points_to_the_csv(tmp_path):
    path = _golden(tmp_path, "fixed_one_column")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot be read as labels in HDF5.*config.data.label_file=csv"):
        read_label_h5(path)


def test_multi_animal_is_refused_by_name(tmp_path):
    path = _golden(tmp_path, "table_one_column")
    _set_kind(path, pickle.dumps([("Ann", "m1", "snout", coord) for coord in "xyxyxy"], protocol=0))
    with pytest.raises(InputError, match="multi-animal"):
        read_label_h5(path)


@pytest.mark.parametrize("kind", ["c16", "S8"])
@pytest.mark.parametrize("layout", ["fixed_one_column", "table_one_column"])
def test_values_that_are_not_real_numbers_are_refused(tmp_path, layout, kind):
    path = _golden(tmp_path, layout)
    with h5py.File(path, "r+") as file:
        group = file["df_with_missing"]
        if layout == "fixed_one_column":
            values = group["block0_values"][()]
            del group["block0_values"]
            group["block0_values"] = values.astype(kind)
        else:
            table, attributes = group["table"][()], dict(group["table"].attrs)
            dtype = [("index", table.dtype["index"]), ("values_block_0", (kind, table.dtype["values_block_0"].shape))]
            records = np.array([(row["index"], row["values_block_0"].astype(kind)) for row in table], dtype)
            del group["table"]
            group["table"] = records
            group["table"].attrs.update(attributes)
    with pytest.raises(InputError, match="labels.h5: .*not numbers"):
        read_label_h5(path)


def test_row_without_a_path_is_refused(tmp_path):
    path = _golden(tmp_path, "fixed_three_columns")
    with h5py.File(path, "r+") as file:
        file["df_with_missing/axis1_label2"][1] = -1  # pandas' code for a missing value
    with pytest.raises(InputError, match="axis1 has entries without a name"):
        read_label_h5(path)


def test_unknown_layout_is_named(tmp_path):
    path = _golden(tmp_path, "fixed_one_column")
    with h5py.File(path, "r+") as file:
        file["df_with_missing"].attrs["pandas_type"] = np.bytes_(b"series")
    with pytest.raises(InputError, match="pandas type 'series'"):
        read_label_h5(path)


def _change(path: Path, **changes: object) -> Path:
    """Replaces datasets of the table by arrays, or by what a function makes in the group."""
    with h5py.File(path, "r+") as file:
        group = file["df_with_missing"]
        for name, value in changes.items():
            del group[name]
            if callable(value):
                value(group, name)
            else:
                group[name] = value
    return path


def _declared(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (10**9, 6), "f8", chunks=(64, 6), compression="gzip")


def _elsewhere(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (3, 6), "f8", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def _virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((3, 6), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "values", (3, 6))
    group.create_virtual_dataset(name, layout)


def _set(value: object):
    return lambda group, name: group.__setitem__(name, value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block0_values": _declared}, "declares more than 256 MB"),
        ({"block0_values": _elsewhere}, "lies elsewhere"),
        ({"block0_values": _virtual}, "lies elsewhere"),
        ({"block0_values": _set(h5py.ExternalLink("other.h5", "values"))}, "lies elsewhere"),
        ({"block0_values": _set(h5py.SoftLink("/df_with_missing/axis1"))}, "lies elsewhere"),
        ({"block0_values": np.zeros((3, 6), complex)}, "not numbers"),
        ({"block0_values": np.zeros((2, 6))}, "not .scorer, bodypart, coordinate."),
        ({"axis1": np.zeros(3)}, "not text"),
        ({"axis1": np.array(["a", "b", "c"], h5py.string_dtype())}, "neither numbers nor text of fixed length"),
        ({"axis1": np.array([b"\xff", b"b", b"c"])}, "decode"),
        ({"block0_items_label1": np.array([0, 0, 1, 1, -1, -1], np.int8)}, "entries without a name"),
        ({"block0_items_label1": np.array([0, 0, 1, 1, 9, 9], np.int8)}, "entries without a name"),
        ({"block0_items_label1": np.zeros(6)}, "entries without a name"),
    ],
)
def test_hostile_contents_are_refused(tmp_path, changes, words):
    path = _change(_golden(tmp_path, "fixed_one_column"), **changes)
    with pytest.raises(InputError, match=f"labels.h5: .*{words}"):
        read_label_h5(path)


def test_link_in_the_place_of_the_table_is_refused(tmp_path):
    path = _golden(tmp_path, "fixed_one_column")
    with h5py.File(path, "r+") as file:
        file.move("df_with_missing", "other")
        file["df_with_missing"] = h5py.SoftLink("/other")
    with pytest.raises(InputError, match="lies elsewhere"):
        read_label_h5(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(np.int64(2**40), "not a pickle"), (np.bytes_(pickle.dumps([(None,)] * 6, 0)), "in the place of a name")],
)
def test_columns_that_are_no_names_are_refused(tmp_path, kind, words):
    path = _golden(tmp_path, "table_one_column")
    with h5py.File(path, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = kind
    with pytest.raises(InputError, match=words):
        read_label_h5(path)


def test_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "labels.h5")
    with pytest.raises(InputError, match="is a pipe"):
        read_label_h5(tmp_path / "labels.h5")


def test_address_in_a_dtype_is_refused_at_both_doors(tmp_path):
    """numpy would take eight bytes of the pickle for a pointer and end the process."""
    path = _golden(tmp_path, "table_one_column")
    _set_kind(path, CRAFTED)
    (tmp_path / "Documentation_data-x.pickle").write_bytes(CRAFTED)
    code = (
        "import sys; from pathlib import Path\n"
        "from pawjax.data.documentation import read_documentation\n"
        "from pawjax.data.label_h5 import read_label_h5\n"
        "from pawjax.errors import InputError\n"
        "for read in (lambda: read_label_h5(Path('labels.h5')),\n"
        "             lambda: read_documentation(Path('Documentation_data-x.pickle'), ['a'])):\n"
        "    try:\n"
        "        read()\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=home, cwd=tmp_path)
    sentences = done.stdout.splitlines()
    assert done.returncode == 0 and len(sentences) == 2, (done.returncode, done.stderr)
    assert all("dtype is neither numbers nor text" in sentence for sentence in sentences)
