"""The day, the machine and the packages that figures were measured with."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path

from threadpoolctl import threadpool_info


def processor_name(description: str) -> str:
    """Return the name in the text of /proc/cpuinfo, with family and model, because several processors share a name."""
    fields = {}
    for line in description.split("\n\n", 1)[0].splitlines():
        field, _, value = line.partition(":")
        fields[field.strip()] = value.strip()
    if "cpu family" in fields:
        return (
            f"{fields['model name']}, family {fields['cpu family']}, model"
            f" {fields['model']}"
        )
    return fields.get("model name", platform.processor())


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
        model = processor_name(Path("/proc/cpuinfo").read_text())
    blas = sorted(
        {
            f"{pool['internal_api']} {pool.get('architecture', '')}"
            for pool in threadpool_info()
        }
    )
    where = {
        "processor": model,
        "cores": os.cpu_count(),
        "blas": blas,
        "python": platform.python_version(),
    }
    return {"date": time.strftime("%Y-%m-%d"), **where, **versions}


def described(results: dict[str, object]) -> list[str]:
    """Return the results of `machine` as lines of a list."""
    return [f"- {name}: {value}" for name, value in results.items()]
