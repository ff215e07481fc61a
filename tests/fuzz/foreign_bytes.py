"""Gives damaged and hostile files to the readers of data and weights, in a process of its own with limits.

    python tests/fuzz/foreign_bytes.py          # 10,000 pickles, 1,000 weight files, label tables, calibrations
    python tests/fuzz/foreign_bytes.py --kinds=weights --cases=300 --seed=7
    python tests/fuzz/foreign_bytes.py --tree=../old    # the code of another checkout

A case is made from (seed, number) alone. A file is read, or refused in one sentence; anything else is a fault: another
exception, a signal, more than LIMIT of new memory, or SECONDS without an end. Exits with 1 if there was a fault.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import pickle
import pickletools
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
LIMIT = 3 * 2**30  # bytes of address space beyond what the imports took
SECONDS = 20
CASES = {"pickles": 10_000, "weights": 1_000, "tables": 1_000, "calibrations": 1_000}
IDS = [f"labeled-data/m1/img{index:03d}.png" for index in range(10)]

Random = np.random.Generator


def _array_pickle(dtype: str, state: tuple, data: bytes, n: int) -> bytes:
    """A pickled numpy array of n elements whose dtype has this name and this state."""

    class Dtype:
        def __reduce__(self):
            return np.dtype, (dtype, False, True), state

    class Array:
        def __reduce__(self):
            return np.array([0]).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, (n,), Dtype(), False, data)

    return pickle.dumps(Array(), 2)


CRAFTED = _array_pickle(  # eight bytes of the file are taken for a pointer by numpy
    "V8", (3, "|", None, ("f",), {"f": (np.dtype("O"), 0)}, 8, 1, 0), b"\x41" * 8, 1
)


def _documentation(value: object, protocol: int) -> bytes:
    images = [{"image": tuple(name.split("/")), "size": np.array([1, 4, 4]), "joints": {0: value}} for name in IDS[:8]]
    return pickle.dumps([images, np.arange(8), np.array([8, 9, -1]), np.float64(0.8)], protocol)


PLAIN = [_documentation(value, protocol) for value in (np.zeros((1, 3)), [[0, 1.5, 2]]) for protocol in range(6)]
KIND = pickle.dumps([("Ann", part, coord) for part in ("snout", "leftear", "tailbase") for coord in "xy"], 0)
HOSTILE = [
    CRAFTED,
    b"\x80\x04" + b"(" * 100_000 + b".",
    b"\x80\x04]r\xff\xff\xff\x7f.",  # a memo of gigabytes
    b"]p99999999999\n.",
    b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"x.",
    b"\x80\x05\x96" + (2**60).to_bytes(8, "little") + b"x.",
    b"\x80\x04" + b"N" + b"\x85" * 200_000 + b"}\x85.",
    b"\x80\x04}N" + b"\x85" * 200_000 + b"Ns.",  # a key nested too deep to hash
    b"\x80\x04}N" + b"2\x86" * 60 + b"Ns.",  # a key that takes for ever to hash
    b"\x80\x04]" + b"2\x86\x85q\x01" * 60 + b".",
    b"cbuiltins\nbytearray\n(I99999999999\ntR.",
    b"c_codecs\nencode\n(V" + b"x" * 9000 + b"\nVlatin1\ntq\x01" + b"h\x01R" * 2000 + b".",
    b"cnumpy\nndarray\n((I99999999999\nttR.",
    b"cnumpy\ndtype\n(VO\ntR.",
    b"cnumpy\ndtype\n}V__setstate__\nNsb.",
    b"cposix\nsystem\n(Vtrue\ntR.",
    b"iposix\nsystem\n.",
    b"\x82\x01.",
    b"Pname\n.",
    b"]\x94(h\x00e.",
    b"\x8a\xff" + b"\xff" * 255 + b".",
    b"I" + b"9" * 10_000 + b"\n.",
]
SEEDS = [content for content in HOSTILE if len(content) < 1000]  # to be mutated


def _splice(rng: Random, content: bytes, other: bytes) -> bytes:
    """Bytes changed, cut out, repeated, or taken from another file."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        place, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        match rng.integers(6):
            case 0:
                for place in rng.integers(0, len(data) or 1, min(rng.integers(1, 9), len(data))):
                    data[place] ^= 1 << int(rng.integers(8))
            case 1:
                del data[place:]
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length] * int(rng.integers(1, 20))
            case 4:
                start = int(rng.integers(len(other) + 1))
                data[place:place] = other[start : start + length]
            case 5:
                data[place : place + length] = rng.bytes(length)
    return bytes(data)


