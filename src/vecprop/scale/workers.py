"""Training of populations on a Dask cluster, bit-identical to local training."""

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from ..core.elementary import is_within
from ..system.threads import cancellable, limit_threads
from ..train.population import is_in_a_task
from .cluster import (
    address_of,
    connected,
    difference,
    machine,
    require_client,
    require_open,
    threads_of,
)

POLL_INTERVAL = 2.0
"""The interval in seconds at which the dispatcher checks the cluster if no result
arrives.
"""

LAST = 5.0
"""The number of seconds that workers have after Ctrl-C to return unfinished results."""

AHEAD = 4
"""The number of bundles to submit per thread of the cluster; the others wait in this
process.
"""

LOST = (OSError, TimeoutError, KeyError)
"""The exceptions that Dask raises if a worker disappears during a request or a
transfer of data.
"""

MORE_MEMORY = "give workers more memory, or fewer threads each"
MORE_RETRIES = "check their logs and memory, or increase retries"
"""What to do if workers end."""

FULL = "worker-restart-memory"
"""Dask's topic of events for workers that were restarted because they exceeded their
memory limit.
"""

# in a worker: one list per dispatcher, nonempty if it is cancelled
_cancelled: dict[str, list[bool]] = {}


class Incompatible(str):
    """The difference of a worker's environment, if it would compute different bits."""


def work(
    bundle,
    function: Callable,
    data,
    token: str,
    threads: int,
    environment: dict | None,
):
    """Return function(bundle, data), or `Incompatible`; runs in a worker.

    If the dispatcher is cancelled, return the result of the last complete epoch, or
    None if training has not started.
    """
    cancelled = _cancelled.setdefault(token, [])
    if cancelled:
        return None
    if environment is not None and (mismatch := difference(environment, machine())):
        return Incompatible(mismatch)
    # KeyboardInterrupt would end the worker
    with (
        suppress(KeyboardInterrupt),
        limit_threads(threads),
        cancellable(cancelled),
    ):
        return function(bundle, data)
    return None


def stop(token: str):
    """Stop the bundles of a dispatcher within an epoch; runs in a worker."""
    _cancelled.setdefault(token, []).append(True)


