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

from pawjax.config import check_config, default_config
from pawjax.config_history import upgrade
from pawjax.engine.processes import is_main
from pawjax.errors import InputError
from pawjax.files import lock, read_json, write_json, write_text
from pawjax.machine import device_name

PACKAGES = ("pawjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
MUTABLE_FIELDS = ("log_every", "tensorboard", "data.cache", "data.path")  # may change when a run is resumed
LOCK = ".lock"


def check_folder(workdir: Path) -> None:
    """Raises InputError if the folder holds anything but a run, or if no checkpoint can be written there."""
    name = os.path.abspath(workdir)
    if re.search("[\0\ud800-\udfff]", name):  # surrogates stand for bytes that are not UTF-8
        raise InputError(f"{name!r} contains NUL or bytes that are not UTF-8: use another --workdir")
    if not (workdir / "config.json").exists() and any(path.name != LOCK for path in workdir.glob("*")):
        raise InputError(f"{workdir} is not empty and holds no run (no config.json): use another --workdir")


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes a new run's config. Raises InputError, listing the fields, if the folder belongs to another config."""
    path = workdir / "config.json"
    new = json.loads(json.dumps(config.to_dict()))
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
        raise InputError(f"{workdir} is not a run folder (no config.json): give --workdir of a training run")
    run = workdir / "run.json"
    bodyparts = read_json(run)["data"]["bodyparts"] if run.exists() else ()
    config = default_config()  # fields added since the run have defaults that keep its behaviour
    values = read_json(path)
    try:
        with config.unlocked():
            config.update(_tuples(upgrade(values, bodyparts)))
        check_config(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the config that pawjax wrote: restore it, or use another run") from error
    return config


def read_run(workdir: Path) -> dict[str, Any]:
    """run.json of a run. Raises InputError if there is none."""
    path = workdir / "run.json"
    if not path.exists():
        raise InputError(f"{workdir} holds no run.json: start its training, or give --workdir of another run")
    return read_json(path)


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
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "data": {
            "source": config.data.source,
            "fingerprint": frames.fingerprint,
            "bodyparts": list(frames.bodyparts),
            **{f"n_{name}": len(indices) for name, indices in split.items()},
        },
    }


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

    On resume, lines after the restored step are dropped, because they will be written again. Only process 0 writes.
    """

    def __init__(self, workdir: Path, first_step: int, tensorboard: bool):
        self._path = workdir / "metrics.jsonl"
        self.seconds = 0.0  # training time up to the last line kept
        self._board = None
        if is_main():
            self._keep_until(first_step)
            self._board = _summary_writer(workdir / "tensorboard") if tensorboard else None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends the values of a step."""
        if not is_main():
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _keep_until(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # a line truncated when the run was killed
                break
            if record["step"] <= step:
                kept.append(line + "\n")
                self.seconds = record.get("seconds", self.seconds)
        write_text(self._path, "".join(kept))


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
