"""The day, the machine and the packages that figures were measured with."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path

from threadpoolctl import threadpool_info


def machine(*packages: str) -> dict[str, object]:
    """Return today, the processor, the number of cores, the BLAS that is loaded and the versions of packages."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    blas = sorted({f"{pool['internal_api']} {pool.get('architecture', '')}" for pool in threadpool_info()})
    where = {"processor": model, "cores": os.cpu_count(), "blas": blas, "python": platform.python_version()}
    return {"date": time.strftime("%Y-%m-%d"), **where, **versions}


def described(results: dict[str, object]) -> list[str]:
    """Return the results of `machine` as lines of a list."""
    return [f"- {name}: {value}" for name, value in results.items()]