@functools.cache
def _operations(content: bytes) -> list[bytes]:
    """A pickle cut at its operations, as far as it is whole."""
    places = []
    with contextlib.suppress(Exception):
        places += [place for _, _, place in pickletools.genops(content)]
    return [content[start:stop] for start, stop in zip(places, [*places[1:], len(content)], strict=False)]


def _shuffle_operations(rng: Random, content: bytes, other: bytes) -> bytes:
    """Operations left out, repeated, exchanged, or taken from another pickle."""
    operations, others = list(_operations(content)), _operations(other) or [b"N"]
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, second = (int(rng.integers(max(len(operations), 1))) for _ in range(2))
        match rng.integers(5):
            case 0:
                del operations[place : place + 1]
            case 1:
                operations[place:place] = operations[second : second + int(rng.integers(1, 8))]
            case 2 if operations:
                operations[place], operations[second] = operations[second], operations[place]
            case 3:
                start = int(rng.integers(len(others)))
                operations[place:place] = others[start : start + int(rng.integers(1, 12))]
            case 4:
                operations[place : place + 1] = [_operation(rng)]
    return b"".join(operations)


def _operation(rng: Random) -> bytes:
    number = int(rng.choice([0, 1, -1, 255, 2**31 - 1, -(2**31)]))
    if rng.integers(2):
        return bytes([rng.choice(list(b"N}])Rbsa\x81\x88201eutQ"))])
    return b"J" + struct.pack("<i", number) if rng.integers(2) else b"j" + struct.pack("<I", number % 2**32)


def _mutated_pickle(rng: Random, seeds: list[bytes]) -> bytes:
    first, other = (seeds[rng.integers(len(seeds))] for _ in range(2))
    return (_splice if rng.integers(2) else _shuffle_operations)(rng, first, other)


def make_pickle(rng: Random, number: int, folder: Path) -> Path:
    """A Documentation_data pickle, or a label table with a pickle in its `kind` attribute."""
    whole = HOSTILE[number // 2] if number // 2 < len(HOSTILE) else b""
    if number % 2:
        content = whole or _mutated_pickle(rng, [KIND, KIND, *PLAIN, *SEEDS])
        return _table_with_kind(content[:60_000], folder)
    path = folder / "Documentation_data-reach_80shuffle1.pickle"
    path.write_bytes(whole or _mutated_pickle(rng, [*PLAIN, *SEEDS]))
    return path


def _table_with_kind(content: bytes, folder: Path) -> Path:
    import h5py

    path = Path(shutil.copy(GOLDEN / "pandas_table_one_column.h5", folder / "labels.h5"))
    with h5py.File(path, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(content or b".")
    return path


ODD = (None, True, -1, 0, 3, 2**31, 2**62, 2**64, -(2**63), 1.5, float("nan"))
ODD += ("", "x", "F32", "\0", [], {}, [[]], [0, 4])


def _odd(rng: Random) -> object:
    if rng.integers(20) == 0:
        return json.loads("[" * 900 + "]" * 900)
    return ODD[rng.integers(len(ODD))]


def _mutated_json(rng: Random, value: object) -> object:
    """The value with one of its inner values replaced, left out or added."""
    if isinstance(value, dict) and value and rng.integers(4):
        key = list(value)[rng.integers(len(value))]
        if rng.integers(8) == 0:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: _mutated_json(rng, value[key])}
    if isinstance(value, list) and value and rng.integers(4):
        place = int(rng.integers(len(value)))
        return [*value[:place], _mutated_json(rng, value[place]), *value[place + 1 :]]
    return _odd(rng)


def make_weights(rng: Random, number: int, folder: Path) -> Path:
    """A weight file in one of the four formats, with bytes or fields changed."""
    makers = (_torch_zip, _torch_stream, _safetensors, _npz)
    name, content, other = makers[number % 4](rng, bool(rng.integers(2)))
    path = folder / name
    path.write_bytes(content if other is None else _splice(rng, content, other))
    return path


def _torch_zip(rng: Random, fields: bool) -> tuple[str, bytes, bytes | None]:
    content = (GOLDEN / "torch_zip.pth").read_bytes()
    if not fields:
        return "w.pth", content, (GOLDEN / "torch_files.npz").read_bytes()
    return "w.pth", _rezipped(rng, content, "data.pkl", lambda data: _mutated_pickle(rng, [data, data, *SEEDS])), None


def _torch_stream(rng: Random, fields: bool) -> tuple[str, bytes, bytes | None]:
    content = (GOLDEN / "torch_stream.pth").read_bytes()
    if not fields:
        return "w.pth", content, content
    file, ends = io.BytesIO(content), []
    for _ in range(5):
        for _ in pickletools.genops(file):
            pass
        ends.append(file.tell())
    parts = [content[start:stop] for start, stop in zip([0, *ends], [*ends, len(content)], strict=True)]
    place = int(rng.choice([0, 2, 3, 3, 3, 4, 5]))
    count = struct.pack("<q", int(rng.choice([-1, 2**60])))
    parts[place] = _mutated_pickle(rng, [parts[place]]) if place < 5 else count
    return "w.pth", b"".join(parts), None


def _safetensors(rng: Random, fields: bool) -> tuple[str, bytes, bytes | None]:
    header = {"__metadata__": {"format": "pt"}}
    for index, (name, shape) in enumerate((("a", [2, 2]), ("b", [4]), ("c", [1, 1, 4, 1]))):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [16 * index, 16 * index + 16]}
    text = json.dumps(_mutated_json(rng, header) if fields else header).encode()
    if fields and rng.integers(20) == 0:
        text = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    content = len(text).to_bytes(8, "little") + text + rng.bytes(48)
    return "w.safetensors", content, None if fields else content


