"""Threads: their number, parallel work, delayed Ctrl-C, and single-threaded BLAS."""

import _signal  # pyright: ignore[reportMissingImports] (signal adds a search for names, which takes 6 us)
import _thread
import logging  # noqa: F401 (imported first, so that a fork acquires `fork_lock` before the lock of logging)
import os
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
from typing import Any, NamedTuple, TypeVar

from .memory import group_folders

Result = TypeVar("Result")

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def _set(variable: ContextVar[Any], value) -> Iterator[None]:
    before = variable.set(value)
    try:
        yield
    finally:
        variable.reset(before)


def limit_threads(count: int) -> AbstractContextManager[None]:
    """Limit the number of threads in a block."""
    return _set(_limit, count)


def limit_jobs(n_jobs: int | None) -> AbstractContextManager[None]:
    """Use at most ``n_jobs`` threads in a block, as in joblib; None for no limit."""
    if n_jobs is None:
        return nullcontext()
    from joblib import effective_n_jobs

    return limit_threads(effective_n_jobs(n_jobs))


def usable_threads() -> int:
    """Return `allowed_threads`, or fewer within `limit_threads`.

    The number affects the speed of training, but not its results.
    """
    limit = _limit.get()
    return allowed_threads() if limit is None else min(limit, allowed_threads())


def allowed_threads() -> int:
    """Return VECPROP_NUM_THREADS, or the processors that this process may use."""
    setting = os.environ.get("VECPROP_NUM_THREADS", "")
    if setting.isdigit() and int(setting) > 0:
        return int(setting)
    if setting:
        raise ValueError(
            f"VECPROP_NUM_THREADS must be a positive integer, got {setting!r}."
        )
    usable = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    return min(usable, _quota())


@lru_cache(maxsize=1)
def _quota(root: str = "/") -> int:
    """Return the container's processor quota, rounded up, or a large number."""
    quotas = []
    for version, folder in group_folders("cpu", Path(root)):
        with suppress(OSError, ValueError):  # ValueError if the quota is "max"
            if version == 2:
                quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8")
                period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
            if int(quota) > 0:
                quotas.append(int(quota) / int(period))
    return max(ceil(min(quotas, default=2**16)), 1)


class suppress_system_errors(suppress):
    """Suppress an OSError of the operating system, recognized by its errno.

    An OSError without an errno is not suppressed: a signal handler may raise
    TimeoutError, which must reach the caller.
    """

    def __exit__(self, kind, error, traceback) -> bool:
        """Return whether the error is ignored."""
        return isinstance(error, OSError) and error.errno is not None


class _Call(NamedTuple):
    """A call for a helper, work(worker), and where its outcome and its end are reported."""

    work: Callable
    worker: int
    outcome: list
    ends: SimpleQueue


def _serve(calls: SimpleQueue, collected):
    """Run calls from a queue until `collected` is queued, the weakref to the helper.

    The caller may free large arrays when a call has ended. Therefore the references to
    the call and to a traceback are deleted.
    """
    while isinstance(call := calls.get(), _Call):
        error = None
        try:
            call.work(call.worker)
        except BaseException as raised:
            error = raised
        outcome = call.outcome
        ends = call.ends
        del call
        outcome.append(error)
        ends.put(None)
        del error, outcome


