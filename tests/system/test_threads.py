"""Work in threads, delayed signals, and the number of threads."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from vecprop.system import threads
from vecprop.system.threads import allowed_threads

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the system has no such call"
)


def run_watched(work, n):
    threads.interruptible(
        lambda: threads.run_in_parallel(work, n), lambda: False, lambda: None
    )


def test_helpers_have_the_affinity_of_their_caller():
    usable = os.sched_getaffinity(0)
    found = {}
    threads.run_in_parallel(
        lambda worker: found.setdefault(worker, os.sched_getaffinity(0)), 3
    )
    assert found == dict.fromkeys(range(3), usable)


@pytest.mark.parametrize("run", [threads.run_in_parallel, run_watched])
@pytest.mark.parametrize("raises", [0, 1])
def test_an_exception_in_any_thread_is_raised_in_the_caller(run, raises):
    def work(worker):
        if worker == raises:
            raise KeyError(worker)

    threads._idle.clear()
    for _ in range(3):
        with pytest.raises(KeyError, match=str(raises)):
            run(work, 3)
        assert len(threads._idle) == 3 - (run is threads.run_in_parallel)
    seen = set()
    run(seen.add, 3)
    assert seen == {0, 1, 2}


def test_abandon_releases_helpers_that_wait_for_the_caller():
    told = threading.Event()

    def work(worker):
        if worker == 0:
            raise KeyError(worker)
        assert told.wait(10)

    with pytest.raises(KeyError):
        threads.run_in_parallel(work, 2, told.set)
    assert threads._idle[-1].wait(0)


def test_the_thread_of_a_collected_helper_ends():
    numbers = []
    helper = threads._Helper()
    helper.begin(lambda worker: numbers.append(threading.get_native_id()), 0)
    helper.end()
    del helper
    (number,) = numbers
    for _ in range(200):
        if not Path(f"/proc/self/task/{number}").exists():
            return
        time.sleep(0.01)
    pytest.fail("the thread has not ended")


def test_work_runs_after_no_thread_could_start(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threads._thread, "start_new_thread", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.run_in_parallel(lambda worker: None, 200)
    workers = []
    threads.run_in_parallel(workers.append, 200)
    assert sorted(workers) == list(range(200))


def test_the_environment_sets_the_number_of_threads(monkeypatch):
    for number in ("1", "3"):
        monkeypatch.setenv("VECPROP_NUM_THREADS", number)
        assert allowed_threads() == int(number)
    for wrong in ("0", "-1", "two"):
        monkeypatch.setenv("VECPROP_NUM_THREADS", wrong)
        with pytest.raises(
            ValueError,
            match=f"VECPROP_NUM_THREADS must be a positive integer, got '{wrong}'",
        ):
            allowed_threads()


def test_an_exception_of_a_handler_does_not_stop_work_in_a_thread():
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        may_end.wait(10)
        ended.set()

    threading.Thread(
        target=lambda: begun.wait(10) and os.kill(os.getpid(), signal.SIGINT)
    ).start()
    with pytest.raises(KeyboardInterrupt):
        threads.run_in_thread(work)
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(10)


def test_run_in_thread_returns_and_raises():
    assert threads.run_in_thread(threading.get_native_id) != threading.get_native_id()
    with pytest.raises(ZeroDivisionError):
        threads.run_in_thread(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pod/cpu.max": "150000 100000\n"}, 2),
        ({"pod/cpu.max": "max 100000\n"}, 2**16),
        ({"pod/cpu.max": "max 100000\n", "cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2**16),
        ({"pod/cpu.max": "odd\n"}, 2**16),
        ({}, 2**16),
    ],
)
def test_the_processor_quota_of_a_container(files, expected, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("1:cpu:/\n0::/pod\n")
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert threads._quota.__wrapped__(str(tmp_path)) == expected


def test_threads_are_limited_by_the_quota(monkeypatch):
    monkeypatch.delenv("VECPROP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(threads, "_quota", lambda: 3)
    assert allowed_threads() == 3


def test_the_end_of_work_is_known_if_an_exception_loses_its_message():
    helper = threads._Helper()
    helper.begin(lambda worker: None, 0)
    helper._ends.get()
    assert helper.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_waits_for_the_fork_lock():
    entered, seen = threading.Event(), []

    def import_or_compile():
        with threads.fork_lock:
            entered.set()
            time.sleep(0.05)
            seen.append("done")

    thread = threading.Thread(target=import_or_compile)
    thread.start()
    entered.wait()
    child = os.fork()
    if not child:
        with threads.fork_lock:
            os._exit(int(seen != ["done"]))
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_timeout_of_a_signal_handler_is_not_suppressed():
    with (
        pytest.raises(TimeoutError, match="soft limit"),
        threads.suppress_system_errors(),
    ):
        raise TimeoutError("soft limit")
    with threads.suppress_system_errors():
        raise PermissionError(13, "Permission denied")


def test_is_stopped_is_not_polled_after_a_stop():
    asked, ended = [], threading.Event()
    stop = threading.Timer(0.3, ended.set).start
    assert threads.interruptible(ended.wait, lambda: asked.append(1) or True, stop)
    assert asked == [1]
