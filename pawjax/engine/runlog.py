"""The files of a run folder: config.json, run.json, split.json and metrics.jsonl."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import run_files
from pawjax.config import check_config, default_config
from pawjax.config_history import upgrade
from pawjax.engine.processes import is_main
from pawjax.errors import InputError, warn
from pawjax.files import lock, user_path, write_json, write_text
from pawjax.machine import device_name

PACKAGES = ("pawjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
# May change when a run is resumed; `setup.open_folder` checks `steps`.
MUTABLE_FIELDS = (
    "steps",
    "patience",
    "log_every",
    "tensorboard",
    "data.cache",
    "data.path",
    "predict.temperature",
    "predict.bias",
)
END_FIELDS = (
    "steps",
    "seconds",
    "params_sha256",
    "stopped_early",
)  # of run.json, added at the end, the last not always
LOCK = ".lock"
MOST_SIZES = 50  # of frames that run.json lists


def check_folder(workdir: Path) -> None:
    """Raises InputError if the path is a file's, or the folder holds anything but a run, whole or about to begin.

    Also if no checkpoint can be written to a path of this name.
    """
    name = os.path.abspath(workdir)
    if re.search("[\0\ud800-\udfff]", name):  # surrogates stand for bytes that are not UTF-8
        raise InputError(f"{name!r} contains NUL or bytes that are not UTF-8: use another --workdir")
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir={workdir} is a file: name a folder")
    if (workdir / "config.json").exists():
        read_config(workdir)
    elif any(path.name != LOCK for path in workdir.glob("*")):
        raise InputError(f"{workdir} is not empty and holds no run (no config.json): use another --workdir")
    if any((workdir / "checkpoints").glob("[0-9]*")):  # written long after run.json
        read_run(workdir)


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes a new run's config, with the absolute path of its data.

    Raises InputError, listing the fields, if the folder belongs to another config.
    """
    path = workdir / "config.json"
    new = json.loads(json.dumps(config.to_dict()))
    if config.data.path:  # the run is read from other working directories too
        new["data"]["path"] = os.path.abspath(user_path(config.data.path))
    if path.exists():
        old = json.loads(json.dumps(read_config(workdir).to_dict()))
        differing = [
            f"{field} is {_shown(was)} there and {_shown(now)} here"
            for field, was, now in _differences(old, new)
            if field not in MUTABLE_FIELDS
        ]
        if differing:
            raise InputError(
                f"{workdir} belongs to a run with another config ({'; '.join(differing)}): "
                "use another --workdir or the same config"
            )
    write_json(path, new)


