"""Weight files written by their own frameworks, and broken ones."""

import io
import json
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.weights import read_tensors, sizes

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        span = [len(data), len(data) + value.nbytes]
        header[name] = {"dtype": names[value.dtype.name], "shape": list(value.shape), "data_offsets": span}
        data += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_stream.pth"])
def test_both_torch_formats(name):
    expected = np.load(GOLDEN / "torch_files.npz")
    tensors = read_tensors(GOLDEN / name)
    assert tensors.keys() == set(expected.files)
    for key in expected:
        np.testing.assert_array_equal(tensors[key].astype(np.float32), expected[key])
    assert tensors["bfloat16"].dtype == ml_dtypes.bfloat16 and tensors["flags"].dtype == np.bool_


def test_safetensors_and_npz(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.standard_normal((3, 4)).astype(np.float32),
        "b": rng.standard_normal(5).astype(ml_dtypes.bfloat16),
        "c": np.array(3, np.int64),
    }
    read = read_tensors(write_safetensors(tmp_path / "w.safetensors", tensors))
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)
    np.savez(tmp_path / "w.npz", a=tensors["a"])
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.npz")["a"], tensors["a"])


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_stream.pth"])
def test_truncated_file_is_named(tmp_path, name):
    content = (GOLDEN / name).read_bytes()
    for share in (0.3, 0.6, 0.95):
        path = tmp_path / name
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=name):
            read_tensors(path)


def test_truncated_safetensors_file_is_named(tmp_path):
    path = write_safetensors(tmp_path / "w.safetensors", {"a": np.ones(8, np.float32)})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"w\.safetensors.*'a'"):
        read_tensors(path)


class Malice:
    def __reduce__(self):
        return (open, ("made_by_a_pickle", "w"))


@pytest.mark.parametrize(
    "content",
    [b"", b"just text", pickle.dumps({"a": 1}), pickle.dumps(Malice()), b"\x80\x02X"],
    ids=["empty", "text", "pickle", "malice", "broken"],
)
def test_other_files_are_refused_without_running_code(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth"):
        read_tensors(path)
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}])
def test_file_without_tensors_is_to_be_saved_differently(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(content, 2))
    with pytest.raises(InputError, match=r"w\.pth: .*it holds no .*; save model.state_dict\(\) instead$"):
        read_tensors(tmp_path / "w.pth")


def test_empty_file_is_named(tmp_path):
    (tmp_path / "w.pth").touch()
    with pytest.raises(InputError, match=r"w\.pth: the file is empty; download it again"):
        read_tensors(tmp_path / "w.pth")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such weight file"):
        read_tensors(tmp_path / "none.pth")


ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"a": 3}, "does not describe 'a'"),
        ({"a": ENTRY | {"dtype": "F128"}}, "does not describe 'a'"),
        ({"a": ENTRY | {"dtype": ["F32"]}}, "does not describe 'a'"),
        ({"a": ENTRY | {"shape": [2.0, 2]}}, "whole numbers"),
        ({"a": ENTRY | {"shape": [-2, -2]}}, "whole numbers"),
        ({"a": ENTRY | {"shape": [True, 4]}}, "whole numbers"),
        ({"a": ENTRY | {"shape": [2**40, 2**40]}}, "does not fit its shape"),
        ({"a": ENTRY | {"shape": [1] * 100}}, "no shape"),
        ({"a": ENTRY | {"data_offsets": [0, 8]}}, "does not fit its shape"),
        ({"a": ENTRY | {"data_offsets": [-16, 0]}}, "truncated"),
        ({"a": ENTRY | {"data_offsets": [16, 32]}}, "truncated"),
        ({"a": ENTRY | {"data_offsets": ["0", 16]}}, "does not describe 'a'"),
        ({"a": ENTRY | {"data_offsets": [0, float("nan")]}}, "does not describe 'a'"),
        ({name: ENTRY for name in "ab"}, "does not fit its shape"),  # both at one place
    ],
)
def test_safetensors_fields_of_other_types(tmp_path, header, words):
    text = json.dumps(header).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(InputError, match=rf"w\.safetensors: .*({words})"):
        read_tensors(path)


def test_safetensors_header_nested_deep_or_huge(tmp_path):
    path = tmp_path / "w.safetensors"
    for text, words in ((b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "recursion"), (b"{" + b" " * 2**24, "16 MB")):
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
        with pytest.raises(InputError, match=words):
            read_tensors(path)


HEADER = "{'descr': %s, 'fortran_order': False, 'shape': %s}"


def write_npz(path: Path, header: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    text = header.encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", content)
    return path


@pytest.mark.parametrize(
    ("descr", "shape", "words"),
    [
        ("'<f4'", "(99999999999,)", "more or fewer bytes"),
        ("'<f4'", "(2**62,)", "."),
        ("'<f4'", "(4611686018427387904, 4)", "whole numbers"),
        ("'<f4'", "(-4,)", "whole numbers"),
        ("'<f4'", "(2.0, 2)", "."),
        ("'|O'", "(2,)", "not real numbers"),
        ("'|V8'", "(2,)", "not real numbers"),
        ("'<c8'", "(2,)", "not real numbers"),
        ("[('f', '|O')]", "(2,)", "not real numbers"),
        ("(" * 3000 + ")" * 3000, "(2,)", "."),
        ("'<f4'", "(" * 20000 + ")" * 20000, "."),
    ],
)
def test_npz_headers(tmp_path, descr, shape, words):
    with pytest.raises(InputError, match=rf"w\.npz: cannot read the weight file \(.*({words}).*\); download it again"):
        read_tensors(write_npz(tmp_path / "w.npz", HEADER % (descr, shape), bytes(16)))


def test_npz_in_columns_and_with_text(tmp_path):
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "w.npz", a=values, names=np.array(["x"]))
    read = read_tensors(tmp_path / "w.npz")
    assert read.keys() == {"a"} and (read["a"] == values).all()


