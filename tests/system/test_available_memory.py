"""The available memory is the minimum over the limits of the system, the cgroups and the process."""

import pytest

from vecprop.system.memory import available_memory

MEGABYTE = 2**20


def make(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


SYSTEM = {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 8192000 kB\n"}
GROUP = {
    "proc/self/cgroup": "0::/outer/inner\n",
    "sys/fs/cgroup/memory.stat": "",
    "sys/fs/cgroup/outer/memory.max": f"{500 * MEGABYTE}\n",
    "sys/fs/cgroup/outer/memory.current": f"{300 * MEGABYTE}\n",
    "sys/fs/cgroup/outer/memory.stat": f"anon 5\ninactive_file {50 * MEGABYTE}\n",
    "sys/fs/cgroup/outer/inner/memory.max": "max\n",
    "sys/fs/cgroup/outer/inner/memory.current": "5\n",
}
EARLIER_GROUP = {
    "proc/self/cgroup": "9:cpu:/\n4:memory:/job\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{400 * MEGABYTE}\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{100 * MEGABYTE}\n",
    "sys/fs/cgroup/memory/job/memory.stat": "inactive_file 7\ntotal_inactive_file 0\n",
}
LIMITS = {
    "proc/self/limits": (
        "Limit                     Soft Limit           Hard Limit          "
        f" Units\nMax data size             {900 * MEGABYTE}            unlimited      "
        "      bytes\nMax address space         unlimited            unlimited        "
        "    bytes\n\n"
    ),
    "proc/self/status": "Name:\tpython\nVmSize:\t  5 kB\nVmData:\t  102400 kB\n",
}


@pytest.mark.parametrize(
    ("files", "megabytes"),
    [
        (SYSTEM, 8000),
        (SYSTEM | GROUP, 250),
        (SYSTEM | EARLIER_GROUP, 300),
        (SYSTEM | LIMITS, 800),
        (LIMITS | GROUP, 250),
        ({"proc/meminfo": "nothing\n"}, None),
    ],
    ids=["system", "container", "earlier container", "ulimit", "the least", "unknown"],
)
def test_the_smallest_limit_applies(files, megabytes, tmp_path):
    make(tmp_path, files)
    found = available_memory(str(tmp_path))
    assert found == (None if megabytes is None else megabytes * MEGABYTE)
