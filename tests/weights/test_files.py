"""Weight files written by their own frameworks, and broken ones."""

import json
import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from pawjax.errors import InputError
from pawjax.weights import read_tensors

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


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such weight file"):
        read_tensors(tmp_path / "none.pth")
