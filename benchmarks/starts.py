"""CPU seconds of first fits, with kernels compiled and from disk, of an import, and milliseconds of short fits.

Made by ``python benchmarks/starts.py``. Each first fit runs in a new process; the time
of imports does not count.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import described, machine

PAGE = Path(__file__).parent / "results" / "starts.md"

IMPORTS = """
import time, warnings, numpy as np, numba, scipy.linalg, scipy.special, vecprop as vp
from sklearn.datasets import load_digits
from vecprop import MLPClassifier
import vecprop.compiled
warnings.simplefilter("ignore")
X, y = load_digits(return_X_y=True)
"""

FITS = {
    "train": (
        """
network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(1)], vp.SquaredError())
A = np.linspace(-1, 1, 20).reshape(10, 2)
vp.train(network, network.init(0), A, A[:, 0], optimizer=vp.Momentum(), epochs=3, engine="compiled")
"""
    ),
    "MLPClassifier.fit": "MLPClassifier((100,), max_iter=2).fit(X, y)\n",
}

SHORT = """
from sklearn.neural_network import MLPClassifier as Peer
def milliseconds(kind, epochs):
    times = []
    for _ in range(15):
        begun = time.perf_counter()
        kind((100,), max_iter=epochs, random_state=0).fit(X, y)
        times.append(1e3 * (time.perf_counter() - begun))
    return f"{min(times):.1f}"
for epochs in (1, 2):
    print(epochs, milliseconds(MLPClassifier, epochs), milliseconds(Peer, epochs))
"""

CLOCK = """
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
def spent():
    return sum(used.ru_utime + used.ru_stime for used in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))
"""


def output(code: str, **environment: str) -> str:
    """Return what code prints in a new process."""
    command = [sys.executable, "-c", code]
    # or else each process compiles vecprop, but not scikit-learn
    environment |= {"PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.check_output(
        command, env=os.environ | environment, text=True, stderr=subprocess.DEVNULL
    )


def seconds(code: str, before: str = "", **environment: str) -> float:
    """Return the CPU seconds of code behind other code in a new process."""
    return float(
        output(
            f"{CLOCK}{before}begun = spent()\n{code}\nprint(spent() - begun)",
            **environment,
        ).split()[-1]
    )


def main() -> None:
    """Measure, print, and write the page."""
    lines = [
        "# First fits, imports and short fits",
        "",
        "Made by `python benchmarks/starts.py`.",
        "",
    ]
    lines += [*described(machine("numpy", "scipy", "numba", "scikit-learn")), ""]
    lines += [
        "| first fit in a process, beyond imports | CPU s, kernels compiled | CPU s,"
        " kernels from disk |"
    ]
    lines += ["|---|---:|---:|"]
    for name, fit in FITS.items():
        cold, warm = [], []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(seconds(fit, IMPORTS, VECPROP_CACHE_DIR=folder))
                warm.append(seconds(fit, IMPORTS, VECPROP_CACHE_DIR=folder))
        lines.append(f"| `{name}` | {min(cold):.2f} | {min(warm):.2f} |")
    imports = {module: [] for module in ("sklearn.neural_network", "vecprop")}
    for _ in range(30):
        for module, times in imports.items():
            times.append(seconds(f"from {module} import MLPClassifier"))
    peer, own = map(min, imports.values())
    lines += [
        "",
        (
            f"Importing `MLPClassifier` takes {own:.2f} CPU s, {own / peer:.3f} times"
            " scikit-learn's time."
        ),
        "",
    ]
    lines += ["| fit on digits | vecprop, ms | scikit-learn, ms |", "|---|---:|---:|"]
    for line in output(IMPORTS + SHORT).splitlines():
        epochs, own, peer = line.split()
        lines.append(f"| `MLPClassifier((100,), max_iter={epochs})` | {own} | {peer} |")
    PAGE.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
