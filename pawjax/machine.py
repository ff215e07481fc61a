"""This machine: its processors, its accelerator, and its cache folders."""

import os
import platform
import tempfile
from pathlib import Path

from pawjax.errors import InputError, warn
from pawjax.files import user_path


def cache_root(cache: str = "") -> Path:
    """The folder given, or $PAWJAX_CACHE, or $XDG_CACHE_HOME/pawjax, or ~/.cache/pawjax.

    Raises InputError if none is set and there is no home folder, as for an unknown user in a container.
    """
    if chosen := cache or os.environ.get("PAWJAX_CACHE"):
        return user_path(chosen)
    try:
        return user_path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pawjax"
    except RuntimeError as error:
        raise InputError(
            "this user has no home folder for prepared data and compiled programs: set PAWJAX_CACHE to a folder"
        ) from error


def compilation_cache() -> Path:
    """The folder of compiled programs. XLA compiles for the number of processors, which JAX's cache key omits."""
    return cache_root() / "xla" / f"{n_processors()}-processors"


def use_compilation_cache() -> None:
    """Makes JAX keep compiled programs on disk, unless the process or JAX_COMPILATION_CACHE_DIR chose a folder for it.

    Without a folder that can be written to, it warns, and every process compiles anew.
    """
    import jax  # not needed for the other functions

    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        folder = compilation_cache()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not say so on every file system
            pass
    except InputError as error:
        return warn(f"compiled programs are not kept: {error}")
    except OSError as error:
        why = f"{folder} cannot be written to ({error.strerror}); set PAWJAX_CACHE to another folder"
        return warn(f"compiled programs are not kept: {why}")
    jax.config.update("jax_compilation_cache_dir", str(folder))


def n_processors() -> int:
    """Number of processors this process may use; fewer than the machine has under taskset or SLURM."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name() -> str:
    """The accelerator's name, or the processor's with the number of cores this process may use."""
    import jax

    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    n, usable = os.cpu_count(), n_processors()
    return f"{model}, {n if usable == n else f'{usable} of {n}'} cores"