class _Helper:
    """A reusable thread, which wakes up four times as fast as a thread starts.

    The thread ends when its helper is garbage-collected, because an exception may lose
    a helper at any moment.
    """

    def __init__(self):
        """Start the thread."""
        self._calls = SimpleQueue()
        # of the latest call: its outcome, empty until it is done, and its end
        self._outcome = [None]
        self._ends = SimpleQueue()
        # When the helper is collected, the weakref puts itself into the queue. No
        # Python code runs that a signal handler could interrupt.
        collected = weakref.ref(self, self._calls.put)
        # threading.Thread waits until the thread starts; an exception meanwhile would
        # corrupt its list of threads.
        _thread.start_new_thread(_serve, (self._calls, collected))

    def begin(self, work: Callable, worker: int):
        """Start work(worker) in the thread."""
        call = _Call(work, worker, outcome=[], ends=SimpleQueue())
        # No signal handler can raise between the last two lines. Otherwise, callers
        # would wait forever.
        self._outcome, self._ends = call.outcome, call.ends
        self._calls.put(call)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the work for at most timeout seconds, and return whether it is done.

        The outcome decides, because an item of the queue is lost if a signal handler
        raises while the item is read.
        """
        if not self._outcome:
            with suppress(Empty):
                self._ends.get(timeout=timeout)
        return bool(self._outcome)

    def end(self):
        """Wait for the work, and raise its exception, if any."""
        self.wait()
        if self._outcome[0] is not None:
            raise self._outcome[0]


fork_lock = threading.RLock()
"""Held while modules are imported or kernels are compiled, so that a fork waits for
them. Otherwise the child would inherit half-imported modules, and locks held by threads
that do not exist in the child.
"""

_idle: list[_Helper] = []  # idle helpers, for reuse
_blas_lock = threading.Lock()
_blas_users = 0  # the number of threads that use single-threaded BLAS
_blas_counts: list[int] = []  # the numbers of BLAS threads to restore


def _start_child():
    """After a fork, forget the threads of the parent."""
    global _blas_lock, _blas_users
    _idle.clear()
    _blas_lock = threading.Lock()
    _blas_users = 0
    fork_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=fork_lock.acquire,
        after_in_parent=fork_lock.release,
        after_in_child=_start_child,
    )


def _helpers(count: int) -> list[_Helper]:
    """Return idle helpers; start new ones if there are too few."""
    helpers = []
    for _ in range(count):
        try:
            helpers.append(_idle.pop())
        # checking the length first would be a race between threads
        except IndexError:
            helpers.append(_Helper())
    return helpers


def run_in_parallel(work: Callable, workers: int, abandon: Callable | None = None):
    """Call work(0), …, work(workers - 1) in parallel; work(0) runs in this thread.

    If a call or a signal handler raises, abandon() is called to end the calls that wait
    for work(0). The exception is raised after all calls have ended.
    """
    helpers = _helpers(workers - 1)
    is_done = False
    try:
        for worker, helper in enumerate(helpers, start=1):
            helper.begin(work, worker)
        work(0)
        for helper in helpers:
            helper.end()
        is_done = True
    finally:
        if abandon is not None and not is_done:
            abandon()
        for helper in helpers:
            helper.wait()
        _idle.extend(helpers)


POLL_INTERVAL = 0.05
"""The number of seconds after which a waiting thread wakes up. Otherwise, signals
delivered to another thread, and exceptions set by another thread, would not interrupt
the wait.
"""


def interruptible(
    work: Callable[[], Result],
    is_stopped: Callable = lambda: False,
    stop: Callable | None = None,
) -> Result:
    """Return work() from another thread, while this thread can receive exceptions.

    is_stopped() is polled several times a second. If it returns True, or if an
    exception is raised in this thread, stop() is called, and work() must end soon. The
    exception is raised after that, a second exception at once. Without stop(), an
    exception is raised at once and work() continues, so work() must hold references to
    its memory.
    """
    results = []

    def store_result(worker: int):
        results.append(work())

    try:
        (helper,) = _helpers(1)
    except RuntimeError:  # threads cannot be started while Python is shutting down
        return work()
    try:
        helper.begin(store_result, worker=0)
        is_stopping = False
        while not helper.wait(POLL_INTERVAL):
            if stop is not None and not is_stopping and is_stopped():
                stop()
                is_stopping = True  # do not poll again while the work ends
        helper.end()
    except BaseException as error:
        if stop is not None:
            stop()
            has_ended = isinstance(error, SecondInterrupt)
            while not has_ended:
                has_ended = helper.wait(POLL_INTERVAL)
        # an unfinished helper is dropped; its thread ends after the work
        if helper.wait(0):
            _idle.append(helper)
        raise
    _idle.append(helper)
    return results[0]


def shield_from_signals(work: Callable[[], Result]) -> Result:
    """Run work() where signal handlers cannot raise, so that system errors are genuine."""
    return run_in_thread(work, stop=lambda: None)


def run_in_thread(work: Callable[[], Result], stop: Callable | None = None) -> Result:
    """Return work(), from another thread if this is the main one; see `interruptible`.

    Signal handlers raise in the main thread. Their exceptions are raised at once, but
    work() still runs to its end.
    """
    if threading.current_thread() is threading.main_thread():
        return interruptible(work, stop=stop)
    return work()


class SecondInterrupt(KeyboardInterrupt):
    """Ctrl-C was pressed again before training had ended; nothing is saved."""


_cancelled: ContextVar[list] = ContextVar("cancelled", default=[])  # noqa: B039 (the default is never changed)


def cancellable(cancelled: list) -> AbstractContextManager[None]:
    """Let another thread stop training in a block by appending to a list."""
    return _set(_cancelled, cancelled)


def check_cancelled():
    """Raise KeyboardInterrupt if another thread requested it; see `cancellable`."""
    if _cancelled.get():
        raise KeyboardInterrupt


def defer_sigint(work: Callable[[list], Result]) -> Result:
    """Return work(received), and delay Ctrl-C until all threads of work have ended.

    Threads at a barrier must stop together. An entry is appended to `received` when
    Ctrl-C is pressed. A second Ctrl-C is not delayed: it raises SecondInterrupt. Other
    threads than the main one receive no signals; there, `received` is the list of
    `cancellable`.
    """
    # None is a handler set in C, which cannot be restored
    outer_handler = _signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and outer_handler is not None:
        return _defer_to(outer_handler, work)
    result = work(_cancelled.get())
    check_cancelled()
    return result


def _defer_to(outer_handler, work: Callable[[list], Result]) -> Result:
    """Return work(received); call the outer handler of Ctrl-C after that; see `defer_sigint`.

    This function is not a context manager, because the handler of another signal may
    raise before a generator enters its ``try`` block.
    """
    received = []

    def receive(*arguments):
        received.append(arguments)
        if len(received) > 1 and callable(outer_handler):
            try:
                outer_handler(*arguments)
            except KeyboardInterrupt as error:
                raise SecondInterrupt from error

    try:
        _signal.signal(signal.SIGINT, receive)
        result = work(received)
    finally:
        try:
            _signal.signal(signal.SIGINT, outer_handler)
        finally:  # the handler of another signal may raise before this one is set
            _signal.signal(signal.SIGINT, outer_handler)
    if received and callable(outer_handler):
        outer_handler(*received[0])
    return result


@lru_cache(maxsize=1)
def _controller():
    """Return the controller of the BLAS that compiled code calls."""
    with fork_lock:
        import scipy.linalg  # noqa: F401 (loads the BLAS that compiled code calls)
        from threadpoolctl import ThreadpoolController

    # NumPy and SciPy may use different ones.
    return ThreadpoolController().select(user_api="blas")


def blas() -> str:
    """Return the name, version and architecture of the BLAS that compiled code calls."""
    names = set()
    for library in _controller().info():
        names.add(
            f"{library['internal_api']} {library['version']}"
            f" ({library.get('architecture')})"
        )
    return ", ".join(sorted(names))


def _set_blas(counts: list[int]) -> list[int]:
    """Set the number of threads of each BLAS, and return the previous numbers."""
    import threadpoolctl

    # Since release 3.8, threadpoolctl lets only one thread configure OpenBLAS, but any
    # thread may restore it here.
    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    unlock = getattr(openblas, "clear_controlling_thread", lambda force: None)
    libraries = _controller().lib_controllers
    previous_counts = [library.num_threads for library in libraries]
    unlock(force=True)
    for library, count in zip(libraries, counts, strict=True):
        library.set_num_threads(count)
    unlock(force=True)
    return previous_counts


def with_single_threaded_blas(work: Callable[[], Result], used: bool = True) -> Result:
    """Run work() with single-threaded BLAS; the last of several simultaneous calls restores the threads.

    This function is not a context manager for the reason given in `_defer_to`.
    """
    global _blas_users, _blas_counts
    if not used:
        return work()
    is_counted = False
    try:
        with _blas_lock:
            if _blas_users == 0:
                libraries = _controller().lib_controllers
                _blas_counts = _set_blas([1] * len(libraries))
            _blas_users += 1
            is_counted = True
        return work()
    finally:
        if is_counted:
            with _blas_lock:
                # it is 0 in a child process that was forked meanwhile
                _blas_users = max(_blas_users - 1, 0)
                if _blas_users == 0:
                    _set_blas(_blas_counts)