def read_config(workdir: Path) -> ConfigDict:
    """The config of a run. Raises InputError if there is none or someone made it invalid."""
    path = workdir / "config.json"
    if not path.exists():
        raise InputError(f"{workdir} is not a run folder (no config.json): name the folder of a training run")
    values, run = run_files.read_config(path), workdir / "run.json"
    bodyparts = run_files.read_run(run)["data"]["bodyparts"] if run.exists() else ()
    config = default_config()  # fields added since the run have defaults that keep its behaviour
    try:
        with config.unlocked():
            config.update(_tuples(upgrade(values, bodyparts)))
        check_config(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the config that pawjax wrote: {run_files.RESTORE}") from error
    return config


def read_run(workdir: Path) -> dict[str, Any]:
    """run.json of a run. Raises InputError if there is none, or it is damaged."""
    return run_files.read_run(workdir / "run.json")


def has_other_frames(workdir: Path, record: dict[str, Any]) -> bool:
    """Whether the run.json of a folder describes other frames or labels than `record`."""
    known = read_run(workdir)["data"]
    return any(known[field] != record["data"][field] for field in ("source", "fingerprint", "bodyparts"))


def must_write_split(workdir: Path, lists: dict[str, list[str]]) -> bool:
    """Whether split.json of a resumed run is missing or damaged, which is said, and `lists` are its frames.

    Raises InputError if the run has another split than `lists`.
    """
    path, record = workdir / "split.json", read_run(workdir)
    drawn = run_files.split_sha256(lists)
    known = record.get("split_sha256", drawn)
    same = known == drawn and all(len(lists[name]) == record["data"][f"n_{name}"] for name in lists)
    try:
        same = same and drawn == run_files.split_sha256(run_files.read_split(path, record))
    except run_files.Damaged as error:
        if same:
            warn(f"{error.what}: it is written anew, as config.data draws the same split again")
            return True
    if not same:
        raise InputError(
            f"config.data draws another split than the one that {workdir} began with: restore the file of "
            "config.data.split_file, or use another --workdir"
        )
    return False


def describe_run(config: ConfigDict, frames: Any, split: dict[str, np.ndarray]) -> dict[str, Any]:
    """The provenance of a run, for run.json."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": {"python": platform.python_version(), **_versions()},
        "device": device_name(),
        "n_devices": len(jax.devices()),
        "n_processes": jax.process_count(),
        "channels": frames.images.shape[-1],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "data": {
            "source": config.data.source,
            "fingerprint": frames.fingerprint,
            "bodyparts": list(frames.bodyparts),
            **({"value_range": list(frames.value_range)} if frames.value_range else {}),
            "frame_sizes": np.unique(frames.sizes, axis=0).tolist()[:MOST_SIZES],
            **{f"n_{name}": len(indices) for name, indices in split.items()},
        },
        "split_sha256": run_files.split_sha256(split_lists(frames, split)),
    }


def split_lists(frames: Any, split: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """The ids of the frames of each split, as in split.json."""
    return {name: [frames.ids[i] for i in indices] for name, indices in split.items()}


def params_sha256(params: Any) -> str:
    """Hash of the float32 leaves, ordered by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    named = sorted((jax.tree_util.keystr(path), leaf) for path, leaf in leaves)
    digest = hashlib.sha256()
    for name, leaf in named:
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(leaf, np.float32).tobytes())
    return digest.hexdigest()


class MetricsLog:
    """Writes metrics.jsonl, one line per record, and TensorBoard events if requested.

    On resume, lines after the restored step are dropped, because they will be written again, and so are garbled ones.
    Only process 0 writes, and only it has the `evaluations`: the records of evaluations so far, each with its 'step'.
    """

    def __init__(self, workdir: Path, first_step: int, tensorboard: bool):
        self._path = workdir / "metrics.jsonl"
        self.evaluations: list[dict[str, float]] = []
        self.seconds = 0.0  # training time up to the last line kept
        self._board = None
        if is_main():
            self._keep_until(first_step)
            self._board = _summary_writer(workdir / "tensorboard") if tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends the values of a step."""
        if not is_main():
            return
        record = {"step": step, **values}
        self._keep_evaluations([record])
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _keep_until(self, step: int) -> None:
        if step == 0 and not self._path.exists():
            return
        kept = [record for record in run_files.read_log(self._path) if record["step"] <= step]
        self.seconds = next((record["seconds"] for record in reversed(kept) if "seconds" in record), 0.0)
        self._keep_evaluations(kept)
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in kept))

    def _keep_evaluations(self, records: list[dict[str, float]]) -> None:
        self.evaluations += [record for record in records if record.get(run_files.BY_DEFAULT) is not None]


def lock_run(workdir: Path) -> TextIO:
    """Locks a run folder, see `files.lock`. Raises InputError if another process holds the lock."""
    try:
        return lock(workdir / LOCK, wait=False)
    except BlockingIOError as error:
        raise InputError(f"another process is training in {workdir}: end it, or use another --workdir") from error


def _summary_writer(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError(
            "config.tensorboard needs the package tensorboardX: pip install 'pawjax[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder))


def _differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        rows = []
        for name in sorted(old.keys() | new.keys()):
            rows += _differences(old.get(name), new.get(name), f"{prefix}.{name}" if prefix else name)
        return rows
    return [] if old == new else [(prefix, old, new)]


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    try:
        result = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
