"""The processor that Numba compiles for: this one, or the one that Numba's settings name."""

from llvmlite import binding
from numba.core import config


def name() -> str:
    """Return its name, as LLVM knows it."""
    return config.CPU_NAME or binding.get_host_cpu_name()  # type: ignore[attr-defined] (as below)


def features() -> set[str]:
    """Return the names of its instructions, such as "avx2"."""
    named = config.CPU_FEATURES  # type: ignore[attr-defined] (Numba defines its settings at run time)
    if named is None:
        return {name for name, has in binding.get_host_cpu_features().items() if has}
    return {name[1:] for name in named.split(",") if name[:1] == "+"}


def has_wide_vectors() -> bool:
    """Return whether it has vectors of at least 32 bytes with masked loads and fused products: x86 from AVX2 on."""
    return "avx512f" in features() or {"avx2", "fma"} <= features()