def _npz(rng: Random, fields: bool) -> tuple[str, bytes, bytes | None]:
    file = io.BytesIO()
    save = np.savez_compressed if rng.integers(2) else np.savez
    save(file, a=np.ones((2, 3), np.float32), b=np.arange(5), c=np.array(["x"]))
    if not fields:
        return "w.npz", file.getvalue(), file.getvalue()
    return "w.npz", _rezipped(rng, file.getvalue(), ".npy", lambda data: _mutated_npy(rng, data)), None


def _mutated_npy(rng: Random, content: bytes) -> bytes:
    """An array file with another header: other types, gigantic shapes, code, or brackets thousands deep."""
    header = content[10 : 10 + int.from_bytes(content[8:10], "little")].decode("latin-1")
    shapes = ("(99999999999,)", "(-1,)", "(2, 3.5)", "None", "(True,)", "(2**60,)", "(4611686018427387904, 4)", "()")
    descriptions = ("'|O'", "'|V8'", "'<f4'", "'<f16'", "[('f', '|O')]", "3", "'<U99999999'", "(" * 3000 + ")" * 3000)
    old = header.split("'descr': ")[1].split(",")[0], header.split("'shape': ")[1].split(", }")[0]
    new = descriptions[rng.integers(len(descriptions))], shapes[rng.integers(len(shapes))]
    which = int(rng.integers(2))
    text = header.replace(old[which], new[which]).encode("latin-1")
    return content[:8] + len(text).to_bytes(2, "little") + text + content[10 + len(header) :]


