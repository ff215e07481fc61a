"""Runs the cases of one kind, one after another, and prints a line of JSON before and after each; see `__main__`.

python tests/fuzz/worker.py TREE KIND GOOD FOLDER SEED FIRST STOP
"""

import contextlib
import io
import json
import resource
import shutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
MOST_MEMORY = 16 * 2**30  # bytes of address space; JAX reserves several GB


def main(tree: str, kind: str, good: Path, folder: Path, seed: int, first: int, stop: int) -> None:
    """Damages a copy of `good` and reads it, for each case from `first` to `stop` - 1."""
    sys.path[0] = str(ROOT)
    import tests  # noqa: F401 - this package, whatever `tree` has

    sys.path[0] = tree
    import jax
    import numpy as np
    from absl import flags, logging

    from tests.fuzz import damage, projects, run_folders, weights

    flags.FLAGS.mark_as_parsed()
    logging.set_verbosity(logging.FATAL)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    target = {"projects": projects, "run_folders": run_folders, "weights": weights}[kind]
    if first < 0:
        target.make(good)
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    expected = target.load(damage.copy_tree(good, folder / "copy"))
    for index in range(first, stop):
        copy = damage.copy_tree(good, folder / "copy")
        done = target.damage(copy, np.random.default_rng((seed, index)))
        print(json.dumps({"case": index, "words": done.words}), flush=True)
        verdict, message = judge(target, copy, done, expected, damage.Truth)
        print(json.dumps({"case": index, "verdict": verdict, "message": message}), flush=True)
        shutil.rmtree(copy, ignore_errors=True)


def judge(target: ModuleType, folder: Path, done: object, expected: object, truth: type) -> tuple[str, str]:
    """The verdict on one case, a key of `tests.fuzz.__main__.VERDICTS`, and the message that came with it."""
    from pawjax import errors

    getattr(errors, "_said", set()).clear()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            value = target.load(folder)
    except errors.InputError as error:
        one_line = str(error).strip() and "\n" not in str(error) and "Traceback" not in str(error)
        if not one_line:
            return "unclear", str(error)[:2000]
        return ("refused, though valid" if done.truth is truth.SAME else "refused"), str(error)
    except OSError as error:
        if error.filename is not None:  # entry points print these as one sentence
            return "refused", f"{error.filename}: {error.strerror}"
        return "traceback", traceback.format_exc()[-2000:]
    except BaseException:
        return "traceback", traceback.format_exc()[-2000:]
    warned = "pawjax: warning:" in said.getvalue()
    if target.same(expected, value):
        return "read as before", said.getvalue()[-500:]
    if done.truth is truth.UNKNOWN:
        return "read, cannot be known", ""
    return ("changed with a warning" if warned else "changed silently"), said.getvalue()[-500:]


if __name__ == "__main__":
    tree, kind, good, folder, *numbers = sys.argv[1:]
    main(tree, kind, Path(good), Path(folder), *map(int, numbers))
