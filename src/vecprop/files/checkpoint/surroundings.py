"""What a run is computed with: on another processor or with other versions, bits may differ."""

import platform
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llvmlite import binding

from ... import __version__


def made_with() -> dict[str, str]:
    """Return the versions and the processor that bits depend on."""
    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    processor = f"{platform.machine()} {binding.get_host_cpu_name()}"
    return {"vecprop": __version__, "Python": platform.python_version(), **versions, "processor": processor}


def warn_of_others(path: Path, known: Any) -> None:
    """Warn if a file or folder was written with others."""
    own = made_with()
    others = [f"{name} {known[name]}, now {own[name]}" for name in own if known.get(name, own[name]) != own[name]]
    if others:
        warnings.warn(
            f"{path} was written with {', and '.join(others)}: the bits may differ from those of the whole run.",
            stacklevel=4,
        )
