"""Kernels are right, and as repeatable, on processors with narrower vectors: with this one masked, the tests pass."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config

from vecprop.compiled.gemm.products import uses_blocks
from vecprop.compiled.gemm.vectors import vector_bytes

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
processors = pytest.importorskip("processors", reason="the benchmarks are not in the source distribution")


@pytest.mark.long
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the masks are of x86 processors")
@pytest.mark.parametrize("mask", processors.MASKS)
def test_the_tests_of_kernels_and_training_pass(mask):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider"]
    folder = Path(__file__).parent
    own = {name: value for name, value in processors.masked(mask).items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, str(folder), str(folder.parent / "train")], env=own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]


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
def test_the_processor_or_a_setting_decides_between_blocks_and_blas(monkeypatch, features, setting, by_blocks):
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    monkeypatch.delenv("VECPROP_PRODUCTS", raising=False)
    if setting is not None:
        monkeypatch.setenv("VECPROP_PRODUCTS", setting)
    assert uses_blocks.__wrapped__() == by_blocks
    assert vector_bytes.__wrapped__() == (64 if "+avx512f" in features else 32)


def test_another_setting_is_refused(monkeypatch):
    monkeypatch.setenv("VECPROP_PRODUCTS", "blas")
    with pytest.raises(ValueError, match=r'^VECPROP_PRODUCTS is \'blas\', but it is "auto", "blocks" or "BLAS"\.$'):
        uses_blocks.__wrapped__()
