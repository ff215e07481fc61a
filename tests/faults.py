"""Does the test suite catch small faults? Puts each into a copy of the code and runs the tests that should fail.

    python tests/faults.py                      # all, one after another
    python tests/faults.py --only=anchor        # those with this word in their names
    python tests/faults.py --control            # the same tests without faults: all must pass
    python tests/faults.py --tree=../old        # another checkout

Libraries are imported once: every fault runs in a fork of this process. Programs are compiled once if
`JAX_COMPILATION_CACHE_DIR` names a folder. Exits with 1 if a fault was missed or could not be put in.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults_of_numbers import FAULTS as NUMBERS  # noqa: E402
from tests.faults_of_numbers import Fault  # noqa: E402
from tests.faults_of_pictures import FAULTS as PICTURES  # noqa: E402
from tests.faults_of_scenes import FAULTS as SCENES  # noqa: E402
from tests.faults_of_system import FAULTS as SYSTEM  # noqa: E402
from tests.faults_of_triangulation import FAULTS as TRIANGULATION  # noqa: E402

PASSED, FAILED, NOTHING_RAN = 0, 1, (4, 5)  # exit codes of pytest
LIBRARIES = (
    *(
        "pytest",
        "hypothesis",
        "scipy.ndimage",
        "scipy.special",
        "scipy.stats",
        "matplotlib.pyplot",
        "PIL.Image",
        "h5py",
    ),
    *("jax", "jax.numpy", "flax.linen", "flax.struct", "optax", "orbax.checkpoint", "ml_collections", "rich.progress"),
    *("absl.flags", "tensorflow_datasets", "av"),
)


def copy_of(tree: Path, folder: Path) -> Path:
    """A copy of the code and tests of `tree`, always at the same path, which caches depend on."""
    copy = folder / "checkout"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("pawjax", "tests", "configs", "launch", "pyproject.toml"):
        source = tree / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif source.exists():
            shutil.copy(source, copy / name)
    shutil.copy(ROOT / "tests" / "conftest.py", copy / "tests")  # so that older trees cache programs too
    return copy


def put_in(fault: Fault, tree: Path) -> bool:
    """Applies the first of the fault's changes that fits; returns whether there was one."""
    for file, old, new in fault.changes:
        path = tree / file
        if path.is_file() and (text := path.read_text()).count(old) == 1:
            path.write_text(text.replace(old, new))
            return True
    return False


def run(tests: tuple[str, ...], tree: Path) -> tuple[int, str]:
    """Exit code and output of pytest with these arguments in a tree. Missing paths are left out."""
    arguments = [word for word in tests if not word.startswith("tests/") or (tree / word.split("::")[0]).exists()]
    if not any(word.startswith("tests/") for word in arguments):
        return NOTHING_RAN[0], "no such tests"
    output_file = tree.parent / "output"
    child = os.fork()
    if not child:
        with output_file.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)
        sys.path[:0] = [str(tree)]
        for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "pawjax")]:
            del sys.modules[name]
        code = importlib.import_module("pytest").main(["-x", "-q", "-p", "no:cacheprovider", *arguments])
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output_file.read_text()


def verdict(fault: Fault, tree: Path, control: bool) -> tuple[str, str]:
    """The outcome, 'caught' or another word, and the output of the tests."""
    if not put_in(fault, tree) and not control:
        return "TEXT NOT FOUND", ""
    code, output = run(fault.tests, tree)
    if code in NOTHING_RAN:
        return "MISSED (no such test)", output
    words = {PASSED: "passed", FAILED: "FAILED"} if control else {PASSED: "MISSED", FAILED: "caught"}
    return words.get(code, f"BROKEN (exit code {code})"), output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a word in the names")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to test")
    parser.add_argument("--control", action="store_true", help="without the faults")
    parser.add_argument("--verbose", action="store_true", help="print the test output of missed faults")
    options = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("NPROC", "16")
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    for name in LIBRARIES:
        importlib.import_module(name)
    chosen = [fault for fault in (*NUMBERS, *PICTURES, *SCENES, *SYSTEM, *TRIANGULATION) if options.only in fault.name]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for fault in chosen:
            began = time.monotonic()
            tree = copy_of(options.tree.resolve(), Path(folder))
            if options.control:
                fault = fault._replace(changes=())
            word, output = verdict(fault, tree, options.control)
            bad += word not in ("caught", "passed")
            print(f"| {fault.name} | {word} | {time.monotonic() - began:.0f} s |", flush=True)
            if options.verbose and word not in ("caught", "passed"):
                print(output[-3000:], flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} as expected")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
