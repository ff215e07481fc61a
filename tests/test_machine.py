"""Memory that this process can still allocate, by the files of the kernel."""

import resource
from pathlib import Path

import pytest

from pawjax.errors import InputError
from pawjax.machine import available_memory, need_memory

MEGABYTE = 1024**2


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  9000000 kB\nMemAvailable:   51200 kB\nHugePages_Total:       0\n"}


def _group(folder: str, limit: str, usage: int, cached: int) -> dict[str, str]:
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{usage}\n",
        f"{folder}/memory.stat": f"anon 1\ninactive_file {cached}\nactive_file 0\n",
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MEMINFO, 50),
        (MEMINFO | {"proc/self/cgroup": "0::/\n"}, 50),
        (MEMINFO | {"proc/self/cgroup": "0::/\n"} | _group("sys/fs/cgroup", "max", 0, 0), 50),
        (MEMINFO | {"proc/self/cgroup": "0::/\n"} | _group("sys/fs/cgroup", 30 * MEGABYTE, 20 * MEGABYTE, 0), 10),
        (MEMINFO | {"proc/self/cgroup": "0::/\n"} | _group("sys/fs/cgroup", 30 * MEGABYTE, 29 * MEGABYTE, MEGABYTE), 2),
        (
            MEMINFO
            | {"proc/self/cgroup": "0::/job/step\n"}
            | _group("sys/fs/cgroup/job/step", "max", 0, 0)
            | _group("sys/fs/cgroup/job", 30 * MEGABYTE, 27 * MEGABYTE, 0),
            3,
        ),
        (
            MEMINFO
            | {"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/job\n"}
            | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(30 * MEGABYTE)}
            | {"sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(26 * MEGABYTE)}
            | {"sys/fs/cgroup/memory/job/memory.stat": ""},
            4,
        ),
        (MEMINFO | {"proc/self/cgroup": "0::/\n"} | _group("sys/fs/cgroup", 30 * MEGABYTE, 31 * MEGABYTE, 0), 0),
    ],
)
def test_available_memory_is_the_least_of_machine_and_groups(tmp_path, files, expected):
    assert available_memory(_write(tmp_path, files)) == expected * MEGABYTE


def test_limit_of_the_shell_counts(tmp_path, monkeypatch):
    root = _write(tmp_path, MEMINFO | {"proc/self/status": "Name: python\nVmSize:  10240 kB\n"})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (17 * MEGABYTE, resource.RLIM_INFINITY))
    assert available_memory(root) == 7 * MEGABYTE


def test_unknown_memory_is_no_limit(tmp_path):
    assert available_memory(tmp_path) > 2**60


def test_this_machine_has_some_memory_but_not_all():
    need_memory(MEGABYTE, "frames", "use fewer")
    with pytest.raises(InputError, match="frames need 1e[+]09 GB of memory and .* GB are available: use fewer"):
        need_memory(10**18, "frames", "use fewer")
