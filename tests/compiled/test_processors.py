"""The tests of kernels pass with narrower vectors, with BLAS, and with bounds checks."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config

from vecprop.compiled.gemm.products import uses_blocks
from vecprop.compiled.gemm.vectors import vector_bytes

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
processors = pytest.importorskip(
    "processors", reason="the benchmarks are not in the source distribution"
)


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
TESTS = Path(__file__).parents[1]


def assert_pass(environment, *tests):
    """Assert that short tests pass in an environment.

    With threads, OpenBLAS can hang in a fork during a product, with NumPy alone, too.
    """
    environment = environment | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-m",
            "not long",
            "-p",
            "no:cacheprovider",
            *tests,
        ],
        env={
            name: value
            for name, value in environment.items()
            if not name.startswith("PYTEST_")
        },
        cwd=TESTS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.long
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the masks are of x86 processors",
)
@pytest.mark.parametrize("mask", processors.MASKS)
def test_the_tests_of_kernels_and_training_pass(mask):
    assert_pass(processors.masked(mask), "compiled", "train")


@pytest.mark.long
def test_blas_reads_rows_in_place():
    assert_pass(
        os.environ | {"VECPROP_PRODUCTS": "BLAS"},
        "compiled/test_selection.py",
        "compiled/test_conversion.py",
    )


@pytest.mark.long
def test_no_index_is_out_of_bounds(tmp_path):
    """An index out of bounds raises an exception that cannot be caught, and fails a test."""
    settings = {**os.environ, "VECPROP_CACHE_DIR": str(tmp_path)}
    for checked in ("0", "1"):
        settings["NUMBA_BOUNDSCHECK"] = checked
        done = subprocess.run(
            [sys.executable, "-c", BEYOND],
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("IndexError" in done.stderr) == (checked == "1")
    assert_pass(os.environ | {"NUMBA_BOUNDSCHECK": "1"}, "compiled")


@pytest.mark.parametrize(
    ("features", "setting", "by_blocks"),
    [
        ("+avx512f", "auto", True),
        ("+avx2,+fma,-avx512f", "", True),
        ("+avx2", None, False),  # without fused products
        ("+neon", None, False),
        ("+neon", "blocks", True),
        ("+avx512f", "BLAS", False),
    ],
)
def test_the_processor_or_a_setting_decides_between_blocks_and_blas(
    monkeypatch, features, setting, by_blocks
):
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    monkeypatch.delenv("VECPROP_PRODUCTS", raising=False)
    if setting is not None:
        monkeypatch.setenv("VECPROP_PRODUCTS", setting)
    assert uses_blocks.__wrapped__() == by_blocks
    assert vector_bytes.__wrapped__() == (64 if "+avx512f" in features else 32)


def test_an_unknown_setting_is_refused(monkeypatch):
    monkeypatch.setenv("VECPROP_PRODUCTS", "blas")
    with pytest.raises(
        ValueError,
        match=r'^VECPROP_PRODUCTS must be "auto", "blocks" or "BLAS", got \'blas\'\.$',
    ):
        uses_blocks.__wrapped__()
