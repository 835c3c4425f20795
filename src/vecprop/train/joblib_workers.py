"""The workers of a block of joblib: ``with joblib.parallel_config("dask")``."""

import sys
from typing import Any


def workers_or_joblibs(workers: Any) -> Any:
    """Return the workers that are given, or those of the Dask cluster whose block of joblib this is in, or None.

    A task of Dask trains where it is: it is one of many already.
    """
    if workers is not None or "joblib._dask" not in sys.modules:
        return workers
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ != "DaskDistributedBackend" or is_in_a_task():
        return None
    import vecprop  # by its public name, since it is a door outside of what trains

    return vecprop.DaskWorkers(backend.client)  # pyright: ignore[reportAttributeAccessIssue]


def is_in_a_task() -> bool:
    """Return whether this is a thread of a Dask worker, which runs a task."""
    utils = sys.modules.get("distributed.utils")
    return utils is not None and hasattr(utils.thread_state, "execution_state")
