"""The workers of ``vecprop train --workers``: a running cluster, or processes on this machine."""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ...scale.workers import DaskWorkers
from ...system.threads import limit_jobs, usable_threads
from ...terminal.messages import UsageError

SECONDS = 10
"""The time limit for a scheduler to respond, in seconds."""
SETTINGS_OF_DASK = {
    # the default of 15 s would drop workers that are still starting
    "distributed.deploy.lost-worker-timeout": "1d",
    # The next two matter only for the dashboard, and cost 2 to 3 % of a core in each
    # process.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}


@contextmanager
def workers_of(text: str, threads: int | None) -> Iterator[DaskWorkers]:
    """Yield the workers for an option; at the end, stop the workers that were started here.

    The option is the address of a scheduler, or "local:4" for four new processes.
    """
    kind, _, rest = text.partition(":")
    processes = 0
    if kind == "local" and rest.isdecimal():
        processes = int(rest)
    if not processes and (kind == "local" or "://" not in text):
        raise UsageError(
            f"--workers {text}: give the address of a scheduler (tcp://HOST:8786) or"
            " local:4."
        )
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError('--workers needs Dask: pip install "vecprop[dask]".') from None
    with ExitStack() as stack:
        address = text
        if processes:
            with limit_jobs(threads):
                threads_per_process = max(usable_threads() // processes, 1)
            address = stack.enter_context(local_cluster(processes, threads_per_process))
        try:
            client = stack.enter_context(
                Client(address, timeout=SECONDS, set_as_default=False)
            )
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--workers {text}: no Dask scheduler responds there."
            ) from error
        if processes:
            client.run(ignore_ctrl_c)
        yield DaskWorkers(client)


@contextmanager
def local_cluster(processes: int, threads: int) -> Iterator[Any]:
    """Yield a cluster of local processes, without a dashboard.

    The processes authenticate each other with temporary certificates. Without
    certificates, other users of the machine could run code as the owner of the cluster.
    """
    import distributed  # pyright: ignore[reportMissingImports]
    from dask import config  # pyright: ignore[reportMissingImports]

    with (
        config.set(SETTINGS_OF_DASK),
        distributed.LocalCluster(
            n_workers=processes,
            threads_per_worker=threads,
            silence_logs=logging.CRITICAL,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=distributed.Security.temporary(),
            protocol="tls://",
        ) as cluster,
    ):
        yield cluster


def ignore_ctrl_c():
    """Ignore Ctrl-C, which a terminal sends to all processes; the training process stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
