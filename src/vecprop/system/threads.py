"""Threads: their number and their work together, during which Ctrl-C is delayed and BLAS has one thread."""

import _signal  # pyright: ignore[reportMissingImports] (signal wraps it in a search for names of 6 us)
import _thread
import ctypes
import logging  # noqa: F401 (before a fork its lock is taken behind `fork_lock`, since it was registered earlier)
import os
import re
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import lru_cache
from math import ceil
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")

_most: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def _set(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    before = variable.set(value)
    try:
        yield
    finally:
        variable.reset(before)


def limit_threads(count: int) -> AbstractContextManager[None]:
    """Limit the number of threads in a block to count."""
    return _set(_most, count)


def limit_jobs(n_jobs: int | None) -> AbstractContextManager[None]:
    """Use at most ``n_jobs`` threads in a block, as joblib counts them: -1 is all processors, None no limit."""
    if n_jobs is None:
        return nullcontext()
    from joblib import effective_n_jobs

    return limit_threads(effective_n_jobs(n_jobs))


def usable_threads() -> int:
    """Return the number of threads that may run here: `allowed_threads`, or fewer within `limit_threads`.

    The number changes the speed of training, but not one bit of its result.
    """
    most = _most.get()
    return allowed_threads() if most is None else min(most, allowed_threads())


def allowed_threads() -> int:
    """Return the number of threads of this process: VECPROP_NUM_THREADS, or the processors that it may use."""
    chosen = os.environ.get("VECPROP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    if chosen:
        raise ValueError(f"VECPROP_NUM_THREADS is {chosen!r}, but a positive whole number is needed.")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _quota())


@lru_cache(maxsize=1)
def _quota(groups: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int:
    """Return the number of processors whose time a container lets this process use, rounded up; many without a limit.

    The files are those of cgroup v2, in the process's own group or those above it, and of v1.
    """
    quotas = []
    with suppress(OSError, ValueError, IndexError):
        own = Path(root, Path(groups).read_text(encoding="utf-8").splitlines()[-1].partition("::")[2].lstrip("/"))
        for place in (own, *own.parents):
            with suppress(OSError):
                quota, period = Path(place, "cpu.max").read_text(encoding="utf-8").split()
                quotas += [] if quota == "max" else [int(quota) / int(period)]
            if place == Path(root):
                break
    with suppress(OSError, ValueError):
        quota, period = (int(Path(root, "cpu", f"cpu.cfs_{of}_us").read_text()) for of in ("quota", "period"))
        quotas += [quota / period] if quota > 0 else []
    return max(ceil(min(quotas, default=2**16)), 1)


_number_of_processor: Callable[[], int] | None = None
if hasattr(os, "sched_setaffinity"):
    _number_of_processor = getattr(ctypes.PyDLL(None), "sched_getcpu", None)


class suppress_system_errors(suppress):
    """A block in which the system may refuse what is asked of it: its errors are ignored, which have a number.

    A handler of a signal may raise a TimeoutError there, which is an OSError too, and must reach the caller.
    """

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        """Return whether the error is ignored."""
        return isinstance(error, OSError) and error.errno is not None


def _shares(workers: int) -> list[set[int]]:
    """Return the processors on which each worker starts, the first on that of this thread; empty if they are not set.

    On virtual machines the scheduler may start a woken thread on the processor of the thread that wakes it, and leave
    both there for about 50 ms, since idle processors look as if they were taken away. So threads are pinned at first if
    enough processors are idle. If not, the scheduler does better.
    """
    if workers == 1 or _number_of_processor is None:
        return []
    with suppress_system_errors():
        usable = sorted(os.sched_getaffinity(0))
        with open("/proc/loadavg", "rb", buffering=0) as file:  # the number of threads that run or are ready to run
            runnable = re.search(rb" (\d+)/", file.read())
        busy = int(runnable[1]) - 1 if runnable else 2**16
        if busy + workers <= (os.cpu_count() or 1) and workers <= len(usable):
            here = usable.index(number) if (number := _number_of_processor()) in usable else 0
            usable = usable[here:] + usable[:here]
            return [set(usable[k * len(usable) // workers : (k + 1) * len(usable) // workers]) for k in range(workers)]
    return []


def _serve(calls: "SimpleQueue[Any]", ends: "SimpleQueue[Any]", *kept: Any) -> None:
    """Do one work after the other, each given with its worker's number and the processors that may be used later."""
    ends.put(threading.get_native_id())
    while isinstance(call := calls.get(), tuple):
        work, worker, usable, outcome, ends = call
        if usable:
            with suppress_system_errors():
                os.sched_setaffinity(0, usable)
        error = None
        try:
            work(worker)
        except BaseException as raised:
            error = raised
        del call, work  # they may hold large arrays
        outcome.append(error)
        ends.put(None)
        del error, outcome  # the error's frames hold them too


class _Helper:
    """A thread that waits for work; waking it takes a quarter of the time of starting one.

    The thread ends when nothing refers to its helper: an exception at any moment may lose one.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._ends: SimpleQueue[Any] = SimpleQueue()
        # Called with itself when the helper is gone, without a line of Python in which a signal handler could raise.
        last = weakref.ref(self, self._calls.put)
        self._outcome: list[BaseException | None] = [None]  # of the latest work, empty until it is done
        # threading.Thread would wait for its start, and an exception in between would leave its lists torn.
        _thread.start_new_thread(_serve, (self._calls, self._ends, last))
        self._native_id: int = self._ends.get()

    def begin(self, work: Callable[[int], None], worker: int, shares: list[set[int]]) -> None:
        """Start work(worker) in the thread, at first on its share of the processors."""
        if shares:
            with suppress_system_errors():  # processors may have been taken away meanwhile
                os.sched_setaffinity(self._native_id, shares[worker])
        outcome, ends = [], SimpleQueue()
        call = work, worker, set().union(*shares), outcome, ends
        # Between these two no handler of a signal can raise, which would let others wait for work that has not begun.
        self._outcome, self._ends = outcome, ends
        self._calls.put(call)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the work, up to timeout seconds, and return whether it is done.

        That is read from the outcome: what the queue gives may be lost, if the handler of a signal raises just then.
        """
        if not self._outcome:
            with suppress(Empty):
                self._ends.get(timeout=timeout)
        return bool(self._outcome)

    def end(self) -> None:
        """Wait for the work, and raise its exception."""
        self.wait()
        if self._outcome[0] is not None:
            raise self._outcome[0]


fork_lock = threading.RLock()
"""Held while modules are imported or kernels compiled: a fork waits, since a child would find them half done, and locks
of Python, Numba and LLVM taken by threads that it does not have."""

_idle: list[_Helper] = []  # helpers of earlier calls, for later ones
_guard, _users = threading.Lock(), 0  # how many use BLAS, and the numbers of its threads before
_before: list[int] = []


def _start_child() -> None:
    """In a child process, forget the threads of its parent, which do not exist here."""
    global _guard, _users
    _idle.clear()
    _guard, _users = threading.Lock(), 0
    fork_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=fork_lock.acquire, after_in_parent=fork_lock.release, after_in_child=_start_child)


def _helpers(count: int) -> list[_Helper]:
    """Return helpers that wait for work; new ones are started if there are too few."""
    helpers: list[_Helper] = []
    try:
        for _ in range(count):
            try:
                helpers.append(_idle.pop())
            except IndexError:  # a check before would be a race if several threads train
                helpers.append(_Helper())
    except BaseException:
        _idle.extend(helpers)
        raise
    return helpers


def run_in_parallel(work: Callable[[int], None], workers: int, abandon: Callable[[], None] | None = None) -> None:
    """Call work(0), …, work(workers - 1) at the same time, the first in this thread.

    If one of them or a signal handler raises, the exception is raised here when all have ended; abandon() is called
    before that, by which those end that wait for the first.
    """
    helpers = _helpers(workers - 1)
    try:
        shares = _shares(workers)
        for worker, helper in enumerate(helpers, start=1):
            helper.begin(work, worker, shares)
        work(0)
        for helper in helpers:
            helper.end()
    except BaseException:
        if abandon is not None:
            abandon()
        for helper in helpers:
            helper.wait()
        _idle.extend(helpers)
        raise
    _idle.extend(helpers)


LOOK = 0.05
"""The seconds after which a thread that waits looks for exceptions: a signal that another thread has taken, or an
exception that another thread has set, does not end a longer wait."""


def interruptible(
    work: Callable[[], Result],
    is_stopped: Callable[[], object] = lambda: False,
    stop: Callable[[], object] | None = None,
) -> Result:
    """Return work(), done in another thread, while this one notices signals and what other threads raise in it.

    stop() is called when is_stopped() is true, which is asked several times a second, or when an exception comes here;
    the work then has to end soon. The exception is raised when it has ended, a second one at once. Without stop(), it
    is raised at once, and the work goes on to its end. So the work must hold references to its memory.
    """
    results: list[Result] = []
    try:
        (helper,) = _helpers(1)
    except RuntimeError:  # no thread starts when Python is shutting down
        return work()
    try:
        helper.begin(lambda worker: results.append(work()), 0, [])
        is_stopping = False
        while not helper.wait(LOOK):
            if stop is not None and not is_stopping and is_stopped():
                stop()
                is_stopping = True  # who has said so is not asked again while the work ends
        helper.end()
    except BaseException as error:
        if stop is not None:
            stop()
            while not (isinstance(error, SecondInterrupt) or helper.wait(LOOK)):
                pass
        _idle.extend([helper] * helper.wait(0))  # the thread of one that is left alone ends after its work
        raise
    _idle.append(helper)
    return results[0]


def shield_from_signals(work: Callable[[], Result]) -> Result:
    """Return work(), in which no handler of a signal raises, where it might be taken for an OSError of the system."""
    is_main = threading.current_thread() is threading.main_thread()
    return interruptible(work, stop=lambda: None) if is_main else work()


def run_in_thread(work: Callable[[], Result]) -> Result:
    """Return work(), done in another thread if this is the main one, in which handlers of signals raise exceptions.

    Such an exception leaves here at once, and the work goes on to its end: for what may not be left half done.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return interruptible(work) if is_main else work()


class SecondInterrupt(KeyboardInterrupt):
    """Ctrl-C was pressed a second time before the first could be served: nothing is kept."""


_asked: ContextVar[list[Any]] = ContextVar("asked", default=[])  # noqa: B039 (nobody changes the default)


def cancellable(asked: list[Any]) -> AbstractContextManager[None]:
    """Let the trainings in a block stop as by Ctrl-C, though it is not the main thread, once a list is not empty."""
    return _set(_asked, asked)


def check_cancelled() -> None:
    """Raise KeyboardInterrupt if another thread has asked this one to stop; see `cancellable`."""
    if _asked.get():
        raise KeyboardInterrupt


def defer_sigint(work: Callable[[list[Any]], Result]) -> Result:
    """Return work(received), and delay Ctrl-C until it is done: threads that wait at a barrier cannot stop alone.

    The list that work receives gets an entry when Ctrl-C is pressed; in other threads it is the list of `cancellable`.
    A second Ctrl-C is not delayed: it raises SecondInterrupt. This function is not a context manager, because the
    handler of another signal may raise before a generator enters its ``try`` block.
    """
    if threading.current_thread() is not threading.main_thread() or _signal.getsignal(signal.SIGINT) is None:
        asked = _asked.get()  # signals go to the main thread; None is not Python's and could not be restored
        result = work(asked)
        check_cancelled()
        return result
    received: list[Any] = []
    before = _signal.getsignal(signal.SIGINT)

    def receive(*arguments: Any) -> None:
        received.append(arguments)
        if len(received) > 1 and callable(before):
            try:
                before(*arguments)
            except KeyboardInterrupt as error:
                raise SecondInterrupt from error

    try:
        _signal.signal(signal.SIGINT, receive)
        result = work(received)
    finally:
        try:
            _signal.signal(signal.SIGINT, before)
        except BaseException:  # of another handler, which runs before this one is set
            _signal.signal(signal.SIGINT, before)
            raise
    if received and callable(before):
        before(*received[0])
    return result


@lru_cache(maxsize=1)
def _controller() -> Any:
    with fork_lock:
        import scipy.linalg  # noqa: F401 (loads the BLAS that compiled code calls)
        from threadpoolctl import ThreadpoolController

    every = ThreadpoolController().select(user_api="blas")
    own = [pool["filepath"] for pool in every.info() if re.search(r"scipy(\.libs|.\.dylibs)", pool["filepath"])]
    return every.select(filepath=own) if own else every  # NumPy and other libraries may have their own BLAS


def blas() -> str:
    """Return the BLAS that compiled code calls: its name, its version, and the processor that its code is for."""
    each = {f"{of['internal_api']} {of['version']} ({of.get('architecture')})" for of in _controller().info()}
    return ", ".join(sorted(each))


def _set_blas(counts: list[int]) -> list[int]:
    """Set the number of threads of each BLAS, and return the numbers before."""
    import threadpoolctl

    # Since release 3.8 threadpoolctl lets only one thread set OpenBLAS. Here the last user restores it.
    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    release = getattr(openblas, "clear_controlling_thread", lambda force: None)
    libraries = _controller().lib_controllers
    before = [library.num_threads for library in libraries]
    release(force=True)
    for library, count in zip(libraries, counts, strict=True):
        library.set_num_threads(count)
    release(force=True)
    return before


def with_single_threaded_blas(work: Callable[[], Result], used: bool = True) -> Result:
    """Return work(), and limit BLAS, if it is used, to one thread meanwhile; the last of several users restores it.

    It is no context manager for the reason that `defer_sigint` gives.
    """
    global _users, _before
    if not used:
        return work()
    counts = False
    try:
        with _guard:
            if _users == 0:
                _before = _set_blas([1] * len(_controller().lib_controllers))
            _users, counts = _users + 1, True
        return work()
    finally:
        if counts:
            with _guard:
                _users = max(_users - 1, 0)  # a child that was forked meanwhile has forgotten them
                if _users == 0:
                    _set_blas(_before)
