"""The workers of a Dask cluster, on which populations are trained with the bits that they have here."""

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
from .cluster import address_of, connected, difference, machine, require_open, threads_of

LOOK = 2.0
"""The seconds after which the delivery looks at the cluster though nothing has come."""

LAST = 5.0
"""The seconds after Ctrl-C in which workers can return what was under way."""

AHEAD = 4
"""The bundles that are given out for each thread of the cluster: the others wait here, where they cost it nothing."""

LOST = (OSError, TimeoutError, KeyError)
"""What Dask raises when a worker goes while it is asked, or is given data."""

FULL = "worker-restart-memory"
"""What Dask calls the event that a worker is ended since it uses more than its memory."""

_asked: dict[str, list[bool]] = {}  # in a worker, for each delivery: not empty once it is called off


class Incompatible(str):
    """What a worker returns instead of a result if it would compute other bits: how it differs."""


def work(
    bundle: Any, function: Callable[[Any, Any], Any], data: Any, token: str, threads: int, here: dict[str, str] | None
) -> Any:
    """In a worker, return function(bundle, data), or how the worker differs from the machine that has to be equal.

    When the delivery is called off, return the result up to the last whole epoch, or None if it has not begun.
    """
    asked = _asked.setdefault(token, [])
    if asked:
        return None
    if here is not None and (mismatch := difference(here, machine())):
        return Incompatible(mismatch)
    try:
        with limit_threads(threads), cancellable(asked):
            return function(bundle, data)
    except KeyboardInterrupt:  # which would end the worker
        return None


def stop(token: str) -> None:
    """In a worker, stop the trainings of a delivery within their epochs, and begin no others."""
    _asked.setdefault(token, []).append(True)


