"""The memory that is available to this process."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def available_memory(root: str = "/") -> int | None:
    """Return the available bytes, considering the system, the cgroup and ``ulimit``; None if unknown."""
    return min(_known(Path(root)), default=None)


def limit_reservation() -> None:
    """Let Arrow use the system's memory pool if `ulimit` limits this process, because its own pool reserves 1 GB.

    Call this function before pyarrow is imported: afterward, only pyarrow's own allocations use another pool.
    """
    with suppress(ImportError):  # on Windows
        import resource

        limits = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
        if any(limit != resource.RLIM_INFINITY for limit in limits):
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            if (pyarrow := sys.modules.get("pyarrow")) is not None:
                pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def _known(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(root, "proc/meminfo").read_text(encoding="utf-8").splitlines()
        yield next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    yield from _of_groups(root)
    yield from _of_process(root)


def _of_groups(root: Path) -> Iterator[int]:
    """Yield the memory that remains under each limit of the process's cgroup and its parent cgroups."""
    groups = []
    with suppress(OSError):
        groups = Path(root, "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for _, controllers, group in (line.split(":", 2) for line in groups):
        if controllers == "":  # version 2
            top, limit, used, idle = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, used = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            idle = "total_inactive_file"
        else:
            continue
        own = Path(root, top, group.lstrip("/"))
        for place in [own, *own.parents][: len(own.relative_to(Path(root, top)).parts) + 1]:
            with suppress(OSError, ValueError):  # ValueError if the limit is "max"
                most, taken = (int(Path(place, name).read_text(encoding="utf-8")) for name in (limit, used))
                counts = Path(place, "memory.stat").read_text(encoding="utf-8").splitlines()
                yield most - taken + sum(int(line.split()[1]) for line in counts if line.split()[0] == idle)


def _of_process(root: Path) -> Iterator[int]:
    """Yield the memory that remains under each limit of the process."""
    with suppress(OSError, ValueError):
        limits = Path(root, "proc/self/limits").read_text(encoding="utf-8").splitlines()
        lines = Path(root, "proc/self/status").read_text(encoding="utf-8").splitlines()
        status = dict(line.split(":", 1) for line in lines)
        for limit, used in (("Max data size", "VmData"), ("Max address space", "VmSize")):
            for line in limits:
                if line.startswith(limit) and (most := line[len(limit) :].split()[0]) != "unlimited":
                    yield int(most) - 1024 * int(status[used].split()[0])
