"""What the bits of a training depend on beside the problem: processor, libraries and the sources of this one."""

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..system.threads import blas

SETTINGS = ("VECPROP_ENGINE", "VECPROP_PRODUCTS", "NUMBA_OPT", "NUMBA_BOUNDSCHECK", "NPY_DISABLE_CPU_FEATURES")
"""Variables of the environment that choose other kernels."""


@cache
def machine() -> dict[str, str]:
    """Return what training here depends on, by name; where all is equal, bits are.

    Examples
    --------
    >>> machine()["Python"] == platform.python_version()
    True
    """
    import llvmlite
    import numba
    import numpy
    import scipy

    from .. import __version__
    from ..compiled.jit.processor import features, name

    return {
        "vecprop": f"{__version__} ({sources()})",
        "Python": platform.python_version(),
        "NumPy": numpy.__version__,
        "SciPy": scipy.__version__,
        "Numba": f"{numba.__version__} with llvmlite {llvmlite.__version__}",
        "the C library": " ".join(platform.libc_ver()),
        "the processor": name(),
        "its instructions": " ".join(sorted(features())),
        "BLAS": blas(),
    } | {variable: os.environ.get(variable, "") for variable in SETTINGS}


def sources() -> str:
    """Return a digest of the library's sources, as they lie on disk."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return how another machine differs from this one, as the end of a sentence; "" if it does not.

    Examples
    --------
    >>> difference({"NumPy": "2.3.1", "Python": "3.12.1"}, {"NumPy": "2.2.0", "Python": "3.12.1"})
    'NumPy is 2.2.0 there and 2.3.1 here'
    >>> difference({"its instructions": "avx avx2 fma"}, {"its instructions": "avx"})
    'its instructions lack avx2, fma there'
    """
    unlike = []
    for name in {**here, **there}:
        own, other = here.get(name, ""), there.get(name, "")
        if own == other:
            continue
        if name == "its instructions":
            lacks, has = sorted({*own.split()} - {*other.split()}), sorted({*other.split()} - {*own.split()})
            unlike += [f"{name} lack {', '.join(lacks)} there"] if lacks else []
            unlike += [f"{name} have {', '.join(has)} there beside those here"] if has else []
        else:
            unlike.append(f"{name} is {other or 'not set'} there and {own or 'not set'} here")
    return "; ".join(unlike)
