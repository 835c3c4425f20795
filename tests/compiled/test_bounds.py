"""Kernels read and write inside their arrays: all tests of the compiled engine pass with bounds checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
BEYOND = """
import ctypes
from numba import types
from vecprop.compiled.jit.addresses import words_at
from vecprop.compiled.jit.machine_code import address_of
def beyond(address):
    words_at(address, 1)[1] = 1
words = (ctypes.c_int64 * 2)()
ctypes.CFUNCTYPE(None, ctypes.c_int64)(address_of(beyond, float))(ctypes.addressof(words))
"""


@pytest.mark.long
def test_an_index_out_of_bounds_is_seen(tmp_path):
    """It is an exception that nobody can catch, and fails a test."""
    settings = {**SETTINGS, "VECPROP_CACHE_DIR": str(tmp_path)}
    for checked in ("0", "1"):
        settings["NUMBA_BOUNDSCHECK"] = checked
        done = subprocess.run([sys.executable, "-c", BEYOND], env=settings, capture_output=True, text=True, check=True)
        assert ("IndexError" in done.stderr) == (checked == "1")


@pytest.mark.long
def test_no_index_is_out_of_bounds():
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(Path(__file__).parent)],
        env={**SETTINGS, "NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
