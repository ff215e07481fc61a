"""This machine: its processors, its accelerator, and its cache folders."""

import os
import platform
from pathlib import Path


def cache_root(cache: str = "") -> Path:
    """The folder given, or $PAWJAX_CACHE, or $XDG_CACHE_HOME/pawjax, or ~/.cache/pawjax."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache or os.environ.get("PAWJAX_CACHE") or Path(base) / "pawjax").expanduser()


def compilation_cache() -> Path:
    """The folder of compiled programs. XLA compiles for the number of processors, which JAX's cache key omits."""
    return cache_root() / "xla" / f"{n_processors()}-processors"


def n_processors() -> int:
    """Number of processors this process may use; fewer than the machine has under taskset or SLURM."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name() -> str:
    """The accelerator's name, or the processor's with the number of cores this process may use."""
    import jax  # not needed for the other functions

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
