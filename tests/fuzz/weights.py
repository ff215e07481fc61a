"""Damaged weight files: what `pawjax.weights.files.read_tensors` makes of them."""

import json
import pickle
import shutil
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from tests.fuzz.damage import OF_CONTENT, OF_FILES, Damage, Truth, choose

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKED = (".npz", "_zip.pth")  # zip archives hold a checksum of each member
WRONG = (None, True, -1, 2**70, 1e308, float("nan"), "x", "\0", [], {}, [[[]]], {"a": 3}, [2**40, 2**40], "F32")


def make(folder: Path) -> None:
    """Writes one small file of each format."""
    for name in ("torch_zip.pth", "torch_stream.pth"):
        shutil.copy(GOLDEN / name, folder / name)
    rng = np.random.default_rng(0)
    tensors = {"a/kernel": rng.normal(size=(3, 3, 2, 4)), "a/bias": rng.normal(size=4), "step": np.array([3])}
    np.savez(folder / "numpy.npz", **tensors)
    write_safetensors(folder / "weights.safetensors", *_safetensors(tensors))


def damage(folder: Path, rng: np.random.Generator) -> Damage:
    """Damages one file and removes the others."""
    path = choose(rng, sorted(folder.iterdir()))
    for other in folder.iterdir():
        if other != path:
            other.unlink()
    structured = {".safetensors": _of_header, "_stream.pth": _of_pickle}
    special = next((change for end, change in structured.items() if path.name.endswith(end)), None)
    if special and rng.random() < 0.4:
        return Damage(f"{path.name}: {special(path, rng)}", Truth.UNKNOWN)
    change = choose(rng, OF_CONTENT * 3 + OF_FILES)
    change(path, rng)
    checked = path.name.endswith(CHECKED) or change in OF_FILES
    return Damage(f"{path.name}: {change.__name__}", Truth.REFUSED if checked else Truth.UNKNOWN)


def load(folder: Path) -> Hashable:
    """The tensors of the only file in the folder, or of the good files one after another."""
    from pawjax.weights.files import read_tensors

    found = []
    for path in sorted(folder.iterdir()) or [folder / "weights.npz"]:
        tensors = read_tensors(path)
        found.append((path.name, tuple((n, str(v.dtype), v.shape, v.tobytes()) for n, v in sorted(tensors.items()))))
    return tuple(found)


def same(good: Hashable, value: Hashable) -> bool:
    """Whether the tensors of the one file are those of the good one."""
    return set(value) <= set(good)


def _safetensors(tensors: dict[str, np.ndarray]) -> tuple[dict, bytes]:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, values in tensors.items():
        content = np.asarray(values, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data + content)]}
        data += content
    return header, data


def write_safetensors(path: Path, header: object, data: bytes) -> None:
    """Writes the header, which may be anything, and the numbers."""
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def _of_header(path: Path, rng: np.random.Generator) -> str:
    """Gives a random field of the header another value."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    entry, wrong = choose(rng, list(header)), choose(rng, WRONG)
    if entry == "__metadata__" or rng.random() < 0.2:
        header[entry] = wrong
        words = entry
    else:
        field = choose(rng, ("dtype", "shape", "data_offsets", ""))
        if field:
            header[entry][field] = wrong
        else:
            place = int(rng.integers(2))
            header[entry]["data_offsets"][place] = wrong
        words = f"{entry}.{field}"
    write_safetensors(path, header, data)
    return f"{words} = {wrong!r}"


def _of_pickle(path: Path, rng: np.random.Generator) -> str:
    """Replaces one of the first pickles by another value."""
    content = path.read_bytes()
    ends, place = [], 0
    while len(ends) < 3:
        place = content.index(b".", place) + 1
        try:
            pickle.loads(content[ends[-1] if ends else 0 : place])
        except Exception:  # noqa: S112 - a '.' within the pickle
            continue
        ends.append(place)
    wrong, which = choose(rng, WRONG), int(rng.integers(1, 3))
    path.write_bytes(content[: ends[which - 1]] + pickle.dumps(wrong, 2) + content[ends[which] :])
    return f"pickle {which} = {wrong!r}"