def _rezipped(rng: Random, content: bytes, suffix: str, change: Callable[[bytes], bytes]) -> bytes:
    """A zip file with one of its entries changed or doubled."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as copy:
        chosen = rng.choice([name for name in archive.namelist() if name.endswith(suffix)])
        for entry in archive.infolist():
            data = archive.read(entry)
            kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
            copy.writestr(entry.filename, change(data) if entry.filename == chosen else data, kinds[rng.integers(3)])
    return out.getvalue()


def make_table(rng: Random, number: int, folder: Path) -> Path:
    """A label table in HDF5 with bytes changed."""
    names = ("fixed_one_column", "fixed_three_columns", "table_one_column")
    contents = [(GOLDEN / f"pandas_{name}.h5").read_bytes() for name in names]
    path = folder / "labels.h5"
    content = contents[number % 3]
    if number % 2:  # in place: lengths and addresses stay
        data = bytearray(content)
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            data[place] = rng.choice([0, 255, data[place] ^ 1, data[place] ^ 128])
        content = bytes(data)
    else:
        content = _splice(rng, content, contents[rng.integers(3)])
    path.write_bytes(content)
    return path


def make_calibration(rng: Random, number: int, folder: Path) -> Path:
    """A calibration of cameras in one of its formats, with bytes changed."""
    contents = _calibrations()
    path = folder / "calibration"
    path.write_bytes(_splice(rng, contents[number % len(contents)], contents[rng.integers(len(contents))]))
    return path


@functools.cache
def _calibrations() -> list[bytes]:
    from pawjax.pose3d.calibration_files import WRITERS, write_calibration
    from pawjax.pose3d.checked import make_cameras

    matrix, lens = [[[900.0, 0, 320], [0, 910, 240], [0, 0, 1]]] * 2, [[0.1, 0.02, 0, 0, 0.01]] * 2
    rig = make_cameras("", "ab", [(640, 480)] * 2, matrix, lens, [[0, 0, 0], [0, 0.4, 0]], [[0, 0, 0], [90, 0, 9]])
    contents = []
    with tempfile.TemporaryDirectory() as folder:
        for ending in WRITERS:
            path = Path(folder) / f"calibration{ending}"
            write_calibration(path, rig)
            contents.append(path.read_bytes())
    return contents


MAKERS = {"pickles": make_pickle, "weights": make_weights, "tables": make_table, "calibrations": make_calibration}


def read(path: Path) -> None:
    """Reads a file through the door that fits its name."""
    if path.suffix == ".pickle":
        from pawjax.data.documentation import read_documentation

        read_documentation(path, IDS)
    elif path.suffix == ".h5":
        from pawjax.data.label_h5 import read_label_h5

        read_label_h5(path)
    elif path.name == "calibration":
        from pawjax.pose3d.calibration_files import read_calibration

        read_calibration(path, unit_mm=1)
    else:
        from pawjax.weights import read_tensors, read_weights

        read_weights(read_tensors(path))


def child(kind: str, seed: int, first: int, last: int) -> None:
    """Prints a line for every case: its number and what happened; at the end, the most memory in MB."""
    from pawjax.errors import InputError

    nothing = {"weights": ("none.pth",), "calibrations": ("calibration",)}.get(kind, ("none.pickle", "none.h5"))
    for name in nothing:
        with contextlib.suppress(InputError):
            read(Path(name))  # imports all there is to import
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + LIMIT,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            path = MAKERS[kind](np.random.default_rng((seed, number)), number, Path(folder))
            signal.alarm(SECONDS)  # ends this process, even within a library
            try:
                read(path)
                outcome = "read"
            except InputError as error:
                outcome = "sentence" if "\n" not in str(error) and "Traceback" not in str(error) else "no sentence"
            except BaseException as error:
                outcome = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
            signal.alarm(0)
            print(f"{number}\t{outcome}", flush=True)
            path.unlink()
    print(f"memory\t{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024}", flush=True)


def fuzz(kind: str, cases: int, seed: int, tree: Path = ROOT) -> tuple[Counter, dict[int, str], int]:
    """How often each outcome came, the faults by the number of their case, and the most memory in MB."""
    outcomes: dict[int, str] = {}
    memory = 0
    environment = os.environ | {"PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    while len(outcomes) < cases:
        words = [f"--child={kind}", f"--seed={seed}", f"--from={len(outcomes)}", f"--cases={cases}"]
        done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, env=environment)
        for line in done.stdout.splitlines():
            number, _, outcome = line.partition("\t")
            if number == "memory":
                memory = max(memory, int(outcome))
            elif number.isdigit():
                outcomes[int(number)] = outcome
        if done.returncode > 0:
            raise RuntimeError(f"the process of {kind} ended with {done.returncode} after case {len(outcomes)}")
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            outcomes[len(outcomes)] = "hang" if name == "SIGALRM" else name
    faults = {number: outcome for number, outcome in outcomes.items() if outcome not in ("read", "sentence")}
    return Counter(outcome.partition(":")[0] for outcome in outcomes.values()), faults, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(CASES), help="some of " + ", ".join(CASES))
    parser.add_argument("--cases", type=int, default=0, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout whose code is tried")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seed, options.first, options.cases)
        return
    bad = 0
    for kind in options.kinds.split(","):
        counts, faults, memory = fuzz(kind, options.cases or CASES[kind], options.seed, options.tree.resolve())
        print(f"{kind}: {', '.join(f'{n} {name}' for name, n in counts.most_common())}; {memory} MB", flush=True)
        for number, outcome in list(faults.items())[:20]:
            print(f"  case {number}: {outcome}", flush=True)
        bad += len(faults)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