@dataclass(eq=False)
class Dispatcher:
    """Submit bundles to the workers of a client, which must match `environment`, if any."""

    client: Any
    function: Callable
    bundles: Sequence
    data: Any
    retries: int
    environment: dict | None

    def __post_init__(self):
        """Prepare to submit all bundles."""
        self.token = uuid4().hex
        self.arrived = threading.Event()
        self.waiting = deque(range(len(self.bundles)))
        # the index of each submitted bundle, by future
        self.pending = {}
        self.shared_data = None
        self.losses = 0
        self.deaths = [0] * len(self.bundles)
        self.incompatible = set()

    def results(self) -> Iterator:
        """Yield the index of each bundle and its result, in the order of arrival."""
        self.count_threads()
        self.require_same_environment()
        self.known_events = len(self.client.get_events(FULL) or ())
        try:
            while self.waiting or self.pending:
                self.submit_bundles()
                yield from self.collect(self.ended())
                if time.monotonic() >= self.next_count:
                    self.count_threads()
        except KeyboardInterrupt:
            yield from self.stopped()
            raise
        finally:
            if self.pending:  # cancel them, unless the cluster is gone
                with suppress(Exception):
                    self.client.cancel(list(self.pending))
                    self.client.run(stop, self.token, on_error="ignore")
            # release the data on the workers, even if a traceback refers to this object
            self.pending.clear()
            self.shared_data = None

    def count_threads(self):
        """Read the number of threads of each worker, which may have joined or left."""
        self.threads = threads_of(self.client)
        self.next_count = time.monotonic() + POLL_INTERVAL

    def ended(self) -> list:
        """Wait for a moment, and return the tasks that have ended."""
        self.arrived.wait(POLL_INTERVAL)
        self.arrived.clear()
        return [
            future
            for future in self.pending
            if future.status not in ("pending", "lost")
        ]

    def stopped(self) -> Iterator:
        """Stop the workers, and yield the results of their last complete epochs."""
        self.client.run(stop, self.token, on_error="ignore")
        self.waiting.clear()
        deadline = time.monotonic() + LAST
        while self.pending and time.monotonic() < deadline:
            futures = {}
            for future in self.ended():
                futures[self.pending.pop(future)] = future
            for number, result in self.gathered(futures).items():
                if result is not None and not isinstance(result, Incompatible):
                    yield number, result

    def gathered(self, futures: dict) -> dict:
        """Return the results of futures by the indices of bundles, without lost results."""
        if not futures:
            return {}
        return self.client.gather(futures, errors="skip")

    def require_same_environment(self):
        """Raise RuntimeError if a worker would compute different bits."""
        for address, answer in self.client.run(machine, on_error="return").items():
            if isinstance(answer, LOST):  # the worker has ended meanwhile
                continue
            if isinstance(answer, BaseException):
                raise RuntimeError(
                    f"Worker {address} cannot train: {type(answer).__name__}: {answer}."
                    " Install the same version of vecprop there."
                ) from answer
            mismatch = ""
            if self.environment is not None:
                mismatch = difference(self.environment, answer)
            if mismatch:
                raise RuntimeError(
                    f"Worker {address} differs: {mismatch}. Set same_bits=False to"
                    " accept it."
                )

    def submit_bundles(self):
        """Submit as many bundles as the workers have room for."""
        thread_count = sum(self.threads.values())
        count = min(len(self.waiting), AHEAD * thread_count - len(self.pending))
        if count <= 0:
            return
        if self.shared_data is None:
            self.send_data()
        numbers = [self.waiting.popleft() for _ in range(count)]
        # With few bundles, each one uses several threads of its worker.
        threads_per_bundle = min(
            *self.threads.values(), thread_count // len(self.bundles)
        )
        options = {}
        if self.incompatible:
            options["workers"] = sorted(self.threads.keys() - self.incompatible)
        with warnings.catch_warnings():
            # bundles are small
            warnings.filterwarnings("ignore", message="Sending large graph")
            futures = self.client.map(
                work,
                [self.bundles[number] for number in numbers],
                function=self.function,
                data=self.shared_data,
                token=self.token,
                threads=max(1, threads_per_bundle),
                environment=self.environment,
                pure=False,
                **options,
            )
        for number, future in zip(numbers, futures, strict=True):
            self.pending[future] = number
            future.add_done_callback(lambda _: self.arrived.set())

    def send_data(self):
        """Send the data to all workers. Workers that join later get copies."""
        for attempt in range(self.retries + 1):
            try:
                (self.shared_data,) = self.client.scatter(
                    [self.data], broadcast=True, hash=False
                )
                return
            except LOST as error:
                if attempt == self.retries:
                    raise RuntimeError(
                        "The data could not be sent to the cluster at"
                        f" {address_of(self.client)}: {error} Check the memory of its"
                        " workers."
                    ) from error
                self.count_threads()

    def collect(self, futures: list) -> Iterator:
        """Yield the results of tasks that have ended, and resubmit lost ones."""
        lost_numbers = []
        finished = {}
        for future in futures:
            number = self.pending[future]
            if future.status == "finished":
                # pending until the transfer ends, which Ctrl-C may interrupt
                finished[number] = future
                continue
            del self.pending[future]
            if future.status == "error":
                self.failed(number, future.exception())
            else:
                lost_numbers.append(number)
        results = self.gathered(finished)
        for number, future in finished.items():
            del self.pending[future]
            result = results.get(number)
            if isinstance(result, Incompatible):
                self.exclude(number, result)
            elif result is None:  # the worker has disappeared with its data
                lost_numbers.append(number)
            else:
                self.losses = 0
                yield number, result
        if lost_numbers:
            self.lost(lost_numbers)

    def failed(self, number: int, error: Any):
        """Resubmit a bundle whose workers died, or raise the error of its training."""
        members = self.bundles[number].numbers
        text = f"member {members[0]}"
        if len(members) > 1:
            text = f"{len(members)} members from {text} on"
        if isinstance(error, MemoryError):
            raise RuntimeError(
                f"A worker has too little memory to train {text}: increase its memory."
            ) from error
        if not hasattr(error, "allowed_failures"):  # not Dask's KilledWorker
            raise error
        self.deaths[number] += 1
        address = error.last_worker.address
        if address in self.full():
            raise RuntimeError(
                f"Worker {address} was ended while it trained {text} because it"
                f" exceeded its memory limit: {MORE_MEMORY}."
            ) from error
        if self.deaths[number] > self.retries:
            count = self.deaths[number] * (error.allowed_failures + 1)
            raise RuntimeError(
                f"The workers that trained {text} died {count} times: {MORE_RETRIES}."
            ) from error
        self.waiting.appendleft(number)

    def full(self) -> list[str]:
        """Return the addresses of workers that exceeded their memory limit."""
        return [
            event["worker"]
            for _, event in (self.client.get_events(FULL) or ())[self.known_events :]
        ]

    def lost(self, numbers: list[int]):
        """Resubmit bundles that were lost because every worker with the data died."""
        self.losses += 1
        if self.losses > self.retries:
            full = self.full()
            if full:
                raise RuntimeError(
                    f"Workers were ended {len(full)} times because they exceeded their"
                    f" memory, {full[-1]} last: {MORE_MEMORY}."
                )
            raise RuntimeError(
                "All workers that had the data were lost,"
                f" {self.losses} times in a row: {MORE_RETRIES}."
            )
        self.shared_data = None
        self.waiting.extendleft(reversed(numbers))
        self.count_threads()

    def exclude(self, number: int, result: Incompatible):
        """Exclude an incompatible worker, and resubmit its bundle."""
        for address, answer in self.client.run(machine, on_error="return").items():
            if address in self.incompatible or not isinstance(answer, dict):
                continue
            if difference(self.environment or {}, answer):
                self.incompatible.add(address)
                warnings.warn(
                    f"Worker {address} has joined the cluster but is not used:"
                    f" {result}.",
                    stacklevel=2,
                )
        self.waiting.appendleft(number)


