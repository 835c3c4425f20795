"""A kernel is compiled in another process if that helps, and in this one if anything goes wrong."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from small_kernel import small_kernel

from vecprop.compiled.jit import cache, machine_code
from vecprop.compiled.jit.cache import folder, is_kept

NAME = small_kernel(np.float32).name

COMPILED_HERE = """
import numpy as np, vecprop as vp
from vecprop.compiled.jit import machine_code
compiled, wait_for = machine_code.compiled, machine_code.wait_for
machine_code.compiled = lambda function, *options: print(function.__qualname__) or compiled(function, *options)
machine_code.wait_for = lambda name: print("look for", name.split(".")[1].split("-")[0]) or wait_for(name)
network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(1)], vp.SquaredError())
X = np.linspace(-1, 1, 20).reshape(10, 2)
vp.train(network, np.linspace(-1, 1, 13), X, X[:, 0], optimizer=vp.Momentum(), epochs=3, engine="compiled")
"""


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache, and two processors."""
    monkeypatch.setenv("VECPROP_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("VECPROP_NUM_THREADS", "2")
    folder.cache_clear()
    yield
    monkeypatch.undo()
    folder.cache_clear()


def begin():
    """Begin to compile a small kernel; return the other process, if there is one."""
    machine_code.precompile.__wrapped__(small_kernel, np.float32)
    return machine_code._running.get(NAME)


@pytest.mark.long
@pytest.mark.parametrize(("threads", "here"), [("1", True), ("2", False)])
def test_a_first_fit_leaves_the_epochs_to_another_process(tmp_path, threads, here):
    settings = {**os.environ, "VECPROP_CACHE_DIR": str(tmp_path), "VECPROP_NUM_THREADS": threads}
    compiled_here = subprocess.check_output([sys.executable, "-c", COMPILED_HERE], env=settings, text=True)
    lines = compiled_here.splitlines()
    assert lines.index("gradient_of_rows_float64") < lines.index("look for run_epochs_float64")
    assert ("run_epochs_float64" in lines) == here
    assert len(list(tmp_path.glob("*run_epochs_float64*.kernel"))) == 1


@pytest.mark.parametrize(
    ("of", "name", "value"),
    [
        (os.environ, "VECPROP_NUM_THREADS", "1"),
        (sys, "executable", "/usr/bin/true"),
        (sys, "executable", ""),
        (sys, "frozen", True),
        (multiprocessing, "parent_process", lambda: "a process"),
        (cache, "_is_writable", lambda place: False),
        (machine_code, "is_kept", lambda name: name == NAME),
    ],
)
def test_no_process_if_it_cannot_help(empty, monkeypatch, of, name, value):
    assert folder()
    if of is os.environ:
        monkeypatch.setenv(name, value)
    else:
        monkeypatch.setattr(of, name, value, raising=False)
    assert begin() is None


def test_a_process_that_cannot_start_or_fails_is_no_fault(empty, monkeypatch):
    monkeypatch.setattr(machine_code, "_CODE", "raise ImportError")
    process = begin()
    assert process is not None
    assert process.wait() == 1
    machine_code.wait_for(NAME)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert begin() is None


def test_one_notice_in_each_process(empty, monkeypatch, caplog):
    machine_code._say.cache_clear()
    monkeypatch.setattr(machine_code, "compiled", lambda *function: b"code")
    monkeypatch.setattr(machine_code, "loaded", len)
    for F in (np.float32, np.float64):
        small_kernel(F).address()
    assert [record.getMessage() for record in caplog.records] == ["vecprop: compiling for this processor, once"]
    assert {(record.name, record.levelname) for record in caplog.records} == {("vecprop", "WARNING")}


def test_several_threads_start_one_process(empty, monkeypatch):
    started, start = [], subprocess.Popen
    monkeypatch.setattr(machine_code, "_CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(subprocess, "Popen", lambda *call, **options: started.append(1) or start(*call, **options))
    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started == [1]
    machine_code._end()
    assert machine_code._running == {}


def test_another_process_compiles_and_imports_nothing_from_where_it_is_started(empty, monkeypatch, tmp_path):
    (tmp_path / "importlib.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, None])  # Python itself ignores it
    begin()
    machine_code.wait_for(NAME)
    assert is_kept(NAME)


def test_a_process_that_hangs_is_not_waited_for(empty, monkeypatch):
    monkeypatch.setattr(machine_code, "_CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(machine_code, "_LONGEST", 0.01)
    process = begin()
    assert process is not None
    machine_code.wait_for(NAME)
    assert process.returncode
    assert machine_code._running == {}


@pytest.mark.long
def test_of_processes_that_start_at_once_one_compiles(tmp_path):
    settings = {**os.environ, "VECPROP_CACHE_DIR": str(tmp_path), "VECPROP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMPILED_HERE]
    processes = [subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    compiled = [line for line in lines if not line.startswith("look for")]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(compiled) == len(set(compiled)) == len(list(tmp_path.glob("*.kernel")))
