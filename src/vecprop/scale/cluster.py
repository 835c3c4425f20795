"""The client of a Dask cluster, and the environment that affects bits."""

import hashlib
import os
import platform
import time
from functools import cache
from pathlib import Path

from ..system.threads import blas
from ..system.versions import processor_name, version_of

PATIENCE = 60.0
"""The maximum number of seconds to wait while the cluster has no workers."""


def connected(client, user: str):
    """Return the client, by default the most recent one; `user` is a name for errors."""
    if client is None:
        try:
            from distributed import get_client  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError(
                f'{user} needs Dask: pip install "vecprop[dask]".'
            ) from None
        try:
            client = get_client()
        except ValueError:
            raise RuntimeError(
                "There is no Dask client: create one with distributed.Client(…) before"
                f" you use {user}."
            ) from None
    require_client(client, user)
    require_open(client)
    if getattr(client, "asynchronous", False):
        raise RuntimeError(
            f"The client is asynchronous, but {user} waits for its workers: pass a"
            " synchronous client."
        )
    return client


def require_client(client, user: str):
    """Raise TypeError unless an object is a Dask client."""
    if isinstance(client, type) or not hasattr(client, "nthreads"):
        raise TypeError(
            f"The client of {user} must be a Dask client, such as"
            f" Client('tcp://scheduler:8786'), got {client!r}."
        )


def require_open(client):
    """Raise RuntimeError if a client is closed."""
    if getattr(client, "status", "running") in ("closing", "closed"):
        raise RuntimeError(
            "The client of the Dask cluster is closed: create a new one with"
            " distributed.Client(…)."
        )


def address_of(client) -> str:
    """Return the address of a client's scheduler, for error messages."""
    return str(getattr(getattr(client, "scheduler", None), "address", "this address"))


def threads_of(client) -> dict:
    """Return the number of threads of each worker; wait until there is a worker."""
    require_open(client)
    deadline = time.monotonic() + PATIENCE
    waiting_task = None
    try:
        threads = dict(client.nthreads())
        while not threads:
            # adaptive clusters start workers for waiting tasks
            waiting_task = waiting_task or client.submit(int, pure=False)
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The cluster at {address_of(client)} has had no worker for"
                    f" {PATIENCE:.0f} s: start workers, or check its logs."
                )
            time.sleep(0.1)
            threads = dict(client.nthreads())
    except OSError as error:
        raise RuntimeError(
            f"The scheduler at {address_of(client)} does not respond: {error}"
        ) from error
    return threads


SETTINGS = (
    "VECPROP_ENGINE",
    "VECPROP_PRODUCTS",
    "NUMBA_OPT",
    "NUMBA_BOUNDSCHECK",
    "NPY_DISABLE_CPU_FEATURES",
)
"""Environment variables that affect the kernels."""


@cache
def machine() -> dict:
    """Return everything that affects bits, by name."""
    import numpy
    import scipy

    from .. import __version__
    from ..train.compiled import missing

    reason = missing()
    if reason:  # no kernel can run
        processor = processor_name()
        instructions = reason
    else:
        from ..compiled.jit import numba_internals

        processor = numba_internals.processor_name()
        instructions = " ".join(sorted(numba_internals.features()))
    environment = {
        "vecprop": f"{__version__} ({sources()})",
        "Python": platform.python_version(),
        "NumPy": numpy.__version__,
        "SciPy": scipy.__version__,
        "Numba": f"{version_of('numba')} with llvmlite {version_of('llvmlite')}",
        "the C library": " ".join(platform.libc_ver()),
        "the processor": processor,
        "its instructions": instructions,
        "BLAS": blas(),
    }
    for variable in SETTINGS:
        environment[variable] = os.environ.get(variable, "")
    return environment


def sources() -> str:
    """Return a digest of the library's source files."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(
            f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content
        )
    return digest.hexdigest()[:12]


def difference(environment: dict, worker: dict) -> str:
    """Return how a worker differs from this machine, as the end of a sentence, or "".

    Examples
    --------
    >>> difference({"NumPy": "2.3.1", "Python": "3.12.1"}, {"NumPy": "2.2.0", "Python": "3.12.1"})
    'NumPy is 2.2.0 there and 2.3.1 here'
    >>> difference({"its instructions": "avx avx2 fma"}, {"its instructions": "avx"})
    'its instructions lack avx2, fma there'
    """
    differences = []
    for name in environment | worker:
        local_value = environment.get(name, "")
        remote_value = worker.get(name, "")
        if local_value == remote_value:
            continue
        if name != "its instructions":
            differences.append(
                f"{name} is {remote_value or 'not set'} there and"
                f" {local_value or 'not set'} here"
            )
            continue
        local = set(local_value.split())
        remote = set(remote_value.split())
        if local - remote:
            missing = ", ".join(sorted(local - remote))
            differences.append(f"{name} lack {missing} there")
        if remote - local:
            additional = ", ".join(sorted(remote - local))
            differences.append(f"{name} include {additional} only there")
    return "; ".join(differences)
