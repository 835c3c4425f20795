"""The client of a Dask cluster, and what bits depend on beside the problem: processor, libraries, own sources."""

import hashlib
import os
import platform
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..system.threads import blas
from ..system.versions import processor_name, version_of

PATIENCE = 60.0
"""The seconds without any worker after which the cluster is given up."""


def connected(client: Any, user: str) -> Any:
    """Return a client, or the latest one that was made if it is None, for a class of this name."""
    if client is None:
        try:
            from distributed import get_client  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError(f'{user} needs Dask: pip install "vecprop[dask]".') from None
        try:
            client = get_client()
        except ValueError:
            make = f"make one, client = distributed.Client(…), before {user} is used"
            raise RuntimeError(f"There is no Dask client: {make}.") from None
    if isinstance(client, type) or not hasattr(client, "nthreads"):
        needed = "needs a client of Dask, such as Client('tcp://scheduler:8786')"
        raise TypeError(f"client is {client!r}, but {user} {needed}.")
    require_open(client)
    if getattr(client, "asynchronous", False):
        raise RuntimeError(f"The client is asynchronous, but {user} waits for its workers: give one that is not.")
    return client


def require_open(client: Any) -> None:
    """Refuse a client that is closed, which has no scheduler any more."""
    if getattr(client, "status", "running") in ("closing", "closed"):
        raise RuntimeError("The client of the Dask cluster is closed: make another, distributed.Client(…).")


def address_of(client: Any) -> str:
    """Return the address of a client's scheduler, for messages."""
    return str(getattr(getattr(client, "scheduler", None), "address", "this address"))


def threads_of(client: Any) -> dict[str, int]:
    """Return the number of threads of each worker; wait for one if there is none."""
    began, task = time.monotonic(), None
    require_open(client)
    try:
        while not (threads := dict(client.nthreads())):
            task = task or client.submit(int, pure=False)  # some clusters start workers for those who wait
            if time.monotonic() - began > PATIENCE:
                idle = f"The cluster at {address_of(client)} has had no worker for {PATIENCE:.0f} s"
                raise RuntimeError(f"{idle}: start some, or look at its logs to see why they end.")
            time.sleep(0.1)
    except OSError as error:
        raise RuntimeError(f"The scheduler at {address_of(client)} does not answer: {error}") from error
    return threads


SETTINGS = ("VECPROP_ENGINE", "VECPROP_PRODUCTS", "NUMBA_OPT", "NUMBA_BOUNDSCHECK", "NPY_DISABLE_CPU_FEATURES")
"""Variables of the environment that choose other kernels."""


@cache
def machine() -> dict[str, str]:
    """Return what training here depends on, by name; where all is equal, bits are."""
    import numpy
    import scipy

    from .. import __version__
    from ..train.compiled import missing

    if lacks := missing():
        processor, instructions = processor_name(), lacks
    else:
        from ..compiled.jit import numba_internals

        processor, instructions = numba_internals.processor_name(), " ".join(sorted(numba_internals.features()))
    return {
        "vecprop": f"{__version__} ({sources()})",
        "Python": platform.python_version(),
        "NumPy": numpy.__version__,
        "SciPy": scipy.__version__,
        "Numba": f"{version_of('numba')} with llvmlite {version_of('llvmlite')}",
        "the C library": " ".join(platform.libc_ver()),
        "the processor": processor,
        "its instructions": instructions,
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
