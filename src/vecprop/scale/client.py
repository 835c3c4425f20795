"""The client of a Dask cluster: which one, and its workers."""

import time
from typing import Any

PATIENCE = 60.0
"""The seconds without any worker after which the cluster is given up."""


def connected(client: Any, user: str) -> Any:
    """Return a client, or the latest one that was made if it is None, for a class of this name.

    Raises
    ------
    ImportError
        If Dask is not installed.
    RuntimeError
        If there is no client, or one that is closed or cannot be waited for.
    TypeError
        If it is no client.
    """
    if client is None:
        try:
            from distributed import get_client  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError(f'{user} needs Dask: pip install "vecprop[dask]".') from None
        try:
            client = get_client()
        except ValueError:
            raise RuntimeError(
                f"There is no Dask client: make one, client = distributed.Client(…), before {user} is used."
            ) from None
    if isinstance(client, type) or not hasattr(client, "nthreads"):
        raise TypeError(
            f"client is {client!r}, but {user} needs a client of Dask, such as Client('tcp://scheduler:8786')."
        )
    require_open(client)
    if getattr(client, "asynchronous", False):
        raise RuntimeError(f"The client is asynchronous, but {user} waits for its workers: give one that is not.")
    return client


def require_open(client: Any) -> None:
    """Refuse a client that is closed, which has no scheduler any more."""
    if getattr(client, "status", "running") == "closed":
        raise RuntimeError("The client of the Dask cluster is closed: make another, distributed.Client(…).")


def address_of(client: Any) -> str:
    """Return the address of a client's scheduler, for messages."""
    return str(getattr(getattr(client, "scheduler", None), "address", "this address"))


def threads_of(client: Any) -> dict[str, int]:
    """Return the number of threads of each worker; wait for one if there is none.

    Raises
    ------
    RuntimeError
        If there is none for a minute, the scheduler does not answer, or the client is closed.
    """
    began, task = time.monotonic(), None
    require_open(client)
    try:
        while not (threads := dict(client.nthreads())):
            task = task or client.submit(int, pure=False)  # some clusters start workers for those who wait
            if time.monotonic() - began > PATIENCE:
                raise RuntimeError(
                    f"The cluster at {address_of(client)} has had no worker for {PATIENCE:.0f} s: start some, or look "
                    "at its logs to see why they end."
                )
            time.sleep(0.1)
    except OSError as error:
        raise RuntimeError(f"The scheduler at {address_of(client)} does not answer: {error}") from error
    return threads