def test_bombs_are_refused_before_they_take_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "ALWAYS", 2**20)
    path = write_npz(tmp_path / "w.npz", HEADER % ("'<f4'", "(750000,)"), bytes(3 * 10**6), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="would take more than 1 MB"):
        read_tensors(path)
    for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        write_npz(path, HEADER % ("'<f4'", "(4,)"), bytes(16), kind)
        with pytest.raises(InputError, match="compressed in a way"):
            read_tensors(path)


def operations(value: object) -> bytes:
    return pickle.dumps(value, 0)[:-1]


def write_torch(path: Path, **changes: object) -> Path:
    """A PyTorch file of one tensor [2, 2] of a storage of 4 numbers, described by its pickle's operations."""
    fields = {
        "name": "a",
        "kind": b"ctorch\nFloatStorage\n",
        "key": "0",
        "offset": 0,
        "shape": (2, 2),
        "stride": (2, 1),
    } | changes
    code = {name: value if isinstance(value, bytes) else operations(value) for name, value in fields.items()}
    storage = b"(" + operations("storage") + code["kind"] + code["key"] + operations("cpu") + operations(4) + b"tQ"
    place = storage + code["offset"] + code["shape"] + code["stride"]
    content = b"}(" + code["name"] + b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + operations(False) + b"NtRu."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", content)
        archive.writestr("w/data/0", np.arange(4, dtype=np.float32).tobytes())
    return path


def test_torch_file_of_hand_made_operations(tmp_path):
    np.testing.assert_array_equal(read_tensors(write_torch(tmp_path / "w.pth"))["a"], [[0, 1], [2, 3]])
    repeated = read_tensors(write_torch(tmp_path / "w.pth", shape=(3, 2), stride=(0, 1), offset=2))
    np.testing.assert_array_equal(repeated["a"], [[2, 3]] * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (3, 2)}, "beyond its storage"),
        ({"offset": 1}, "beyond its storage"),
        ({"offset": -1}, "whole numbers"),
        ({"stride": (-1, 1)}, "whole numbers"),
        ({"stride": (2**62, 1)}, "whole numbers"),
        ({"stride": (1,)}, "strides than axes"),
        ({"shape": (10**6, 10**6), "stride": (0, 0)}, "more than 256 MB"),
        ({"shape": (2**47,) * 30 + (0,), "stride": (0,) * 31}, "."),
        ({"shape": None}, "no shape"),
        ({"shape": ("2", "2")}, "whole numbers"),
        ({"offset": 0.0}, "whole numbers"),
        ({"key": 0}, "unsupported type"),
        ({"key": "1"}, "w/data/1"),
        ({"kind": b"cnumpy\nfloat64\n"}, "unsupported type"),
        ({"kind": b"ctorch\nQInt8Storage\n"}, "unsupported type"),
        ({"kind": operations("FloatStorage")}, "unsupported type"),
        ({"kind": b"ctorch\nFloatStorage\n}b"}, "state"),
        ({"name": 3}, "name is no text"),
        ({"name": b"N" + b"\x85" * 200_000}, "name is no text"),
    ],
)
def test_torch_fields_of_other_types(tmp_path, changes, words):
    with pytest.raises(InputError, match=rf"w\.pth: cannot read the weight file \(.*({words}).*\); download it again"):
        read_tensors(write_torch(tmp_path / "w.pth", **changes))


def test_storage_of_two_types_is_refused(tmp_path):
    path = write_torch(tmp_path / "w.pth")
    with zipfile.ZipFile(path) as archive:
        content, numbers = archive.read("w/data.pkl"), archive.read("w/data/0")
    other = content.replace(b"FloatStorage", b"IntStorage").replace(b"Va\n", b"Vb\n")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", content[:-2] + other[2:])
        archive.writestr("w/data/0", numbers)
    with pytest.raises(InputError, match="storage 0 is of two types"):
        read_tensors(path)


@pytest.mark.parametrize("count", [-1, 2**40, 2**62])
def test_counts_in_a_torch_stream(tmp_path, count):
    content = (GOLDEN / "torch_stream.pth").read_bytes()
    file = io.BytesIO(content)
    for _ in range(5):
        list(pickletools.genops(file))
    place = file.tell()
    path = tmp_path / "w.pth"
    path.write_bytes(content[:place] + count.to_bytes(8, "little", signed=True) + content[place + 8 :])
    with pytest.raises(InputError, match="truncated"):
        read_tensors(path)


def test_pipe_and_folder_are_refused(tmp_path):
    os.mkfifo(tmp_path / "w.pth")
    for path, words in (
        (tmp_path / "w.pth", "a pipe"),
        (tmp_path, "a folder"),
        (Path("a\0b"), "not the name of a file"),
    ):
        with pytest.raises(InputError, match=f"is {words}"):
            read_tensors(path)
