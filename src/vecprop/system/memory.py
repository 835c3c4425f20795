"""The memory that is available to this process."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


def available_memory(root: str = "/") -> int | None:
    """Return the bytes that the system, cgroup and ``ulimit`` allow; None if unknown."""
    limits = []
    for remaining_bytes in (_system_memory, _group_memory, _process_memory):
        limits += remaining_bytes(Path(root))
    return min(limits, default=None)


def limit_reservation():
    """Let Arrow use the system's memory pool if `ulimit` limits this process, because its own pool reserves 1 GB.

    Call this function before pyarrow is imported: afterward, only pyarrow's own
    allocations use another pool.
    """
    with suppress(ImportError):  # on Windows
        import resource

        data, _ = resource.getrlimit(resource.RLIMIT_DATA)
        addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
        if {data, addresses} != {resource.RLIM_INFINITY}:
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            if (pyarrow := sys.modules.get("pyarrow")) is not None:
                pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _system_memory(root: Path) -> Iterator[int]:
    """Yield the memory that the system has available."""
    with suppress(OSError, ValueError):
        for line in _lines(root / "proc/meminfo"):
            if line.startswith("MemAvailable:"):
                yield 1024 * int(line.split()[1])


class _GroupFiles(NamedTuple):
    """The files of a cgroup, and the entry of memory.stat for memory to free."""

    limit: str
    used: str
    idle: str


_GROUP_FILES = {
    1: _GroupFiles(
        "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    ),
    2: _GroupFiles("memory.max", "memory.current", "inactive_file"),
}


class GroupFolder(NamedTuple):
    """The folder of a cgroup, and the version of cgroups."""

    version: int
    path: Path


def group_folders(controller: str, root: Path) -> Iterator[GroupFolder]:
    """Yield the folders of the process's cgroups and their parents.

    A line of /proc/self/cgroup contains a number, controllers and a path, such as
    "4:cpu,cpuacct:/system". In version 2, there are no controllers.
    """
    lines = []
    with suppress(OSError):
        lines = _lines(root / "proc/self/cgroup")
    for line in lines:
        _, controllers, group = line.split(":", 2)
        version = 2
        top = root / "sys/fs/cgroup"
        if controllers:
            if controller not in controllers.split(","):
                continue
            version = 1
            top /= controller
        path = top / group.lstrip("/")
        while path != top:
            yield GroupFolder(version, path)
            path = path.parent
        yield GroupFolder(version, top)


def _group_memory(root: Path) -> Iterator[int]:
    """Yield the memory that remains under each limit of the process's cgroups."""
    for version, folder in group_folders("memory", root):
        files = _GROUP_FILES[version]
        with suppress(OSError, ValueError):  # ValueError if the limit is "max"
            limit = int((folder / files.limit).read_text(encoding="utf-8"))
            used = int((folder / files.used).read_text(encoding="utf-8"))
            entries = dict(map(str.split, _lines(folder / "memory.stat")))
            yield limit - used + int(entries.get(files.idle, 0))


_USED_BY_LIMIT = {"Max data size": "VmData", "Max address space": "VmSize"}
"""The entry of /proc/self/status for each limit in /proc/self/limits."""


def _process_memory(root: Path) -> Iterator[int]:
    """Yield the memory that remains under each limit of the process.

    Lines are such as "Max data size  2000000  unlimited  bytes" (soft and hard limit),
    and "VmData:  3000 kB".
    """
    with suppress(OSError, ValueError):
        status = dict(line.split(":", 1) for line in _lines(root / "proc/self/status"))
        for line in _lines(root / "proc/self/limits"):
            for name, used in _USED_BY_LIMIT.items():
                if line.startswith(name):
                    limit, *_ = line.removeprefix(name).split()
                    kilobytes, *_ = status[used].split()
                    if limit != "unlimited":
                        yield int(limit) - 1024 * int(kilobytes)
