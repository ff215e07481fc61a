"""This machine: its processors, its memory, its accelerator, and its cache folders."""

import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pawjax.errors import InputError, warn
from pawjax.files import user_path

_CGROUP_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))  # v2, v1


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


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process can still allocate: the free memory, within `ulimit -v` and the limits of containers.

    Args:
      root: where proc/ and sys/ are. Without them, memory counts as unlimited.
    """
    free = [sys.maxsize, *_free_in_cgroups(root)]
    try:
        free.append(1024 * _numbers(root / "proc/meminfo")["MemAvailable:"])
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - 1024 * _numbers(root / "proc/self/status")["VmSize:"])
    except (OSError, KeyError):
        pass
    return max(0, min(free))


def need_memory(n_bytes: float, what: str, fix: str) -> None:
    """Raises InputError, '<what> need N GB of memory ...: <fix>', if that much is not available."""
    free = available_memory()
    if n_bytes > free:
        raise InputError(f"{what} need {n_bytes / 1e9:.3g} GB of memory and {free / 1e9:.3g} GB are available: {fix}")


def _free_in_cgroups(root: Path) -> Iterator[int]:
    """Bytes left under the memory limit of each control group of this process. Cached files count as free."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        limit, usage = _CGROUP_FILES[bool(controllers)]
        folder = mount / group.strip("/")
        for place in [folder, *folder.parents][: len(folder.parts) - len(mount.parts) + 1]:
            try:
                used, most = int((place / usage).read_text()), int((place / limit).read_text())
                stat = _numbers(place / "memory.stat")
            except (OSError, ValueError):  # no such file, or 'max': no limit
                continue
            yield most - used + stat.get("inactive_file", 0) + stat.get("active_file", 0)


def _numbers(path: Path) -> dict[str, int]:
    """The lines 'name number' of a file of the kernel."""
    words = (line.split() for line in path.read_text().splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}


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