@dataclass(eq=False)
class Dispatcher:
    """The delivery of bundles to the workers of a client, which have to be like `here`, if that is given."""

    client: Any
    function: Callable[[Any, Any], Any]
    bundles: Sequence[Any]
    data: Any
    retries: int
    here: dict[str, str] | None

    def __post_init__(self) -> None:
        self.token, self.arrived = uuid4().hex, threading.Event()
        self.waiting, self.pending = deque(range(len(self.bundles))), {}
        self.placed: Any = None
        self.losses, self.deaths = 0, [0] * len(self.bundles)
        self.incompatible: set[str] = set()

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yield the place of each bundle and its result, as they come."""
        self.threads, looked = threads_of(self.client), time.monotonic()
        self.require_same_environment()
        self.known_events = len(self.client.get_events(FULL) or ())
        try:
            while self.waiting or self.pending:
                self.submit_bundles()
                yield from self.collect(self.ended())
                if time.monotonic() - looked >= LOOK:
                    self.threads, looked = threads_of(self.client), time.monotonic()
        except KeyboardInterrupt:
            yield from self.stopped()
            raise
        finally:
            if self.pending:  # call them off, unless the cluster is gone
                with suppress(Exception):
                    self.client.cancel(list(self.pending))
                    self.client.run(stop, self.token, on_error="ignore")
            self.pending.clear()  # workers keep data as long as these are held, as a traceback may hold them
            self.placed = None

    def ended(self) -> list[Any]:
        """Return the tasks that have ended, at the latest after a moment."""
        self.arrived.wait(LOOK)
        self.arrived.clear()
        return [future for future in self.pending if future.status not in ("pending", "lost")]

    def stopped(self) -> Iterator[tuple[int, Any]]:
        """Yield what was under way, up to its last whole epoch."""
        self.client.run(stop, self.token, on_error="ignore")
        self.waiting.clear()
        until = time.monotonic() + LAST
        while self.pending and time.monotonic() < until:
            good = {self.pending.pop(future): future for future in self.ended()}
            found = self.client.gather(good, errors="skip") if good else {}
            for place, result in found.items():
                if result is not None and not isinstance(result, Incompatible):
                    yield place, result

    def require_same_environment(self) -> None:
        """Refuse workers that would compute other bits, before anything is trained."""
        for address, there in self.client.run(machine, on_error="return").items():
            if isinstance(there, LOST):  # it has ended since
                continue
            if isinstance(there, BaseException):
                why = f"{type(there).__name__}: {there}. Install the same version of vecprop there."
                raise RuntimeError(f"Worker {address} cannot train: {why}") from there
            if self.here is not None and (mismatch := difference(self.here, there)):
                raise RuntimeError(f"Worker {address} differs: {mismatch}. Give same_bits=False to accept it.")

    def submit_bundles(self) -> None:
        """Give bundles out, as many as the workers have room for."""
        total = sum(self.threads.values())
        count = min(len(self.waiting), AHEAD * total - len(self.pending))
        if count <= 0:
            return
        if self.placed is None:
            self.place()
        places = [self.waiting.popleft() for _ in range(count)]
        of_each = max(1, min(*self.threads.values(), total // len(self.bundles)))
        how = {"function": self.function, "data": self.placed, "token": self.token, "threads": of_each}
        how |= {"here": self.here, "pure": False}
        if self.incompatible:
            how["workers"] = [address for address in self.threads if address not in self.incompatible]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")  # bundles are small beside their work
            futures = self.client.map(work, [self.bundles[place] for place in places], **how)
        for place, future in zip(places, futures, strict=True):
            self.pending[future] = place
            future.add_done_callback(lambda _: self.arrived.set())

    def place(self) -> None:
        """Have the data on all workers; those that come later get them from these."""
        for left in range(self.retries, -1, -1):
            try:
                (self.placed,) = self.client.scatter([self.data], broadcast=True, hash=False)
                return
            except LOST as error:
                if not left:
                    cluster = f"the cluster at {address_of(self.client)}"
                    look = "Look at the memory of its workers."
                    raise RuntimeError(f"The data could not be placed on {cluster}: {error} {look}") from error
                self.threads = threads_of(self.client)

    def collect(self, done: list[Any]) -> Iterator[tuple[int, Any]]:
        """Yield what has come, and see to what was lost."""
        lost = []
        for future in done:
            if future.status != "finished":
                place = self.pending.pop(future)
                if future.status == "error":
                    self.failed(place, future.exception())
                else:
                    lost.append(place)
        good = {self.pending[future]: future for future in done if future in self.pending}
        results = self.client.gather(good, errors="skip") if good else {}
        for place, future in good.items():
            del self.pending[future]
            result = results.get(place)
            if isinstance(result, Incompatible):
                self.exclude(place, result)
            elif result is None:  # its worker has gone, and all data with it
                lost.append(place)
            else:
                self.losses = 0
                yield place, result
        if lost:
            self.lost(lost)

    def failed(self, place: int, error: Any) -> None:
        """Give a bundle out anew whose workers have died, or raise the error of its training."""
        numbers = self.bundles[place].numbers
        those = f"member {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} members from member {numbers[0]} on"
        if isinstance(error, MemoryError):
            raise RuntimeError(f"A worker has too little memory to train {those}: give workers more.") from error
        if not hasattr(error, "allowed_failures"):  # as Dask's KilledWorker has
            raise error
        self.deaths[place] += 1
        address = error.last_worker.address
        if address in self.full():
            why = "since it used more than its memory: give workers more, or fewer threads each."
            raise RuntimeError(f"Worker {address} was ended while it trained {those} {why}") from error
        if self.deaths[place] > self.retries:
            count = self.deaths[place] * (error.allowed_failures + 1)
            look = "look at their logs and memory, or give more retries"
            raise RuntimeError(f"The workers that trained {those} died {count} times: {look}.") from error
        self.waiting.appendleft(place)

    def full(self) -> list[str]:
        """Return the addresses of workers that have been ended since they used more than their memory."""
        return [event["worker"] for _, event in (self.client.get_events(FULL) or ())[self.known_events :]]

    def lost(self, places: list[int]) -> None:
        """Give bundles out anew that were lost with the data, of which all holders have died."""
        self.losses += 1
        if self.losses > self.retries:
            why = f"All workers that had the data were lost, {self.losses} times in a row"
            advice = "look at their logs and memory, or give more retries"
            if full := self.full():
                why = f"Workers were ended {len(full)} times since they used more than their memory, {full[-1]} last"
                advice = "give them more, or fewer threads each"
            raise RuntimeError(f"{why}: {advice}.")
        self.placed = None
        self.waiting.extendleft(reversed(places))
        self.threads = threads_of(self.client)

    def exclude(self, place: int, result: Incompatible) -> None:
        """Give a bundle out anew that came to a worker which has come later and differs, and use that one no more."""
        for address, there in self.client.run(machine, on_error="return").items():
            if isinstance(there, dict) and address not in self.incompatible and difference(self.here or {}, there):
                self.incompatible.add(address)
                warnings.warn(f"Worker {address} has come and is not used: {result}.", stacklevel=2)
        self.waiting.appendleft(place)


class DaskWorkers:
    """The workers of a Dask cluster, which train the members of a population.

    Give it as ``workers`` to `train_population`, `MLPSearchCV`, ensembles and models of tables. Members go out in
    bundles of about a second's work, each worker gets the data once, and results are taken as they come. They are those
    of training here, to the bit, whatever workers come, go or die. A worker that would compute other bits is an error
    before anything is trained: one with another processor, or other versions of the libraries.

    Parameters
    ----------
    client : distributed.Client, optional
        The client of the cluster; the latest one that was made by default.
    retries : int, default 3
        How often a bundle is given out anew after Dask has given it up, which it does when the workers that train it
        have died four times; and how often in a row all data may be lost.
    same_bits : bool, default True
        Whether all workers have to compute the same bits as this process. Without that, results differ in their last
        digits between kinds of processors.

    Raises
    ------
    ImportError
        When it is used, if Dask is not installed.
    RuntimeError
        When it is used, if a worker would compute other bits, there is none for a minute, or they are lost more often.

    Notes
    -----
    After Ctrl-C, workers stop within an epoch. Results of bundles that have come are kept.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> client = Client("tcp://scheduler:8786")  # doctest: +SKIP
    >>> results = train_population(members, X, T, workers=DaskWorkers(client))  # doctest: +SKIP
    """

    def __init__(self, client: Any = None, retries: int = 3, same_bits: bool = True) -> None:
        if not isinstance(retries, int) or not is_within(retries, 0):
            raise ValueError(f"retries is {retries!r}, but it is a whole number of at least 0.")
        self.client, self.retries, self.same_bits = client, retries, same_bits

    def __repr__(self) -> str:
        return f"DaskWorkers({self.client}, retries={self.retries}, same_bits={self.same_bits})"

    def __deepcopy__(self, known: dict[int, Any]) -> Self:
        """Return itself: settings of estimators are copied, and a connection cannot be."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings without the connection, in place of which the other process has its own."""
        return type(self), (None, self.retries, self.same_bits)

    def run(self, function: Callable[[Any, Any], Any], bundles: Sequence[Any], data: Any) -> Iterator[tuple[int, Any]]:
        """Yield the place of each bundle and ``function(bundle, data)``, as they come from the workers.

        Parameters
        ----------
        function : callable
            What a worker calls.
        bundles : sequence of Bundle
            The bundles.
        data : object
            What all bundles need.
        """
        with _beside_its_task():
            client = connected(self.client, type(self).__name__)
            here = machine() if self.same_bits else None
            try:
                yield from Dispatcher(client, function, bundles, data, self.retries, here).results()
            except Exception:
                require_open(client)  # its errors once it is closed are many
                raise

    def processes(self) -> int:
        """Return the number of processes of the cluster."""
        return len(threads_of(connected(self.client, type(self).__name__)))


@contextmanager
def _beside_its_task() -> Iterator[None]:
    """In a task of Dask, let others use the thread while this one waits for them: all threads may be waiting."""
    if not is_in_a_task():
        yield
        return
    from distributed import rejoin, secede  # pyright: ignore[reportMissingImports]

    secede()
    try:
        yield
    finally:
        rejoin()
