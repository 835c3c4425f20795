"""Kernel files with flipped bits, cut or filled: they are said, compiled anew, and the numbers stay the same."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from draws import one

FITS = """
import numpy as np, vecprop as vp
rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 9)), rng.normal(size=60)
model = vp.MLPRegressor(hidden_layer_sizes=(3, 40), early_stopping=True, max_iter=3, random_state=0).fit(X, y)
print(model.predict(X).tobytes().hex(), model.theta_.tobytes().hex())
"""


def attack(rng: np.random.Generator) -> None:
    """Attack a cache in which some files are damaged."""
    whole, expected = cache_of_a_fit()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "cache"
        shutil.copytree(whole, copy)
        files = sorted(copy.glob("*.kernel"))
        for file in rng.permutation(np.array(files, object))[: int(rng.integers(1, 4))]:
            file.write_bytes(damaged(file.read_bytes(), rng))
        found, said = fitted(copy)
        assert found == expected, "other numbers"
        assert "compiling" in said, f"nothing was said: {said}"
        again, said = fitted(copy)
        assert (again, said) == (expected, ""), said


@cache
def cache_of_a_fit() -> tuple[Path, str]:
    """Return a folder of whole kernels, and what fits with them print."""
    folder = Path(tempfile.mkdtemp(prefix="vecprop-kernels-"))
    fitted(folder)
    return folder, fitted(folder)[0]


def fitted(folder: Path) -> tuple[str, str]:
    """Return what fits print with kernels of this folder, and what is said."""
    environment = os.environ | {"VECPROP_CACHE_DIR": str(folder)}
    command = [sys.executable, "-W", "ignore", "-c", FITS]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout, done.stderr


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Return a file's content with a few bits flipped, without its end, filled up, or of another file's length."""
    kind, content = (
        one(rng, ["flipped", "flipped", "cut", "filled", "longer"]),
        bytearray(whole),
    )
    if kind == "cut":
        return bytes(content[: int(rng.integers(len(content)))])
    if kind == "longer":
        return bytes(content) + rng.bytes(int(rng.integers(1, 99)))
    if kind == "filled":
        start = int(rng.integers(len(content)))
        content[start : start + 4096] = bytes(len(content[start : start + 4096]))
        return bytes(content[:-1])
    for place in rng.integers(0, len(content), int(rng.integers(1, 4))):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)
