"""Kernels are right, and as repeatable, on processors with narrower vectors: with this one masked, the tests pass."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from vecprop.compiled.gemm.products import uses_blocks
from vecprop.compiled.gemm.vectors import vector_bytes

SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
SSE2 = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse,+sse2,+fxsr,+cx8", "OPENBLAS_CORETYPE": "Prescott"}
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt",
    "OPENBLAS_CORETYPE": "Haswell",
}
PROCESSORS = {
    "AVX2": (AVX2, {"X86_V3", "AVX2", "FMA3"}),
    "SSE2": (SSE2, set()),
    "SSE2 by blocks": (SSE2 | {"VECPROP_PRODUCTS": "blocks"}, set()),
    "this one by BLAS": ({"VECPROP_PRODUCTS": "BLAS"}, set(__cpu_dispatch__)),
}


def masked(processor):
    """Return the environment in which Numba, NumPy and BLAS use the instructions of a processor."""
    settings, used_by_numpy = PROCESSORS[processor]
    disabled = [name for name in __cpu_dispatch__ if __cpu_features__[name] and name not in used_by_numpy]
    own = {name: value for name, value in SETTINGS.items() if name != "OPENBLAS_CORETYPE"}
    return own | settings | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}


@pytest.mark.long
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the masks are of x86 processors")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_tests_of_kernels_and_training_pass(processor):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider"]
    folder = Path(__file__).parent
    done = subprocess.run(
        [*command, str(folder), str(folder.parent / "train")], env=masked(processor), capture_output=True, text=True
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
