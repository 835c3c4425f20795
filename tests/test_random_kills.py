"""A short sample of the campaign of kills -9, ``benchmarks/kills.py``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize(
    ("work", "seed"),
    [("small networks", 1), ("populations", 1), ("estimators", 3)],
)
def test_kills_at_random_moments(work, seed, tmp_path):
    command = [sys.executable, str(Path(__file__).parent / "random_kills.py"), work, str(seed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["runs"] == 1
    assert sum(counts.get(kind, 0) for kind in ("at a random moment", "inside a write", "ended by a full disk"))