class DaskWorkers:
    """Train the members of a population on the workers of a Dask cluster.

    Pass an instance as ``workers`` to `train_population`, `MLPSearchCV`, ensembles and
    tabular models. Each worker gets the data once. Members are sent in bundles of about
    one second of work. Results are bit-identical to training in this process, even if
    workers join, leave or die. If a worker has another processor or other library
    versions, an error is raised before training starts.

    Parameters
    ----------
    client : distributed.Client, optional
        The client of the cluster. The default is the most recently created client.
    retries : int, default 3
        The maximum number of times that a bundle is submitted again after Dask has
        given up. By default, Dask gives up after four workers have died while they
        trained the bundle. The number also limits how often in a row all data may be
        lost.
    same_bits : bool, default True
        Whether all workers must compute the same bits as this process. If False, the
        last digits of results may differ between types of processors.

    Raises
    ------
    ImportError
        On use, if Dask is not installed.
    RuntimeError
        On use, if a worker would compute different bits, if there is no worker for a
        minute, or if the last retry fails.

    Notes
    -----
    After Ctrl-C, workers stop within an epoch. Results that were already received are
    returned.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> client = Client("tcp://scheduler:8786")  # doctest: +SKIP
    >>> results = train_population(members, X, T, workers=DaskWorkers(client))  # doctest: +SKIP
    """

    def __init__(self, client: Any = None, retries: int = 3, same_bits: bool = True):
        if not isinstance(retries, int) or not is_within(retries, 0):
            raise ValueError(
                f"retries must be an integer of at least 0, got {retries!r}."
            )
        if client is not None:
            require_client(client, type(self).__name__)
        self.client = client
        self.retries = retries
        self.same_bits = same_bits

    def __repr__(self) -> str:
        return (
            f"DaskWorkers({self.client}, retries={self.retries},"
            f" same_bits={self.same_bits})"
        )

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: scikit-learn copies settings, but a client cannot be copied."""
        return self

    def __reduce__(self) -> tuple:
        """Pickle the settings without the client; the other process uses its own."""
        return type(self), (None, self.retries, self.same_bits)

    def run(
        self, function: Callable[[Any, Any], Any], bundles: Sequence[Any], data: Any
    ) -> Iterator[tuple[int, Any]]:
        """Yield the index of each bundle and ``function(bundle, data)``, as they arrive.

        Parameters
        ----------
        function : callable
            The function that workers call.
        bundles : sequence of Bundle
            The bundles.
        data : object
            The data that all bundles share.
        """
        with _outside_its_task():
            client = connected(self.client, type(self).__name__)
            dispatcher = Dispatcher(
                client,
                function=function,
                bundles=bundles,
                data=data,
                retries=self.retries,
                environment=machine() if self.same_bits else None,
            )
            try:
                yield from dispatcher.results()
            except Exception:
                require_open(client)  # a closed client raises various errors
                raise

    def processes(self) -> int:
        """Return the number of worker processes in the cluster."""
        return len(threads_of(connected(self.client, type(self).__name__)))


@contextmanager
def _outside_its_task() -> Iterator[None]:
    """In a Dask task, let other tasks run in the worker's thread while waiting."""
    if not is_in_a_task():
        yield
        return
    from distributed import rejoin, secede  # pyright: ignore[reportMissingImports]

    secede()
    try:
        yield
    finally:
        rejoin()
